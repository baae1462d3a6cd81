"""Runs that make a figure: one model over seeds, or all models on one data set.

    python benchmarks/run.py seeds --data_dir DIR --name NAME --seeds 5 -- --model attrec [--preset original ...]
    python benchmarks/run.py leaderboard --data_dir DIR --name NAME -- [--protocol recbole ...]

Everything after `--` goes to `examples/run.py`, of a leaderboard to every model. Each run is one process and one look
at the test split. Tables go to `benchmarks/results/NAME.md` with their recipe, a leaderboard's to NAME.csv and NAME.png
too; `benchmarks/expected.json` holds the figures that later seeds are held to (exit 1 below them by more than the
tolerance).
"""

import argparse
import hashlib
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import leaderboard

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(HERE, os.pardir, "examples", "run.py")
SHOWN = ("hr@10", "hr@50", "ndcg@10", "mrr")


class Failed(Exception):
    """A run that ended with an exit code; the message says which and why."""


def one_run(arguments, data_dir, seed, name, run_dirs=None):
    """Trains and judges in a process of its own.

    Args:
        arguments: list of str for `examples/run.py`.
        data_dir: str, prepared data.
        seed: int.
        name: str, of the run's directory.
        run_dirs: str or None, where runs are kept: a finished run of the same flags on the same data is taken from
            there as it is, and one cut short goes on.

    Returns:
        dict, its `metrics.json`; the rows of `history.csv` are not needed.

    Raises:
        Failed: the run did not end well.
    """
    with tempfile.TemporaryDirectory() as scratch:
        run_dir = os.path.join(run_dirs or scratch, name)
        metrics, made_by = os.path.join(run_dir, "metrics.json"), os.path.join(run_dir, "command.txt")
        recipe = [*arguments, "--data_dir", data_dir, "--seed", str(seed)]
        command = [sys.executable, RUN, *recipe, "--run_dir", run_dir, "--num_recommendations", "0"]
        recipe = f"{shlex.join(recipe)} # {hashlib.sha256(read(manifest_of(data_dir)).encode()).hexdigest()}"
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


def manifest_of(data_dir):
    """The path of what says which data these are.

    Raises:
        Failed: there are none.
    """
    path = os.path.join(data_dir, "dataset.json")
    if not os.path.exists(path):
        raise Failed(f"--data_dir {data_dir}: no prepared data here")
    return path


def split_of(data_dir):
    """How the data are split, in words."""
    split = json.loads(read(manifest_of(data_dir)))["split"]
    if split["kind"] == "leave_one_out":
        return "the last item of each user is the test, the one before validation"
    return ", ".join(f"{name} {value}" for name, value in split.items())


