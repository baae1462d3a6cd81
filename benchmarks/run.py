"""Repeats a run over seeds and reports mean and spread beside what is expected of it.

    python benchmarks/run.py seeds --data_dir DIR --name NAME --seeds 5 -- --model attrec [--preset original ...]

Everything after `--` goes to `examples/run.py`. Each seed is one process and one look at the test split. The table
goes to `benchmarks/results/NAME.md` with its recipe; `benchmarks/expected.json` holds the figures a later run is
held to (exit 1 below them by more than the tolerance).
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(HERE, os.pardir, "examples", "run.py")
SHOWN = ("hr@10", "hr@50", "ndcg@10", "mrr")


def one_seed(arguments, data_dir, seed):
    """Runs one seed in its own process.

    Args:
        arguments: list of str for `examples/run.py`.
        data_dir: str, prepared data.
        seed: int.

    Returns:
        dict, its `metrics.json`; the rows of `history.csv` are not needed.
    """
    with tempfile.TemporaryDirectory() as run_dir:
        command = [sys.executable, RUN, *arguments, "--data_dir", data_dir, "--run_dir", run_dir, "--seed", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{shlex.join(command)}\nfailed with exit code {done.returncode}:\n{done.stderr[-2000:]}")
        with open(os.path.join(run_dir, "metrics.json"), encoding="utf-8") as file:
            return json.load(file)


def summary(name, arguments, runs, seconds):
    """The Markdown report of several seeds.

    Args:
        name: str.
        arguments: list of str, as given to `examples/run.py`.
        runs: list of dict, a `metrics.json` each.
        seconds: float, wall-clock time of all.

    Returns:
        str.
    """
    first = runs[0]
    epochs = ", ".join(str(run["best_epoch"]) for run in runs)
    lines = [
        f"# {name}",
        "",
        f"- command: `python examples/run.py {shlex.join(arguments)} --seed S`",
        f"- data: {first['dataset']}, {first['num_users']} users, {first['num_items']} items, "
        f"{first['num_interactions']} interactions; leave-one-out",
        f"- protocol: {first['protocol']}, seen items {'excluded' if first['exclude_seen'] else 'kept'}, "
        f"{first['test_users']} test users; preset {first['preset']}"
        + ("; retrained on train + validation" if first["retrained_on_validation"] else ""),
        f"- seeds: {', '.join(str(run['seed']) for run in runs)}; chosen epochs: {epochs}",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores; {seconds:.0f} s in all; "
        f"TensorFlow {first['version_tensorflow']}, Keras {first['version_keras']}",
        "",
        "| ranking | " + " | ".join(SHOWN) + " |",
        "|---" * (len(SHOWN) + 1) + "|",
    ]
    for label, prefix in (
        (f"{first['model']}, test", "test_"),
        ("popularity", "popularity_"),
        ("transitions", "transitions_"),
    ):
        cells = []
        for metric in SHOWN:
            values = [run[prefix + metric] for run in runs]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.4f}" + (f" ± {spread:.4f}" if prefix == "test_" else ""))
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def below_expectation(name, runs):
    """Metrics whose mean is below `expected.json` by more than the tolerance, as text."""
    with open(os.path.join(HERE, "expected.json"), encoding="utf-8") as file:
        expected = json.load(file).get(name, {})
    found = {metric: statistics.mean(run[metric] for run in runs) for metric in expected}
    return [
        f"{metric} {found[metric]:.4f}, expected {value} - {tolerance}"
        for metric, (value, tolerance) in expected.items()
        if found[metric] < value - tolerance
    ]


def main():
    """Parses the command line, runs the seeds, writes the report."""
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments = sys.argv[split + 1 :]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("seeds",))
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args(sys.argv[1:split])
    started, runs = time.monotonic(), []
    for seed in range(options.seeds):
        runs.append(one_seed(arguments, options.data_dir, seed))
        shown = ", ".join(f"{metric} {runs[-1]['test_' + metric]:.4f}" for metric in SHOWN)
        left = (time.monotonic() - started) / (seed + 1) * (options.seeds - seed - 1)
        print(f"seed {seed}: {shown}; epoch {runs[-1]['best_epoch']}; {left:.0f} s left", file=sys.stderr, flush=True)
    os.makedirs(os.path.join(HERE, "results"), exist_ok=True)
    report = summary(options.name, arguments, runs, time.monotonic() - started)
    with open(os.path.join(HERE, "results", f"{options.name}.md"), "w", encoding="utf-8") as file:
        file.write(report)
    print(report)
    wrong = below_expectation(options.name, runs)
    for line in wrong:
        print(f"below expectation: {line}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
