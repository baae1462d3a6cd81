"""`make kills`: preparing, training and exporting are killed many times; nothing foreign is lost, nothing half-written.

    python -m tests.fuzz.kills [COUNT]        # KILLS_SEED chooses the moments

Each command runs in a process forked from this one, which has imported TensorFlow and never used it, and is ended by
SIGKILL, SIGTERM or SIGINT at a random moment. Foreign files lie in every directory, some under names like ours. After
every kill: foreign files are as they were, prepared data and exports are complete or absent. Every run is resumed until
it ends and is compared bit for bit with one left alone. A command that ends by itself leaves no staging behind.
"""

import collections
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf  # noqa: E402 - the level must be set before TensorFlow is loaded

from data_prep import prepare  # noqa: E402
from tests.fuzz.data_sets import SAMPLE, read_data  # noqa: E402
from tests.fuzz.harness import note  # noqa: E402
from tfrecs import startup  # noqa: E402
from tfrecs.command_line import run as cli  # noqa: E402

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
FOREIGN = {
    "prepared": ("notes.txt", ".data.tmp/notes.txt", "data.tmp"),
    "runs/run": ("notes.txt", "cp-notes.txt", "best-notes.txt", "events.tmp", "old_temp/notes.txt"),
    "exports": ("notes.txt", ".notes.tmp/notes.txt", "1.tmp"),
}
UNTRACKED = {"_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter/.ATTRIBUTES/VARIABLE_VALUE"}
LIMIT = 900  # seconds that one process may take


class Wrong(Exception):
    """What a kill must not do."""


def start(main, argv, log):
    """Forks a process that runs a command line; returns its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        startup.catch()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        code = main(argv)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


def end(pid, limit=LIMIT):
    """Waits for a process; returns its exit code, negative for a signal."""
    began = time.monotonic()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - began > limit:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise Wrong(f"no end within {limit} s")
        time.sleep(0.01)


class World:
    """Directories with foreign files, and the commands that write into them."""

    def __init__(self, root):
        self.root, self.log = root, os.path.join(root, "log")
        self.data, self.run, self.exports = (
            os.path.join(root, *p) for p in (("prepared", "data"), ("runs", "run"), ("exports",))
        )
        self.foreign = {}
        self.plant()

    def plant(self):
        """Writes the foreign files that are not there."""
        for folder, names in FOREIGN.items():
            for name in names:
                path = os.path.join(self.root, folder, name)
                if path not in self.foreign or not os.path.exists(path):
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "w") as file:
                        file.write(f"{path}\n")
                    self.foreign[path] = f"{path}\n"

    def commands(self, data):
        """Name to `(main, argv)`; training and exporting read `data`."""
        options = [part for name, value in SAMPLE.items() for part in (f"--{name}", str(value))]
        run = ["--model", "attrec", "--data_dir", data, "--run_dir", self.run, "--strategy", "none"]
        run += ["--num_recommendations", "0"]
        train = ["--epochs", "6", "--patience", "2", "--retrain", "1", "--save_checkpoints_steps", "2"]
        train += ["--embedding_dim", "8", "--dropout", "0.5", "--batch_size", "32", "--load_model", "1"]
        return {
            "prepare": (prepare.main, ["--dataset", "sample", "--out_dir", self.data, *options]),
            "train": (cli.main, [*run, *train]),
            "export": (cli.main, [*run, "--do_train", "0", "--do_eval", "0", "--export_dir", self.exports]),
        }

    def check_foreign(self):
        """Raises where a foreign file is not as it was."""
        for path, text in self.foreign.items():
            try:
                with open(path) as file:
                    same = file.read() == text
            except OSError:
                same = False
            if not same:
                raise Wrong(f"{os.path.relpath(path, self.root)}: a foreign file is gone or changed")

    def versions(self):
        """The exports there, by version: names and sizes of their files."""
        found = {}
        for version in os.listdir(self.exports):
            if version.isdecimal():
                folder = os.path.join(self.exports, version)
                found[version] = sorted(
                    os.path.relpath(os.path.join(parent, name), folder)
                    for parent, _, names in os.walk(folder)
                    for name in names
                )
        return found

    def entries(self):
        """What lies in the directories that are written, exports counted as one."""
        found = set()
        for folder in FOREIGN:
            for name in os.listdir(os.path.join(self.root, folder)):
                found.add(f"{folder}/{'VERSION' if folder == 'exports' and name.isdecimal() else name}")
        return found


def in_child(function, *arguments):
    """A digest that a forked process works out, so that this one never uses TensorFlow."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            text = repr(function(*arguments))
        except BaseException as error:
            text = f"! {type(error).__name__}: {error}"
        os.write(write, text.encode()[:60_000])
        os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        text = file.read().decode()
    end(pid)
    if text.startswith("!"):
        raise Wrong(text)
    return text


