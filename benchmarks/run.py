"""Runs that make a figure: one model over seeds, all models on one data set, or the speed of a model.

    python benchmarks/run.py seeds --data_dir DIR --name NAME --seeds 5 -- --model attrec [--preset original ...]
    python benchmarks/run.py leaderboard --data_dir DIR --name NAME [--protocols recbole full_ranking] [-- FLAGS]
    python benchmarks/run.py speed --model NAME --over batch_size --values 256 1024 4096 [-- FLAGS]
    python benchmarks/run.py serving --model NAME --num_items 1000 100000 1000000
    python benchmarks/run.py compare --model NAME --original CHECKOUT --python PYTHON --raw_dir DIR

Everything after `--` goes to `examples/run.py`, and in a leaderboard to every model. Each run is one process that
evaluates the test split once. A leaderboard has one block per protocol, and within a block the same rule holds for
every row, baselines too. Tables go to `benchmarks/results/NAME.md` with their recipes, a leaderboard's also to NAME.csv
and NAME.png. `seeds` compares its means with `benchmarks/expected.json` and exits 1 where one is lower by more than the
tolerance. `speed`, `serving` and `compare` time models, see the modules of these names.
"""

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import compare
import flags
import leaderboard
import seeds as seeds_table
import serving
import speed

from tfrecs import files
from tfrecs.errors import InputError
from tfrecs.options import Option

HERE = os.path.dirname(os.path.abspath(__file__))
OPTIONS = {
    "data_dir": Option(str, None, "a directory that data_prep made", required=True),
    "name": Option(str, None, "of the reports; a leaderboard's is leaderboard-DATA by default"),
    "seeds": Option(int, 5, "how many training seeds, from 0", 1),
    "seed": Option(int, 0, "of a leaderboard", 0),
    "protocols": Option(
        tuple, None, "one block of a leaderboard each", choices=tuple(leaderboard.PROTOCOLS), words=True
    ),
    "row": Option(tuple, (), "ROW=FLAGS: more flags for one row of a leaderboard", words=True),
    "run_dirs": Option(str, None, "keeps the runs there, and takes from there what is finished"),
    "results": Option(str, os.path.join(HERE, "results"), "the directory for the reports"),
}
MEASUREMENTS = {"compare": compare.main, "speed": speed.main, "serving": serving.main}  # with options of their own
RUN = os.path.join(HERE, os.pardir, "examples", "run.py")


class Failed(Exception):
    """A run that ended with an exit code; the message says which and why."""


def one_run(
    arguments: Sequence[str], data_dir: str, seed: int, name: str, run_dirs: str | None = None
) -> dict[str, Any]:
    """Trains and judges in a process of its own.

    Args:
        arguments: list of str for `examples/run.py`.
        data_dir: str, prepared data.
        seed: int.
        name: str, of the run's directory.
        run_dirs: str or None, where runs are kept: a finished run of the same flags on the same data is taken from
            there as it is, and one cut short goes on.

    Returns:
        dict, its `metrics.json`.

    Raises:
        Failed: the run did not end well.
    """
    with tempfile.TemporaryDirectory() as scratch:
        run_dir = os.path.join(run_dirs or scratch, name)
        metrics, made_by = os.path.join(run_dir, "metrics.json"), os.path.join(run_dir, "command.txt")
        own = [*arguments, "--data_dir", data_dir, "--seed", str(seed)]
        command = [sys.executable, RUN, *own, "--run_dir", run_dir, "--num_recommendations", "0"]
        recipe = f"{shlex.join(own)} # {hashlib.sha256(read(manifest_of(data_dir)).encode()).hexdigest()}"
        same = os.path.exists(made_by)
        if same and read(made_by) != recipe:
            raise Failed(f"{run_dir}: holds a run of other flags or data; remove it, or name other --run_dirs")
        if not (same and os.path.exists(metrics) and "test_users" in read(metrics)):
            os.makedirs(run_dir, exist_ok=True)
            with open(made_by, "w", encoding="utf-8") as file:
                file.write(recipe)
            done = subprocess.run([*command, "--load_model", str(int(same))], capture_output=True, text=True)
            if done.returncode:
                raise Failed(f"{shlex.join(command)}\nfailed with exit code {done.returncode}:\n{done.stderr[-2000:]}")
        return json.loads(read(metrics))


def manifest_of(data_dir: str) -> str:
    """The path of what says which data these are.

    Raises:
        Failed: there are none.
    """
    path = os.path.join(data_dir, "dataset.json")
    if not os.path.exists(path):
        raise Failed(f"--data_dir {data_dir}: no prepared data here")
    return path


