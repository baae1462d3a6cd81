import json
import os
import signal
import subprocess
import sys

import pytest

from tfrecs import staging
from tfrecs.errors import InputError


def tree(path):
    """Relative names of all files below a directory, and of its empty folders."""
    found = []
    for folder, below, names in os.walk(path):
        found += [os.path.relpath(os.path.join(folder, name), path) for name in names]
        if not below and not names and folder != str(path):
            found.append(os.path.relpath(folder, path) + "/")
    return sorted(found)


def fill(directory, *names):
    for name in names:
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(name)


@pytest.fixture(params=["renameat2", "two renames"])
def parent(tmp_path, request, monkeypatch):
    """An empty directory, with and without the exchange that only Linux has."""
    if request.param == "two renames":
        monkeypatch.setattr(staging, "_rename", lambda *_: False)
    return str(tmp_path)


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(parent, failure):
    with pytest.raises(failure):
        with staging.stage(parent, "data", "--out_dir") as stage:
            fill(stage.directory, "half/written")
            raise failure
    assert tree(parent) == []


def test_what_appears_meanwhile_is_not_replaced(parent):
    for make in (os.mkdir, lambda path: fill(path, "file")):
        path = os.path.join(parent, make.__name__)
        with pytest.raises(InputError, match="--out_dir: cannot be written: File exists"):
            with staging.stage(parent, "data", "--out_dir") as stage:
                fill(stage.directory, "new")
                make(path)
                stage.publish(path)
    assert tree(parent) == ["<lambda>/file", "mkdir/"]


def test_replacing_removes_the_named_files_only(parent):
    path = os.path.join(parent, "data")
    fill(path, "dataset.json", "vocab/item.txt")
    with staging.stage(parent, "data", "--out_dir") as stage:
        fill(stage.directory, "dataset.json", "vocab/brand.txt")
        stage.replace(path, ["dataset.json", "vocab/item.txt"])
    assert tree(parent) == ["data/dataset.json", "data/vocab/brand.txt"]
    with pytest.raises(InputError, match="data: replaced, but .* holds files that tfrecs did not write"):
        with staging.stage(parent, "data", "--out_dir") as stage:
            fill(stage.directory, "dataset.json")
            stage.replace(path, ["dataset.json"])
    kept = [name for name in tree(parent) if name.endswith("vocab/brand.txt")]
    assert len(kept) == 1 and "data/dataset.json" in tree(parent)


def test_two_at_once(parent):
    with staging.stage(parent, "data", "--out_dir") as stage:
        fill(stage.directory, "new")
        with pytest.raises(InputError, match="another process is writing there"):
            with staging.stage(parent, "data", "--out_dir"):
                raise AssertionError("the second one must not begin")
        with staging.stage(parent, "other", "--out_dir") as other:
            other.publish(os.path.join(parent, "other"))
        stage.publish(os.path.join(parent, "data"))
    assert tree(parent) == ["data/new", "other/"]


KILLED = """
import os, signal, sys
from tfrecs import staging
parent, place, kind = sys.argv[1:]
path = os.path.join(parent, "data")

def die():
    os.kill(os.getpid(), getattr(signal, kind))

def dying(name, owner, before):
    call = getattr(owner, name)
    def patched(*arguments, **options):
        if before:
            die()
        result = call(*arguments, **options)
        die()
        return result
    setattr(owner, name, patched)

if place == "two renames":
    staging._rename = lambda *_: False
    dying("rename", os, before=False)
if place == "before the exchange":
    dying("_rename", staging, before=True)
if place == "after the exchange":
    dying("_rename", staging, before=False)
with staging.stage(parent, "data", "--out_dir") as stage:
    if place == "without a lock":
        os.remove(os.path.join(stage.root, "lock")); os.rmdir(stage.directory); die()
    open(os.path.join(stage.directory, "dataset.json"), "w").write("new")
    if place == "while writing":
        die()
    stage.replace(path, ["dataset.json", "old"])
"""
PLACES = ["while writing", "without a lock", "before the exchange", "after the exchange", "two renames"]


@pytest.mark.parametrize("kind", ["SIGKILL", "SIGINT"])
@pytest.mark.parametrize("place", PLACES)
def test_killed_at_any_place(tmp_path, place, kind):
    parent, path = str(tmp_path), os.path.join(tmp_path, "data")
    fill(path, "dataset.json", "old")
    fill(parent, "notes", ".mine.tfrecs-staging/thesis", ".data.tmp/thesis", "data.tfrecs-staging")
    foreign = [name for name in tree(parent) if not name.startswith("data/")]
    if place == "without a lock" and kind == "SIGINT":
        pytest.skip("what a handler finds is as another process left it")
    done = subprocess.run([sys.executable, "-c", KILLED, parent, place, kind], stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == -getattr(signal, kind)
    if kind == "SIGKILL":
        assert any(name.startswith(".data.tfrecs-staging") for name in os.listdir(parent))
    with staging.stage(parent, "data", "--out_dir"):
        pass
    found = tree(parent)
    assert [name for name in found if not name.startswith("data/")] == foreign
    # Either the old directory or the new one, never a mixture and never nothing.
    assert [name for name in found if name.startswith("data/")] in (
        ["data/dataset.json", "data/old"],
        ["data/dataset.json"],
    )


def test_a_forged_staging_directory_reaches_nothing_outside(tmp_path):
    fill(str(tmp_path), "outside/secret", "top")
    parent = os.path.join(tmp_path, "parent")
    root = os.path.join(parent, ".x.tfrecs-staging")
    fill(root, "content/a", "old/b")
    os.symlink(tmp_path / "outside", os.path.join(root, "content", "link"))
    names = ["../../../top", str(tmp_path / "top"), "link/secret", "../../../outside/secret"]
    with open(os.path.join(root, "lock"), "w") as file:
        json.dump({"new": [0, 0], "own_files": names}, file)
    staging.remove_leftovers(parent)
    assert tree(tmp_path / "outside") == ["secret"] and os.path.exists(tmp_path / "top")
    for content in ("[]", "{", '{"own_files": 5}', '{"own_files": [5], "new": 1}', "[" * 100_000):
        fill(root, "content/a")
        with open(os.path.join(root, "lock"), "w") as file:
            file.write(content)
        staging.remove_leftovers(parent)
    assert tree(tmp_path / "outside") == ["secret"]


def test_disk_full(parent):
    with pytest.raises(InputError, match="--out_dir x: cannot be written: No space left on device"):
        with staging.stage(parent, "data", "--out_dir x"):
            raise OSError(28, "No space left on device")
    assert tree(parent) == []
