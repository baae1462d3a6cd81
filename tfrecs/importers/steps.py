"""Gradients and training steps of a model, under the names of its original, from any weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrecs.importers.porter import NameTable, parts
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.models.train_step import global_norm, merge_rows

PERTURBATION = 2.4e-7  # of each weight, relative: two units in float32's last place
STEP_PERTURBATION = 1e-5  # of the learning rate, relative: Keras's Adam rounds its bias correction by about as much
PERTURBED_RUNS = 4
NUM_STEPS = 3


class Steps:
    """Gradients, the norm to clip, and training steps, from any weights.

    Args:
        model: `SequentialRecommender`; compiled here.
        table: dict of original name to variable or `Part`.
        batches: dict of prefix to examples; `{"": examples}` where there is one batch.
        order: list of `(prefix, learning rate)`, a step each; rate None is the optimizer's own.
        optimizer: Keras optimizer.
        loss: `f(model, examples)`, what the original recorded as its loss.
    """

    def __init__(
        self,
        model: SequentialRecommender,
        table: NameTable,
        batches: Mapping[str, Mapping[str, tf.Tensor]],
        order: Sequence[tuple[str, float | None]],
        optimizer: keras.optimizers.Optimizer,
        loss: Callable[[Any, Mapping[str, tf.Tensor]], tf.Tensor],
    ) -> None:
        self.model, self.table, self.batches, self.order = model, parts(table), batches, order
        self.loss = loss
        model.compile(optimizer=optimizer, jit_compile=False)
        optimizer.build(model.trainable_variables)
        self.variables = list({id(part.variable): part.variable for part in self.table.values()}.values())
        self.initial = [(variable, variable.numpy()) for variable in [*optimizer.variables, *self.variables]]
        self.learning_rate = float(optimizer.learning_rate)

    def __call__(self, weights: Mapping[str, np.ndarray], stride: float = 1.0) -> dict[str, np.ndarray]:
        """Everything that depends on the weights and is no output.

        Args:
            weights: dict of original name to array.
            stride: float, scales the learning rates.

        Returns:
            dict of float64 arrays, under the golden file's names.
        """
        for variable, value in self.initial:
            variable.assign(value)
        for name, part in self.table.items():
            part.assign(weights[name])
        found = {}
        for prefix, batch in self.batches.items():
            gradients, found[f"output/{prefix}global_norm_tf1"] = self._gradients(batch)
            for name, part in self.table.items():
                group = "grad" if part.variable.trainable else "grad_untrained"
                found[f"{group}/{prefix}{name}"] = part.theirs(gradients[id(part.variable)])
        curve = []
        for step, (prefix, rate) in enumerate(self.order, 1):
            batch = self.batches[prefix]
            curve.append(np.mean(self.loss(self.model, batch)))
            self.model.optimizer.learning_rate.assign(stride * (self.learning_rate if rate is None else rate))
            self.model.train_step(batch)
            found |= {f"after{step}/{name}": part.numpy() for name, part in self.table.items()}
        found["loss_curve"], found["output/loss_after3"] = curve, self.loss(self.model, batch)
        return {name: np.asarray(value, np.float64) for name, value in found.items()}

    def _gradients(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[int, np.ndarray], tf.Tensor]:
        model, context = self.model, tf.distribute.get_replica_context()
        sources = [variable.value for variable in self.variables]
        with tf.GradientTape() as tape:
            tape.watch(sources)  # those that are not trained have a gradient too
            objective = _objective(model, batch)
        gradients = tape.gradient(objective, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        dense = [merge_rows(gradient, dense=True) for gradient in gradients]
        counted = gradients if model.clip_unmerged_rows else dense
        counted = [gradient for gradient, variable in zip(counted, self.variables) if variable.trainable]
        arrays = {id(variable): gradient.numpy() for gradient, variable in zip(dense, self.variables)}
        return arrays, global_norm(counted, context)


def _objective(model: SequentialRecommender, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The loss of a batch as the shared train step has it, on one device."""
    terms, weights = model.loss_terms(batch, training=True)
    objective = tf.reduce_sum(terms * weights)
    if model.loss_reduction == "mean":
        objective /= tf.reduce_sum(weights)
    return tf.add_n([objective, *model.losses])


def spread(steps: Steps, weights: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """How far rounding moves each entry, as far as steps from weights that differ in their last digits tell.

    Args:
        steps: `Steps`.
        weights: dict of original name to array.
        found: what `steps(weights)` gave.

    Returns:
        dict like `found`, the largest difference of each entry.
    """
    moved: dict[str, np.ndarray] = {}
    random = np.random.default_rng(0)
    for _ in range(PERTURBED_RUNS):
        wobbly = {
            name: (value * (1 + PERTURBATION * random.uniform(-1, 1, value.shape))).astype(value.dtype)
            for name, value in sorted(weights.items())
        }
        for name, value in steps(wobbly, 1 + STEP_PERTURBATION * random.uniform(-1, 1)).items():
            moved[name] = np.maximum(moved.get(name, 0.0), np.abs(value - found[name]))
    return moved
