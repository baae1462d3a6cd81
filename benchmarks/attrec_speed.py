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
from collections.abc import Callable, Mapping, Sequence

import flags

from data_prep.prepare import prepare
from tfrecs.options import Option
from tfrecs.progress import StageProgress

HERE = os.path.dirname(os.path.abspath(__file__))
ORIGINAL = "published code, batch 256"
OPTIONS = {
    "original": Option(str, None, "a checkout of the published code", required=True),
    "python": Option(str, None, "a Python 3.7 with TensorFlow 1.15", required=True),
    "ratings": Option(str, None, "the file u.data", required=True),
    "steps": Option(int, 300, "training steps in a round", 1),
    "rounds": Option(int, 5, "how often the sides take turns", 1),
    "batch_sizes": Option(tuple, (256, 512, 1024), "our batch sizes", 1, words=True),
    "results": Option(str, os.path.join(HERE, "results"), "the directory for the table"),
}


def original(options: argparse.Namespace) -> dict[str, float]:
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

    def __init__(self, data_dir: str, batch_size: int, steps: int) -> None:
        import tensorflow as tf

        from tfrecs.data.manifest import load
        from tfrecs.runs.config import TrainConfig
        from tfrecs.training.experiment import Experiment

        config = TrainConfig(batch_size=batch_size)
        self.run = Experiment("attrec", {}, config, data_dir, load(data_dir), os.path.join(data_dir, "run"))
        self.batches, self.steps = self.run.training_batches("train"), steps
        self.step = tf.function(self.run.model.train_step, reduce_retracing=True)
        self.run.evaluator.evaluate("test")  # traces what the rounds time

    def __call__(self) -> dict[str, float]:
        windows, started = 0, time.perf_counter()
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


def report(rates: Mapping[str, Sequence[Mapping[str, float]]], options: argparse.Namespace) -> str:
    """The Markdown table.

    Args:
        rates: dict of side to a list of dicts `train` and `eval`, one per round; `ORIGINAL` is among the sides.
        options: the command line's `steps` and `rounds`.

    Returns:
        str.
    """
    import tensorflow as tf

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


@flags.program
def main(argv: Sequence[str]) -> int:
    """Alternates the sides; writes and prints the table."""
    options = flags.parse(argv, OPTIONS, __doc__)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = os.path.join(folder, "ml-100k")
        prepare("ml-100k", data_dir, StageProgress(None), raw_dir=os.path.dirname(os.path.abspath(options.ratings)))
        sides: dict[str, Callable[[], dict[str, float]]] = {ORIGINAL: lambda: original(options)}
        sides |= {f"tfrecs, batch {size}": Ours(data_dir, size, options.steps) for size in options.batch_sizes}
        rates: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for number in range(options.rounds):
            for name, side in sides.items():
                rates[name].append(side())
                print(f"round {number + 1}: {name}: {rates[name][-1]}", file=sys.stderr, flush=True)
    text = report(rates, options)
    os.makedirs(options.results, exist_ok=True)
    with open(os.path.join(options.results, "attrec_speed.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
