"""AttRec's speed against the original's, side by side on the same machine, alternating (A B A B ...).

    python benchmarks/attrec_speed.py --original CHECKOUT --python PYTHON37 --ratings u.data

CHECKOUT is https://github.com/slientGe/AttRec, PYTHON37 a Python with TensorFlow 1.15, `u.data` MovieLens 100K. Both
train on windows of 5 + 3 items with 10 negatives, 100 wide; ours with the preset `recommended` except for the batch
sizes named. Rates are windows per second of training steps, reading and negative sampling included, and users ranked
per second. The table goes to `benchmarks/results/attrec_speed.md`: medians over rounds, and of the ratios within a
round the median and the range.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import tensorflow as tf

from data_prep.prepare import prepare
from tfrecs.data.manifest import load
from tfrecs.progress import StageProgress
from tfrecs.runs.config import TrainConfig
from tfrecs.training.experiment import Experiment

HERE = os.path.dirname(os.path.abspath(__file__))
ORIGINAL = "published code, batch 256"


def original(options):
    """One round of the original: dict of `train` and `eval` rates."""
    script = os.path.join(HERE, "attrec_original.py")
    command = [options.python, script, options.original, options.ratings, str(options.steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


class Ours:
    """Our side at one batch size; built once, then one round per call.

    Args:
        data_dir: str, prepared data.
        batch_size: int.
        steps: int, steps to time; an epoch starts over where it has fewer.
    """

    def __init__(self, data_dir, batch_size, steps):
        config = TrainConfig(batch_size=batch_size)
        self.run = Experiment("attrec", {}, config, data_dir, load(data_dir), os.path.join(data_dir, "run"))
        self.batches, self.steps = self.run.training_batches("train"), steps
        self.step = tf.function(self.run.model.train_step, reduce_retracing=True)
        self.run.evaluator.evaluate("test")  # traces what the rounds time

    def __call__(self):
        windows, started = 0, None
        for number, batch in enumerate(self.batches(0, 1000)):
            if number == 5:  # the first steps set things up
                windows, started = 0, time.perf_counter()
            self.step(batch)
            windows += int(batch["user"].shape[0])
            if number == self.steps + 4:
                break
        train_seconds = time.perf_counter() - started
        test, seconds = self.run.evaluator.evaluate("test")
        return {"train": windows / train_seconds, "eval": test["users"] / seconds}


def report(rates, options):
    """The Markdown table.

    Args:
        rates: dict of side to a list of dicts `train` and `eval`, one per round; `ORIGINAL` is among the sides.
        options: the command line's `steps` and `rounds`.

    Returns:
        str.
    """
    lines = [
        "# AttRec's speed against the published code's",
        "",
        f"- MovieLens 100K; {options.rounds} rounds, the sides taking turns; {options.steps} training steps and one "
        "ranking of all test users a round",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores; load of the last minute at the end: "
        f"{os.getloadavg()[0]:.1f}; TensorFlow {tf.__version__}, the published code under 1.15",
        "- rates are medians; ratios are medians of the ratios within a round, with their range",
        "",
        "| | training, windows/s | ratio | ranking, users/s | ratio |",
        "|---|---|---|---|---|",
    ]
    for side, rounds in rates.items():
        cells = []
        for kind in ("train", "eval"):
            ratios = [own[kind] / base[kind] for own, base in zip(rounds, rates[ORIGINAL], strict=True)]
            span = "" if side == ORIGINAL else f" [{min(ratios):.1f}, {max(ratios):.1f}]"
            cells.append(f"{statistics.median(own[kind] for own in rounds):,.0f}")
            cells.append(f"{statistics.median(ratios):.1f}x{span}")
        lines.append(f"| {side} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(argv=None):
    """Alternates the sides; writes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("original", "python", "ratings"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--results", default=os.path.join(HERE, "results"), help="the directory for the table")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = os.path.join(folder, "ml-100k")
        prepare("ml-100k", data_dir, StageProgress(None), raw_dir=os.path.dirname(os.path.abspath(options.ratings)))
        sides = {ORIGINAL: lambda: original(options)}
        sides |= {f"tfrecs, batch {size}": Ours(data_dir, size, options.steps) for size in options.batch_sizes}
        rates = {name: [] for name in sides}
        for number in range(options.rounds):
            for name, side in sides.items():
                rates[name].append(side())
                print(f"round {number + 1}: {name}: {rates[name][-1]}", file=sys.stderr, flush=True)
    text = report(rates, options)
    os.makedirs(options.results, exist_ok=True)
    with open(os.path.join(options.results, "attrec_speed.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
