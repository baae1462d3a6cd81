"""tfrecs as a side of `compare.py` and `speed.py`: real batches and the training loop's own step, on prepared data.

Usage: `python ours.py DATA_DIR --model NAME [flags of examples/run.py]`; then rounds on stdin, see `server.py`:
`{"round": "train", "steps": 100}`, `{"round": "evaluate"}`, `{"round": "read", "steps": 100}`, `{"round": "cost"}`,
`{"round": "machine"}`.
"""

import dataclasses
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
from tfrecs.runs.checkpoints import Checkpoints
from tfrecs.training import recipe as recipes
from tfrecs.training.experiment import Experiment, enable_determinism
from tfrecs.training.loop import Loop

FOREVER = 1_000_000
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
        store = Checkpoints(experiment.run_dir, model)  # which is not asked to save any
        loop = Loop(model, experiment.strategy, config, store, experiment.training_batches(config.train_split))
        batches = loop.batches(0, FOREVER, 0)
        self.step, self.batches, self.number = loop._step_function(batches), iter(batches), 0
        self.train(WARM_UP)

    def train(self, steps: int) -> dict[str, float]:
        """Training steps as a run makes them, reading included.

        Args:
            steps: int.

        Returns:
            dict: `rate`, targets per second; `examples`, rows per second; `tokens`, items of histories per second;
            `fill`, the share of places that hold an item; `ms` a step; `waited`, the share of time spent on reading.
        """
        read, waited, started = [], 0.0, time.perf_counter()
        for _ in range(steps):
            before = time.perf_counter()
            batch = next(self.batches)
            waited += time.perf_counter() - before
            read.append(batch)
            self.number += 1
            self.step(batch, tf.constant(self.number, tf.int64))
        float(self.experiment.model.loss_mean.result())
        seconds = time.perf_counter() - started
        examples, targets, tokens, places = np.sum([count(batch) for batch in read], axis=0)
        return {
            "rate": targets / seconds,
            "examples": examples / seconds,
            "tokens": tokens / seconds,
            "fill": tokens / places,
            "ms": 1e3 * seconds / steps,
            "waited": waited / seconds,
        }

    def read(self, steps: int) -> dict[str, float]:
        """Batches alone, without training on them: `rate`, batches per second."""
        started = time.perf_counter()
        for _ in range(steps):
            next(self.batches)
        return {"rate": steps / (time.perf_counter() - started)}

    def evaluate(self) -> dict[str, float]:
        """The test split once, by the model's protocol: `rate`, users per second."""
        metrics, seconds = self.experiment.evaluator.evaluate("test")
        return {"rate": metrics["users"] / seconds}

    def cost(self) -> dict[str, float]:
        """What a step costs.

        Returns:
            dict: `gflop`, floating point operations of the matrix products of a step; `mb`, the parameters and the
            optimizer's state; `peak_mb`, the most memory that the process has held.
        """
        model, batch = self.experiment.model, next(self.batches)
        counted = operations.of_products(lambda: model.train_step(batch))
        variables = [*model.variables, *model.optimizer.variables]
        return {
            "gflop": counted / 1e9,
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
