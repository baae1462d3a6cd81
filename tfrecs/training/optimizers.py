"""Optimizers by name."""

import keras


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
    return keras.optimizers.Adam(config.learning_rate, epsilon=config.epsilon, global_clipnorm=clip)
