"""Optimizers by name."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfrecs")
class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam with TensorFlow's fused kernel for dense gradients: the same update in one pass over memory.

    Arguments as for `keras.optimizers.Adam`; `amsgrad` is not supported.

    Example:
        >>> variable = keras.Variable([1.0])
        >>> _ = FusedAdam(0.1).apply_gradients([(tf.constant([3.0]), variable)])
        >>> round(float(variable[0]), 4)
        0.9
    """

    def update_step(
        self, gradient: tf.Tensor | tf.IndexedSlices, variable: keras.Variable, learning_rate: tf.Tensor | float
    ) -> None:
        """Updates one variable and its moments; a sparse gradient is made dense, since every moment decays."""
        if self.amsgrad:
            return super().update_step(gradient, variable, learning_rate)
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        beta_1, beta_2 = (tf.constant(beta, variable.dtype) for beta in (self.beta_1, self.beta_2))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, variable.dtype),
            grad=tf.cast(tf.convert_to_tensor(gradient), variable.dtype),
        )


@keras.saving.register_keras_serializable("tfrecs")
class LazyAdam(FusedAdam):
    """Adam that updates only rows with a gradient, for large tables of which a batch uses few rows.

    NOTE: another algorithm than Adam: the moments of a row that no gradient reaches neither decay nor move it, until
    one reaches it again. Only gradients that arrive sparse are treated so, with rows that do not repeat: on one
    device, of tables above `models.train_step.DENSE_ROWS` rows, without XLA. All others are updated as by Adam.

    A constraint that acts on each row by itself, and says so as `acts_on_rows`, is applied to the updated rows only.

    Arguments as for `keras.optimizers.Adam`; `amsgrad` is not supported.

    Example:
        >>> table, optimizer = keras.Variable([[1.0], [1.0]]), LazyAdam(0.1)
        >>> for row in (0, 1):
        ...     slices = tf.IndexedSlices(tf.constant([[3.0]]), tf.constant([row]), tf.constant([2, 1]))
        ...     _ = optimizer.apply_gradients([(slices, table)])
        >>> round(float(table[0, 0]), 4)
        0.9
    """

    def apply(self, grads: Sequence[Any], trainable_variables: Iterable[keras.Variable] | None = None) -> None:
        """As Keras's, which would apply every constraint to whole tables."""
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        sparse = [variable for gradient, variable in zip(grads, variables) if isinstance(gradient, tf.IndexedSlices)]
        held = [(v, v.constraint) for v in sparse if getattr(v.constraint, "acts_on_rows", False)]
        self._of_rows = {variable.value.handle.ref(): constraint for variable, constraint in held}
        try:
            for variable, _ in held:
                variable.constraint = None
            super().apply(grads, variables)
        finally:
            for variable, constraint in held:
                variable.constraint = constraint

    def update_step(
        self, gradient: tf.Tensor | tf.IndexedSlices, variable: keras.Variable, learning_rate: tf.Tensor | float
    ) -> None:
        """Updates one variable, or those of its rows that have a gradient, and their moments."""
        if not isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
            return super().update_step(gradient, variable, learning_rate)
        index, rows = self._get_variable_index(variable), gradient.indices
        values, rate = tf.cast(gradient.values, variable.dtype), tf.cast(learning_rate, variable.dtype)
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        rate *= tf.sqrt(1 - tf.pow(tf.cast(self.beta_2, variable.dtype), step))
        rate /= 1 - tf.pow(tf.cast(self.beta_1, variable.dtype), step)
        momentum, velocity = self._momentums[index].value, self._velocities[index].value
        m = self.beta_1 * tf.gather(momentum, rows) + (1 - self.beta_1) * values
        v = self.beta_2 * tf.gather(velocity, rows) + (1 - self.beta_2) * tf.square(values)
        for slot, value in ((momentum, m), (velocity, v)):
            tf.raw_ops.ResourceScatterUpdate(resource=slot.handle, indices=rows, updates=value)
        step = rate * m / (tf.sqrt(v) + self.epsilon)
        constraint = self._of_rows.get(variable.handle.ref())
        if constraint is None:
            tf.raw_ops.ResourceScatterSub(resource=variable.handle, indices=rows, updates=step)
            return
        before = tf.raw_ops.ResourceGather(resource=variable.handle, indices=rows, dtype=variable.dtype)
        updates = constraint(before - step)
        tf.raw_ops.ResourceScatterUpdate(resource=variable.handle, indices=rows, updates=updates)


class Settings(Protocol):
    """The part of a `TrainConfig` that says which optimizer it is."""

    @property
    def optimizer(self) -> str: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def epsilon(self) -> float: ...
    @property
    def beta_2(self) -> float: ...
    @property
    def global_clipnorm(self) -> float: ...


OPTIMIZERS = {
    "adam": FusedAdam,
    "lazy_adam": LazyAdam,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "adagrad": keras.optimizers.Adagrad,
    "adadelta": keras.optimizers.Adadelta,
}


def create(config: Settings) -> keras.optimizers.Optimizer:
    """The optimizer of a `TrainConfig`.

    NOTE: Adam here is dense: the moments of rows that a batch does not touch decay too, as in the originals;
    `lazy_adam` is not.

    Example:
        >>> from tfrecs.runs.config import TrainConfig
        >>> create(TrainConfig(global_clipnorm=5.0)).global_clipnorm
        5.0
    """
    options = {"global_clipnorm": config.global_clipnorm or None}
    if config.optimizer != "sgd":
        options["epsilon"] = config.epsilon
    if config.optimizer in ("adam", "lazy_adam"):
        options["beta_2"] = config.beta_2
    return OPTIMIZERS[config.optimizer](config.learning_rate, **options)
