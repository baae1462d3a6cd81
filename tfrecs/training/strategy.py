"""Which devices a run uses."""

import functools

import tensorflow as tf


def create(name: str) -> tf.distribute.Strategy:
    """The distribution strategy of a `--strategy` value.

    Args:
        name: `none` (one device), `mirrored` (every visible GPU, else every logical CPU), or `auto` (mirrored where
            there are several GPUs, else one device).

    Returns:
        `tf.distribute.Strategy`.

    Example:
        >>> create("none").num_replicas_in_sync
        1
    """
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return _mirrored(tuple(device.name for device in devices))
    return tf.distribute.get_strategy()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """One strategy a process: each numbers its collectives from 100, and a second one's meet the first one's shapes."""
    return tf.distribute.MirroredStrategy(devices)
