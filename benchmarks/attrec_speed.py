"""AttRec's speed beside the original's, side by side on the same machine, alternating, medians of several rounds.

    python benchmarks/attrec_speed.py --original CHECKOUT --python PYTHON37 --ratings u.data

CHECKOUT is https://github.com/slientGe/AttRec, PYTHON37 a Python with TensorFlow 1.15, `u.data` MovieLens
100K. Both train on windows of 5 + 3 items with 10 negatives, 100 wide; ours with the preset `recommended` but for the batch sizes named.
Rates are windows per second of training steps, reading and negative sampling included, and users ranked per second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import tensorflow as tf

from data_prep.prepare import prepare
from data_prep.progress import Progress
from tfrecs.data.manifest import load
from tfrecs.training.config import TrainConfig
from tfrecs.training.experiment import Experiment


def original(options):
    """One round of the original: dict of `train` and `eval` rates."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "attrec_original.py")
    command = [options.python, script, options.original, options.ratings, str(options.steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


class Ours:
    """Our side at one batch size; built once, then one round per call.

    Args:
        data_dir: str, prepared data.
        batch_size: int.
        steps: int, steps to time.
    """

    def __init__(self, data_dir, batch_size, steps):
        config = TrainConfig(batch_size=batch_size)
        self.run = Experiment("attrec", {}, config, data_dir, load(data_dir), os.path.join(data_dir, "run"))
        self.batches, self.steps = self.run.training_batches("train"), steps
        self.step = tf.function(self.run.model.train_step, reduce_retracing=True)

    def __call__(self):
        windows, started = 0, None
        for number, batch in enumerate(self.batches(0, 1000)):
            if number == 5:
                windows, started = 0, time.perf_counter()
            self.step(batch)
            windows += int(batch["user"].shape[0])
            if number == self.steps + 4:
                break
        train_seconds = time.perf_counter() - started
        self.run.evaluate("test")
        test, seconds = self.run.evaluate("test")
        return {"train": windows / train_seconds, "eval": test["users"] / seconds}


def main():
    """Alternates the sides and prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("original", "python", "ratings"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[256, 512, 1024])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = os.path.join(folder, "ml-100k")
        raw_dir = os.path.dirname(os.path.abspath(options.ratings))
        prepare("ml-100k", data_dir, Progress(None), raw_dir=raw_dir)
        sides = {f"tfrecs, batch {size}": Ours(data_dir, size, options.steps) for size in options.batch_sizes}
        sides["original, batch 256"] = lambda: original(options)
        rates = {name: [] for name in sides}
        for number in range(options.rounds):
            for name, side in sides.items():
                rates[name].append(side())
                print(f"round {number + 1}: {name}: {rates[name][-1]}", file=sys.stderr, flush=True)
    for kind, unit in (("train", "windows/s"), ("eval", "users/s")):
        median = {name: statistics.median(rate[kind] for rate in found) for name, found in rates.items()}
        for name, value in median.items():
            print(f"{kind:5}  {name:22} {value:10.0f} {unit}  {value / median['original, batch 256']:6.2f}x")


if __name__ == "__main__":
    main()
