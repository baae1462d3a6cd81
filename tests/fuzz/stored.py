"""Damages stored files, in place and for a while: refused, or read as what they were."""

import contextlib
import json
import os
import shutil

from tests.fuzz import mutations
from tests.fuzz.harness import SilentChange, note
from tfrecs import json_files


def files_of(directory):
    """Relative path to content of every file below."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = file.read()
    return found


def write(path, content):
    """Writes bytes in place, as damage does."""
    with open(path, "wb") as file:
        file.write(content)


@contextlib.contextmanager
def replaced(directory, contents):
    """Damages files for a while: dict of relative path to content."""
    before = {}
    for name, content in contents.items():
        path = os.path.join(directory, name)
        with open(path, "rb") as file:
            before[path] = file.read()
        write(path, content)
    try:
        yield
    finally:
        for path, content in before.items():
            if not os.path.isfile(path):
                os.makedirs(os.path.dirname(path), exist_ok=True)
            write(path, content)


def compare(found, expected):
    """The outcome of a read that succeeded."""
    if found != expected:
        raise SilentChange("read without a word, and not as it was")
    return "equal"


def _read_and_compare(read, name, expected):
    return compare(read(name), expected)


def _read_any(read, name, expected):
    return "equal" if read(name) == expected else "answered"


def damage_regions(report, target, directory, count, read, choose=lambda name: True):
    """Damages every stretch of every file in every way.

    Args:
        report: `Report`.
        target: str, the row of its table.
        directory: str.
        count: int, stretches per file.
        read: `f(name)`, a digest of everything in the directory that the file of this name bears on.
        choose: `f(name)`, whether a file is damaged.
    """
    for name, content in sorted(files_of(directory).items()):
        if not choose(name):
            continue
        note(f"{target}: {name}, {len(content)} bytes")
        expected = read(name)
        for begin, end in mutations.regions(content, report.count(count)):
            for kind in mutations.REGION_KINDS:
                random = report.random(target, name, begin, kind)
                damaged = mutations.damage_region(random, content, begin, end, kind)
                with replaced(directory, {name: damaged}):
                    report.case(target, f"{name}: {kind} {begin}:{end}", _read_and_compare, read, name, expected)
        for kind in ("gone", "pipe", "directory", "link"):
            report.case(target, f"{name}: {kind}", _instead, directory, name, content, kind, read, expected)


def _instead(directory, name, content, kind, read, expected):
    """Another thing where the file was."""
    path = os.path.join(directory, name)
    os.remove(path)
    try:
        if kind != "gone":
            {"pipe": os.mkfifo, "directory": os.mkdir, "link": lambda path: os.symlink(path, path)}[kind](path)
        return compare(read(name), expected)
    finally:
        if os.path.lexists(path):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        write(path, content)


def forge_json(report, target, directory, name, count, read, free=False):
    """Changes values of a JSON file; every other time its checksum is made anew.

    Args:
        free: bool, whether a valid value under a checksum that fits it may change what is read: a checksum shows
            damage, and is no signature.
    """
    expected = read(name)
    with open(os.path.join(directory, name), "rb") as file:
        content = json.loads(file.read())
    for case in range(report.count(count)):
        random = report.random(target, name, case)
        try:
            done, changed = mutations.forged(random, content)
            signed = case % 2 and isinstance(changed, dict)
            if signed:
                changed = {key: value for key, value in changed.items() if key != json_files.CHECKSUM}
                text = json_files.text(name, changed)
            else:
                text = json.dumps(changed, indent=2) + "\n"
            encoded = text.encode("utf-8")
        except ValueError:  # cannot be signed, or encoded
            continue
        with replaced(directory, {name: encoded}):
            what = f"{name}: {done}{', signed' if signed else ''}"
            judge = _read_any if free and signed else _read_and_compare
            report.case(target, what, judge, read, name, expected)
