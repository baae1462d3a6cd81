"""tfrecs as a side of `compare.py` and `speed.py`: real batches and the training loop's own step, on prepared data.

Usage: `python ours.py DATA_DIR --model NAME [flags of examples/run.py]`; then rounds on stdin, see `server.py`:
`{"round": "train", "steps": 100}`, `{"round": "evaluate"}`, `{"round": "read", "steps": 100}`, `{"round": "cost"}`,
`{"round": "machine"}`.
"""

import dataclasses
import itertools
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

import machine
import numpy as np
import operations
import tensorflow as tf
from server import serve

from tfrecs.data.manifest import load
from tfrecs.models import declarations
from tfrecs.options import of_defaults
from tfrecs.training import recipe as recipes
from tfrecs.training import steps as training_steps
from tfrecs.training.experiment import Experiment, enable_determinism

FOREVER = 1_000_000
SAMPLED = 2000  # batches at most of which targets and items are counted
WARM_UP = 8  # steps that set things up: batches of each size trace the step once


class Training:
    """Steps of a training that goes on and on.

    Args:
        data_dir: str, prepared data.
        flags: list of str for `examples/run.py`.
        run_dir: str, where nothing is written.
    """

    def __init__(self, data_dir: str, flags: list[str], run_dir: str) -> None:
        recipe = recipe_of(flags)
        config = dataclasses.replace(recipe.config, epochs=FOREVER, decay_epochs=0)
        enable_determinism()  # as every run has it
        manifest = load(data_dir)
        self.experiment = Experiment(recipe.model, recipe.model_arguments, config, data_dir, manifest, run_dir)
        experiment, model = self.experiment, self.experiment.model
        self.source = experiment.training_batches(config.train_split)
        bad, self.done = tf.Variable(-1, dtype=tf.int64, trainable=False), 0
        self.run = training_steps.function(model, experiment.strategy, bad, config.jit_compile)
        self.training = iter(training_steps.mark_last(self.source(0, FOREVER)))
        self.reading = iter(self.source(0, FOREVER))
        batches = itertools.islice(self.source(0, 1), SAMPLED)
        self.means = np.sum([count(batch) for batch in batches], axis=0)
        self.train(WARM_UP)

    def train(self, steps: int) -> dict[str, float]:
        """Training steps as a run makes them, reading included.

        Args:
            steps: int.

        Returns:
            dict: `rate`, targets per second; `examples`, rows per second; `tokens`, items of histories per second;
            `fill`, the share of places that hold an item; `ms` a step. Targets and items are counted over an epoch, or
            the first batches of one.
        """
        left, rows, started = steps, 0, time.perf_counter()
        while left:
            ahead = min(left, self.experiment.config.steps_per_execution)
            done, examples, _ = self.run(self.training, *(tf.constant(n, tf.int64) for n in (self.done, ahead)))
            left, rows, self.done = left - int(done), rows + int(examples), self.done + int(done)
        float(self.experiment.model.loss_mean.result())
        seconds = time.perf_counter() - started
        examples, targets, tokens, places = self.means
        return {
            "rate": rows * targets / examples / seconds,
            "examples": rows / seconds,
            "tokens": rows * tokens / examples / seconds,
            "fill": tokens / places,
            "ms": 1e3 * seconds / steps,
        }

    def read(self, steps: int) -> dict[str, float]:
        """Batches alone, without training on them: `rate`, batches per second, and `ms` a batch."""
        started = time.perf_counter()
        for _ in range(steps):
            next(self.reading)
        seconds = time.perf_counter() - started
        return {"rate": steps / seconds, "ms": 1e3 * seconds / steps}

    def evaluate(self) -> dict[str, float]:
        """The test split once, by the model's protocol: `rate`, users per second."""
        metrics, seconds = self.experiment.evaluator.evaluate("test")
        return {"rate": metrics["users"] / seconds}

    def cost(self) -> dict[str, float]:
        """What a step costs.

        Returns:
            dict: `gflop`, floating point operations of the matrix products of a step; `batches`, steps in an epoch;
            `mb`, the parameters and the optimizer's state; `peak_mb`, the most memory that the process has held.
        """
        model, batch = self.experiment.model, next(self.reading)
        counted = operations.of_products(lambda: model.train_step(batch))
        variables = [*model.variables, *model.optimizer.variables]
        return {
            "gflop": counted / 1e9,
            "batches": len(self.source),
            "mb": sum(variable.value.dtype.size * int(np.prod(variable.shape)) for variable in variables) / 2**20,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def recipe_of(flags: Sequence[str]) -> recipes.Recipe:
    """The recipe that flags stand for.

    Args:
        flags: list of str, names and values in turns; the names are those of arguments, `--model` first.

    Raises:
        InputError: an unknown name or a bad value.
    """
    named = {flag.removeprefix("--"): text for flag, text in zip(flags[::2], flags[1::2], strict=True)}
    model, preset = named.pop("model"), named.pop("preset", "recommended")
    defaults = recipes.training_arguments() | declarations.defaults(recipes.model_name(model))
    options = of_defaults(defaults, {}, {})
    given = {name: options[name].read(name, text) if name in options else text for name, text in named.items()}
    return recipes.create(model, preset, given)


def count(batch: Mapping[str, tf.Tensor]) -> tuple[int, int, int, int]:
    """What is in a batch: examples, targets, items of histories, and places for them, padding included.

    A target is what a positive example of the originals is: a window, a positive candidate, a rating, or a place of a
    history whose next item is predicted.
    """
    examples = int(batch["epoch"].shape[0])
    if "history" not in batch:
        return examples, examples, examples, examples
    history = batch["history"].numpy()
    targets = examples
    if "labels" in batch:
        targets = int(batch["labels"].numpy().sum())
    elif "targets" in batch and batch["targets"].shape == history.shape:
        targets = int((batch["targets"].numpy() > 0).sum())
    return examples, targets, int((history > 0).sum()), history.size


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        training = Training(sys.argv[1], sys.argv[2:], folder)
        rounds = {name: getattr(training, name) for name in ("train", "read", "evaluate", "cost")}
        serve({**rounds, "machine": machine.measure})
