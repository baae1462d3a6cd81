"""Damaged raw files and options, source by source: an `InputError`, or a log that keeps its invariants."""

import gzip
import math
import os
import shutil
import tempfile

import pyarrow as pa

from data_prep.prepare import OPTIONS, prepare
from data_prep.sources import SOURCES
from tests.fuzz import mutations
from tests.fuzz.data_sets import read_data
from tests.fuzz.harness import SilentChange
from tests.fuzz.raw import FILES
from tfrecs.errors import InputError
from tfrecs.options import resolve
from tfrecs.progress import StageProgress

CASES = 10_000
PREPARED = 100
TYPES = {"user": pa.string(), "item": pa.string(), "timestamp": pa.int64(), "action": pa.string()}
# Values for options, of the right type and of others.
OPTION_VALUES = (
    *(
        "",
        " ",
        "x",
        "0",
        "-1",
        "1",
        "3",
        "0.5",
        "nan",
        "1e999",
        "9" * 30,
        "error",
        "skip",
        "user",
        "item",
        "\t",
        ",",
        "||",
    ),
    *("\x1b", "\x00", "a" * 300, "../x", "/", 0, -1, 7, 2.5, True, None, float("nan"), 10**12, [], "user_id", "toys"),
)
CHEAP = {"num_users": 40, "num_items": 240, "mean_length": 12}  # of the sample


def run(report, directory, sources=(*FILES, "sample")):
    """Runs the cases of each source in a scratch directory."""
    for name in sources:
        if name == "sample":
            _run_sample(report, directory)
            continue
        for case in range(report.count(CASES)):
            random = report.random(name, case)
            files, options = random.choice(FILES[name])
            report.case(name, f"{name}/{case}", _read, random, name, files, options, directory)
        for case in range(report.count(PREPARED)):
            random = report.random(name, "prepare", case)
            files, options = random.choice(FILES[name])
            report.case(
                f"{name}, prepared", f"{name}/prepare/{case}", _prepare, random, name, files, options, directory
            )


def _damage(random, name, files, options, directory):
    """Writes the files, one of them damaged; gives the options, one of them changed now and then."""
    raw = os.path.join(directory, "raw")
    shutil.rmtree(raw, ignore_errors=True)
    os.mkdir(raw)
    files, options = dict(files), dict(options)
    if random.random() < 0.12:
        declared = {key: option for key, option in SOURCES[name].options.items() if key not in ("raw_dir", "path")}
        options[random.choice(list(declared))] = random.choice(OPTION_VALUES)
    else:
        file = random.choice(list(files))
        content = files[file]
        if file.endswith(".gz") and random.random() < 0.7:
            files[file] = gzip.compress(mutations.damaged(random, gzip.decompress(content)), 1)
        else:
            files[file] = mutations.damaged(random, content)
    for file, content in files.items():
        with open(os.path.join(raw, file), "wb") as stream:
            stream.write(content)
    if random.random() < 0.003:
        file = os.path.join(raw, random.choice(list(files)))
        os.remove(file)
        random.choice((os.mkfifo, os.mkdir, lambda path: os.symlink(path, path), lambda path: None))(file)
    log = next(iter(files))
    options |= {"path": os.path.join(raw, log)} if name == "delimited" else {"raw_dir": raw}
    if options.get("items"):
        options["items"] = os.path.join(raw, str(options["items"]))
    return options


def _read(random, name, files, options, directory):
    options = _damage(random, name, files, options, directory)
    options.setdefault("on_bad_line", random.choice(("error", "skip")))
    resolved = resolve(SOURCES[name].options, options, name)
    rows, bad = _content(name, resolved)
    if resolved["on_bad_line"] == "error":
        if bad:
            raise SilentChange(f"{bad} bad lines under on_bad_line error")
        if _content(name, resolved | {"on_bad_line": "skip"}) != (rows, {}):
            raise SilentChange("skip reads other rows than error")
    elif bad:
        try:
            _content(name, resolved | {"on_bad_line": "error"})
        except InputError:
            return "answered"
        raise SilentChange("bad lines are skipped that stop nothing under on_bad_line error")
    return "answered"


