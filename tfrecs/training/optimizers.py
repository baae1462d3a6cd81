"""Optimizers by name."""

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

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its moments."""
        if isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
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
            grad=tf.cast(gradient, variable.dtype),
        )


def create(config):
    """The optimizer of a `TrainConfig`.

    NOTE: Adam here is dense: the moments of rows that a batch does not touch decay too, as in the originals.

    Example:
        >>> from tfrecs.training.config import TrainConfig
        >>> create(TrainConfig(global_clipnorm=5.0)).global_clipnorm
        5.0
    """
    clip = config.global_clipnorm or None
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(config.learning_rate, global_clipnorm=clip)
    return FusedAdam(config.learning_rate, epsilon=config.epsilon, global_clipnorm=clip)