def split_of(data_dir: str) -> str:
    """How the data are split, in words."""
    split = json.loads(read(manifest_of(data_dir)))["split"]
    if split["kind"] == "leave_one_out":
        return "the last item of each user is the test, the one before validation"
    return ", ".join(f"{name} {value}" for name, value in split.items())


def read(path: str) -> str:
    """The text of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def over_seeds(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """One model over seeds; gives the exit code."""
    started = time.monotonic()
    runs: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        runs.append(one_run(arguments, options.data_dir, seed, f"seed-{seed}", options.run_dirs))
        shown = ", ".join(f"{name} {runs[-1]['test_' + name]:.4f}" for name in seeds_table.columns(runs[-1]))
        left = (time.monotonic() - started) / (seed + 1) * (options.seeds - seed - 1)
        print(f"seed {seed}: {shown}; epoch {runs[-1]['best_epoch']}; {left:.0f} s left", file=sys.stderr, flush=True)
    report = seeds_table.summary(options.name, arguments, split_of(options.data_dir), runs)
    write(options, "md", report.encode())
    print(report)
    expected = json.loads(read(os.path.join(HERE, "expected.json"))).get(options.name, {})
    wrong = seeds_table.below_expectation(expected, runs)
    for line in wrong:
        print(f"below expectation: {line}", file=sys.stderr)
    return int(bool(wrong))


def all_models(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Every row under every protocol; a model that the data does not suit is listed with the reason."""
    more = dict(row.split("=", 1) for row in options.row if "=" in row)
    if len(more) < len(options.row) or set(more) - set(leaderboard.ROWS):
        rows = ", ".join(leaderboard.ROWS)
        raise InputError(f"--row: expected ROW=FLAGS, each row once, of {rows}, got {list(options.row)}")
    if options.protocols and "--protocol" in arguments:
        raise InputError("--protocol: --protocols names it already")
    blocks = [_block(options, arguments, more, protocol) for protocol in options.protocols or [None]]
    report = leaderboard.markdown(options.name, split_of(options.data_dir), blocks)
    write(options, "md", report.encode())
    write(options, "csv", leaderboard.comma_separated(blocks).encode())
    write(options, "png", leaderboard.plot(options.name, blocks))
    print(report)
    return 0


def _block(
    options: argparse.Namespace, arguments: Sequence[str], more: Mapping[str, str], protocol: str | None
) -> leaderboard.Block:
    """Trains the rows of one block; `protocol` None leaves it to the presets and `arguments`."""
    started = time.monotonic()
    runs: dict[str, tuple[str, dict[str, Any] | str]] = {}
    chosen = ["--protocol", protocol] if protocol else []
    for number, (row, own) in enumerate(leaderboard.ROWS.items(), 1):
        recipe = [*own, *chosen, *arguments, *shlex.split(more.get(row, ""))]
        name = f"{row}-{protocol}" if protocol else row
        try:
            metrics = one_run(recipe, options.data_dir, options.seed, name, options.run_dirs)
            runs[row] = leaderboard.command_line(recipe, options.seed), metrics
        except Failed as failure:
            last = str(failure).strip().splitlines()[-1]
            if "models that work on it" not in last:
                raise
            reason = last.partition("error: ")[2].replace(options.data_dir, "DIR")
            runs[row] = leaderboard.command_line(recipe, options.seed), reason
        left = (time.monotonic() - started) / number * (len(leaderboard.ROWS) - number)
        print(f"{name}: done; {left:.0f} s left in this block", file=sys.stderr, flush=True)
    return leaderboard.Block(runs)


def write(options: argparse.Namespace, ending: str, content: bytes) -> None:
    """Writes bytes to a file of `--results`."""
    os.makedirs(options.results, exist_ok=True)
    files.write_bytes(os.path.join(options.results, f"{options.name}.{ending}"), content)


@flags.program
def main(argv: Sequence[str]) -> int:
    """Parses the command line, runs, writes the reports; returns the exit code."""
    if argv and argv[0] in MEASUREMENTS:
        return MEASUREMENTS[argv[0]](argv[1:])
    own, passed_on = flags.split(argv)
    options = flags.parse(own, OPTIONS, __doc__, ("seeds", "leaderboard", *MEASUREMENTS))
    if options.what == "seeds" and not options.name:
        raise InputError("--name: required for seeds")
    if options.what == "seeds" and (options.protocols or options.row):
        raise InputError(f"--{'protocols' if options.protocols else 'row'}: only for a leaderboard")
    options.name = options.name or f"leaderboard-{os.path.basename(os.path.normpath(options.data_dir))}"
    try:
        return (over_seeds if options.what == "seeds" else all_models)(options, passed_on)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