def _content(name, options):
    """`(rows of the log and of its attributes, bad lines)`, checked."""
    log, found = SOURCES[name].open_log(name, options), []
    last = 0.0
    for table, fraction in log.chunks():
        if not 0 <= last <= fraction <= 1:
            raise SilentChange(f"progress goes from {last} to {fraction}")
        last = fraction
        missing = {"user", "item", *log.fields} - set(table.column_names)
        if missing:
            raise SilentChange(f"no column {missing}")
        for column in ("user", "item", *log.fields):
            values = table.column(column)
            if values.null_count or column in TYPES and values.type not in (TYPES[column], pa.large_string()):
                raise SilentChange(f"{column} has nulls, or is {values.type}")
        found += [tuple(row[column] for column in ("user", "item", *log.fields)) for row in table.to_pylist()]
    for row in found:
        for column, value in zip(("user", "item", *log.fields), row):
            if column in ("user", "item", "action"):
                _check_token(column, value)
            elif not math.isfinite(value):
                raise SilentChange(f"{column} {value}")
    for attribute, table in log.attribute_chunks():
        if attribute not in log.attributes:
            raise SilentChange(f"an attribute {attribute!r} that is not announced")
        for row in table.to_pylist():
            found.append((attribute, row["item"], row["value"]))
    return found, {kind: count for kind, count in log.provenance.get("bad_lines", {}).items() if count}


def _check_token(name, value):
    if not value or "\n" in value or "\r" in value:
        raise SilentChange(f"{name} {value!r} is empty or has a line break")
    value.encode("utf-8")


def _prepare(random, name, files, options, directory):
    options = _damage(random, name, files, options, directory)
    options |= {
        "num_shards": random.choice((1, 3)),
        "memory_limit_mb": 200,
        "split": random.choice(("leave_one_out", "ratio")),
    }
    if options["split"] == "ratio":
        options |= {"valid_fraction": 0.2, "test_fraction": 0.2}
    if random.random() < 0.3:
        options[random.choice(list(OPTIONS))] = random.choice(OPTION_VALUES)
    options.pop("overwrite", None)
    return _prepare_and_check(name, directory, options)


def _prepare_and_check(name, directory, options):
    """Prepares and reads the result; a refusal leaves nothing."""
    parent = tempfile.mkdtemp(dir=directory)
    try:
        out = os.path.join(parent, "data")
        try:
            prepare(name, out, StageProgress(None), **options)
        except InputError:
            if [entry for entry in os.listdir(parent) if not entry.endswith(".lock")]:
                raise SilentChange(f"a refusal leaves {os.listdir(parent)}") from None
            raise
        read_data(out)
        return "answered"
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def _run_sample(report, directory):
    """The sample has no input: its options are damaged."""
    for case in range(report.count(CASES)):
        random = report.random("sample", case)
        report.case("sample", f"sample/{case}", _resolve_sample, random)
    for case in range(report.count(PREPARED)):
        random = report.random("sample", "prepare", case)
        options = CHEAP | {"num_shards": 1, "memory_limit_mb": 200}
        declared = [
            key for key in OPTIONS | SOURCES["sample"].options if key not in ("overwrite", "num_users", "num_items")
        ]
        for _ in range(random.choice((1, 1, 2))):
            options[random.choice(declared)] = random.choice(OPTION_VALUES)
        report.case("sample, prepared", f"sample/prepare/{case}", _prepare_and_check, "sample", directory, options)


def _resolve_sample(random):
    declared = SOURCES["sample"].options
    options = {}
    for key in random.sample(list(declared), random.randrange(1, 4)):
        options[key] = random.choice((*OPTION_VALUES, random.randrange(-(10**6), 10**6), str(random.random())))
    resolved = resolve(declared, options, "sample")
    for key, value in resolved.items():
        if value is not None and not isinstance(value, declared[key].type):
            raise SilentChange(f"{key} is {value!r}")
    SOURCES["sample"].open_log("sample", resolved)
    return "answered"