def state_of(run_dir):
    """The digests of the curves and of every tensor of every checkpoint, by name."""
    found = {}
    for folder in (run_dir, os.path.join(run_dir, "retrain")):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if name == "history.csv":
                with open(path, "rb") as file:
                    found[path] = file.read()
            elif name.endswith(".index"):
                reader = tf.train.load_checkpoint(path.removesuffix(".index"))
                for tensor in sorted(set(reader.get_variable_to_shape_map()) - UNTRACKED):
                    found[f"{path}:{tensor}"] = reader.get_tensor(tensor).tobytes()
    return [(os.path.relpath(k, run_dir), hashlib.sha256(v).hexdigest()) for k, v in found.items()]


def finish(world, name, data):
    """Runs a command to its end."""
    main, argv = world.commands(data)[name]
    began = time.monotonic()
    code = end(start(main, argv, world.log))
    if code:
        raise Wrong(f"{name}: exit code {code}; see the log")
    return time.monotonic() - began


def run(root, count, seed):
    """Makes the kills; returns lines to print. Raises `Wrong`."""
    whole, killed = World(os.path.join(root, "whole")), World(os.path.join(root, "killed"))
    seconds = {name: finish(whole, name, whole.data) for name in ("prepare", "train", "export")}
    expected = {"data": in_child(read_data, whole.data), "run": in_child(state_of, whole.run)}
    files, entries = next(iter(whole.versions().values())), whole.entries()
    counts, moments = collections.Counter(), random.Random(seed)
    done = 0
    while done < count:
        name = moments.choice(("prepare", "train", "train", "export"))
        if name == "export" and not counts["finished train"]:
            finish(killed, "train", whole.data)
            counts["finished train"] += 1
        number = moments.choice(SIGNALS)
        main, argv = killed.commands(whole.data)[name]
        pid = start(main, argv, killed.log)
        time.sleep(moments.uniform(0, seconds[name]))
        os.kill(pid, number)  # one that has ended is not yet waited for
        code = end(pid)
        what = f"{name} {signal.Signals(number).name}"
        killed.check_foreign()
        if code == 0:
            counts[f"ended before: {name}"] += 1
        elif code in (-number, 128 + number, 1, 2, 130, 143):
            done += 1
            counts[what] += 1
            note(f"kill {done}: {what}")
        else:
            raise Wrong(f"{what}: exit code {code}")
        if name == "prepare" and os.path.exists(killed.data):
            if in_child(read_data, killed.data) != expected["data"]:
                raise Wrong(f"{what}: other data")
            shutil.rmtree(killed.data)
        if name == "export" and any(found != files for found in killed.versions().values()):
            raise Wrong(f"{what}: an export is not complete")
        if name == "train" and (code == 0 or moments.random() < 0.15):
            finish(killed, "train", whole.data)
            counts["finished train"] += 1
            compare(killed, expected, what)
            shutil.rmtree(killed.run)
            killed.plant()
            counts["finished train"] = 0 if done < count else 1
            counts["runs compared"] += 1
    for name in ("prepare", "train", "export"):
        finish(killed, name, whole.data)
    compare(killed, expected, "the end")
    counts["runs compared"] += 1
    killed.check_foreign()
    if killed.entries() != entries:
        raise Wrong(f"left behind, or gone: {sorted(killed.entries() ^ entries)}")
    if in_child(read_data, killed.data) != expected["data"]:
        raise Wrong("other data at the end")
    with open(killed.log, encoding="utf-8", errors="replace") as file:
        if "Traceback" in file.read():
            raise Wrong("a traceback was printed")
    return [f"{done} kills, seed {seed}", *(f"  {name}: {number}" for name, number in sorted(counts.items()))]


def compare(world, expected, what):
    """Raises where the run that was killed is not the one left alone."""
    if in_child(state_of, world.run) != expected["run"]:
        raise Wrong(f"{what}: the resumed run differs from the one left alone")


def main(arguments):
    """Runs the kills; returns the exit code."""
    count, began = int(arguments[0]) if arguments else 100, time.monotonic()
    root = tempfile.mkdtemp(prefix="tfrecs-kills-")
    try:
        lines = run(root, count, int(os.environ.get("KILLS_SEED", "0")))
    except Wrong as error:
        print(f"WRONG: {error}\nkept: {root}")
        return 1
    shutil.rmtree(root)
    print("\n".join([*lines, f"foreign files intact, nothing half-written, {time.monotonic() - began:.0f} s"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
