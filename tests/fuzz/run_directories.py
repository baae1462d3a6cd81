"""Damaged files of a run directory: loaded, judged and resumed."""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import shutil

from tests.fuzz import mutations
from tests.fuzz.data_sets import make_data
from tests.fuzz.harness import SilentChange
from tests.fuzz.stored import damage_regions, files_of, forge_json, write
from tfrecs import json_files, optimizers
from tfrecs.command_line import run as cli
from tfrecs.runs import directory as runs
from tfrecs.runs import record
from tfrecs.runs.checkpoints import Checkpoints
from tfrecs.runs.config import TrainConfig

# Per file: stretches of bytes, each damaged in every way of `mutations.REGION_KINDS`.
REGIONS, JSON = 25, 200
JUDGED, RESUMED = 40, 20
SMALL = ("--embedding_dim", "4", "--batch_size", "64", "--num_recommendations", "0", "--strategy", "none")
COMMAND_LIMIT = 600  # seconds
# Of metrics.json: what depends on the clock and the process.
CLOCK = ("seconds", "per_second", "time", "date", "memory")


def run(report, directory):
    """Damages a run directory."""
    data_dir, run_dir = make_data(os.path.join(directory, "of-run")), os.path.join(directory, "run")
    flags = ("--model", "attrec", "--data_dir", data_dir, *SMALL)
    trained = ("--epochs", "2", "--save_checkpoints_steps", "2", "--keep_checkpoints", "3", "--retrain", "1")
    _command([*flags, "--run_dir", run_dir, *trained])
    write(os.path.join(run_dir, "notes.txt"), b"not tfrecs's\n")

    read = RunReader(run_dir)
    damage_regions(report, "run, bytes", run_dir, REGIONS, read, lambda name: not name.endswith((".png", ".html")))
    for name in sorted(files_of(run_dir)):
        if name.endswith(".json") and os.path.basename(name) != "metrics.json":
            forge_json(report, "run, JSON", run_dir, name, JSON, read, free=True)
    judge = [*flags, "--do_train", "0"]
    resume = [*flags, "--load_model", "1", "--epochs", "3"]
    for target, count, command in (("run, judged", JUDGED, judge), ("run, resumed", RESUMED, resume)):
        expected = _command_result(run_dir, command, {})
        for case in range(report.count(count)):
            random = report.random(target, case)
            contents = files_of(run_dir)
            name = random.choice(sorted(name for name in contents if not name.endswith((".png", ".html", ".txt"))))
            begin, end = random.choice(mutations.regions(contents[name], 40) or [(0, 0)])
            kind = random.choice(mutations.REGION_KINDS)
            damaged = mutations.damage_region(random, contents[name], begin, max(end, begin + 1), kind)
            what = f"{name}: {kind} {begin}:{end}"
            report.case(
                target, what, _damaged_command, run_dir, command, {name: damaged}, expected, limit=COMMAND_LIMIT
            )


class RunReader:
    """Reads a run directory as loading and resuming do; called with the file that is damaged.

    Args:
        run_dir: str, a sound run directory.
    """

    def __init__(self, run_dir):
        self.run_dir = run_dir
        self.model = runs.load_model(run_dir)
        config = TrainConfig(**runs.read_config(run_dir)["train"])
        self.model.compile(optimizer=optimizers.create(config))
        self.model.optimizer.build(self.model.trainable_variables)

    def __call__(self, file):
        """A digest of the configuration, of the checkpoint that stands for the run, and of what `file` belongs to.

        Args:
            file: str, relative. Of a checkpoint's file, that checkpoint is restored; of any other, the one that stands
                for the run. The model is built anew only where `file` says how.
        """
        config, (folder, name) = runs.read_config(self.run_dir), runs.judged(self.run_dir)
        digest = hashlib.sha256(json.dumps([config, os.path.relpath(folder, self.run_dir), name]).encode())
        if file == runs.CONFIG_FILE:
            variables = runs.load_model(self.run_dir).weights
        else:
            checkpoint = record.CHECKPOINT_FILE.fullmatch(os.path.basename(file))
            if checkpoint:
                folder, name = os.path.join(self.run_dir, os.path.dirname(file)), checkpoint["name"]
            progress = Checkpoints(folder, self.model).restore(name)
            digest.update(json.dumps(dataclasses.asdict(progress)).encode())
            variables = [*self.model.weights, *self.model.optimizer.variables]
        for variable in variables:
            digest.update(variable.path.encode() + variable.numpy().tobytes())
        return digest.hexdigest()


def _command(argv):
    """`(exit code, what it said)` of the command line."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = cli.main(argv)
    return code, said.getvalue()


def _command_result(run_dir, command, contents):
    """`(exit code, what it said, what it left)` of a command on a copy of the run."""
    copy = f"{run_dir}-copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run_dir, copy)
    try:
        for name, content in contents.items():
            write(os.path.join(copy, name), content)
        code, said = _command([*command, "--run_dir", copy])
        if not os.path.exists(os.path.join(copy, "notes.txt")):
            raise SilentChange("a foreign file is gone")
        return code, said, _left(copy) if code == 0 else None
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _left(run_dir):
    with open(os.path.join(run_dir, "metrics.json"), encoding="utf-8") as file:
        metrics = json.load(file)
    kept = {name: value for name, value in metrics.items() if not any(word in name for word in CLOCK)}
    kept.pop(json_files.CHECKSUM, None)
    weights = hashlib.sha256()
    for variable in runs.load_model(run_dir).weights:
        weights.update(variable.numpy().tobytes())
    return json.dumps(kept, sort_keys=True), weights.hexdigest()


def _damaged_command(run_dir, command, contents, expected):
    code, said, left = _command_result(run_dir, command, contents)
    if "Traceback" in said:
        raise RuntimeError(f"a traceback was printed: {said[-300:]}")
    if code == 2:
        return "refused"
    if code:
        raise RuntimeError(f"exit code {code}: {said[-300:]}")
    if left == expected[2]:
        return "equal"
    if any(os.path.basename(name) in said for name in contents) or "damaged" in said:
        return "answered"  # with another checkpoint, and it says so
    raise SilentChange("another result, and nothing was said")