def read(path):
    """The text of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def summary(name, arguments, split, runs):
    """The Markdown report of several seeds.

    Args:
        name: str.
        arguments: list of str, as given to `examples/run.py`.
        split: str, see `split_of`.
        runs: list of dict, a `metrics.json` each.

    Returns:
        str.
    """
    first = runs[0]
    epochs = ", ".join(str(run["best_epoch"]) for run in runs)
    lines = [
        f"# {name}",
        "",
        f"- command: {leaderboard.command_line(arguments, 'S')}",
        f"- data: {first['dataset']}, {first['num_users']} users, {first['num_items']} items, "
        f"{first['num_interactions']} interactions; {split}",
        f"- protocol: {first['protocol']}, seen items {'excluded' if first['exclude_seen'] else 'kept'}, "
        f"{first['test_users']} test users; preset {first['preset']}"
        + ("; retrained on train + validation" if first["retrained_on_validation"] else ""),
        f"- seeds: {', '.join(str(run['seed']) for run in runs)}; chosen epochs: {epochs}",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores; "
        f"{sum(run['train_seconds'] for run in runs):.0f} s of training in all; "
        f"TensorFlow {first['version_tensorflow']}, Keras {first['version_keras']}",
        "",
        "| ranking | " + " | ".join(columns(first)) + " |",
        "|---" * (len(columns(first)) + 1) + "|",
    ]
    for label, prefix in (
        (f"{first['model']}, test", "test_"),
        *((name, f"{name}_") for name in leaderboard.BASELINES),
    ):
        if prefix + columns(first)[0] not in first:
            continue
        cells = []
        for metric in columns(first):
            values = [run[prefix + metric] for run in runs]
            spread = f" ± {statistics.stdev(values):.4f}" if prefix == "test_" and len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.4f}{spread}")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def below_expectation(name, runs):
    """Metrics whose mean is below `expected.json` by more than the tolerance, as text."""
    expected = json.loads(read(os.path.join(HERE, "expected.json"))).get(name, {})
    found = {metric: statistics.mean(run[metric] for run in runs) for metric in expected}
    return [
        f"{metric} {found[metric]:.4f}, expected {value} - {tolerance}"
        for metric, (value, tolerance) in expected.items()
        if found[metric] < value - tolerance
    ]


def seeds(options, arguments):
    """One model over seeds; gives the exit code."""
    started, runs = time.monotonic(), []
    for seed in range(options.seeds):
        runs.append(one_run(arguments, options.data_dir, seed, f"seed-{seed}", options.run_dirs))
        shown = ", ".join(f"{metric} {runs[-1]['test_' + metric]:.4f}" for metric in columns(runs[-1]))
        left = (time.monotonic() - started) / (seed + 1) * (options.seeds - seed - 1)
        print(f"seed {seed}: {shown}; epoch {runs[-1]['best_epoch']}; {left:.0f} s left", file=sys.stderr, flush=True)
    report = summary(options.name, arguments, split_of(options.data_dir), runs)
    write(f"{options.name}.md", report.encode())
    print(report)
    wrong = below_expectation(options.name, runs)
    for line in wrong:
        print(f"below expectation: {line}", file=sys.stderr)
    return int(bool(wrong))


def all_models(options, arguments):
    """Every row of the leaderboard; a model that the data does not suit is listed with the reason."""
    started, runs = time.monotonic(), {}
    more = dict(row.split("=", 1) for row in options.row if "=" in row)
    if len(more) < len(options.row) or set(more) - set(leaderboard.ROWS):
        raise Failed(f"--row: expected ROW=FLAGS, each row once, of {', '.join(leaderboard.ROWS)}, got {options.row}")
    for number, (row, flags) in enumerate(leaderboard.ROWS.items(), 1):
        flags = [*flags, *arguments, *shlex.split(more.get(row, ""))]
        try:
            metrics = one_run(flags, options.data_dir, options.seed, row, options.run_dirs)
            runs[row] = leaderboard.command_line(flags, options.seed), metrics
        except Failed as failure:
            last = str(failure).strip().splitlines()[-1]
            if "models that work on it" not in last:
                raise
            runs[row] = leaderboard.command_line(flags, options.seed), last.partition("error: ")[2]
        left = (time.monotonic() - started) / number * (len(leaderboard.ROWS) - number)
        print(f"{row}: done; {left:.0f} s left", file=sys.stderr, flush=True)
    protocol = next(metrics["protocol"] for _, metrics in runs.values() if not isinstance(metrics, str))
    rows = leaderboard.records(runs, protocol)
    report = leaderboard.markdown(options.name, rows, protocol, split_of(options.data_dir), runs)
    write(f"{options.name}.md", report.encode())
    write(f"{options.name}.csv", leaderboard.comma_separated(rows).encode())
    write(f"{options.name}.png", leaderboard.plot(options.name, rows, protocol))
    print(report)
    return 0


def write(name, content):
    """Writes bytes to a file of `benchmarks/results`."""
    os.makedirs(os.path.join(HERE, "results"), exist_ok=True)
    with open(os.path.join(HERE, "results", name), "wb") as file:
        file.write(content)


def columns(metrics):
    """The metrics to show of a run."""
    return SHOWN if metrics["protocol"] == "full_ranking" else leaderboard.COLUMNS[metrics["protocol"]]


def main():
    """Parses the command line, runs, writes the reports."""
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("seeds", "leaderboard"))
    parser.add_argument("--data_dir", required=True, help="a directory that data_prep made")
    parser.add_argument("--name", help="of the reports; a leaderboard's is leaderboard-DATA by default")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from 0; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of a leaderboard; default %(default)s")
    parser.add_argument("--row", action="append", default=[], metavar="ROW=FLAGS", help="more flags for one row")
    parser.add_argument("--run_dirs", help="keeps the runs there, and takes from there what is finished")
    options = parser.parse_args(sys.argv[1:split])
    what = seeds if options.what == "seeds" else all_models
    if options.what == "seeds" and not options.name:
        parser.error("--name: required for seeds")
    if options.seeds < 1:
        parser.error(f"--seeds: expected at least 1, got {options.seeds}")
    options.name = options.name or f"leaderboard-{os.path.basename(os.path.normpath(options.data_dir))}"
    try:
        return what(options, sys.argv[split + 1 :])
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
