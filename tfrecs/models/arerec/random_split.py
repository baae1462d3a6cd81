"""A hash-based random split: whether an interaction is held out follows from its user and item."""

import tensorflow as tf

from tfrecs.data.hashing import constant, mix, unit


def held_out(users, items, share, seed):
    """Which interactions are held out; the same on any machine and in any order of reading.

    Args:
        users, items: int64 `[...]`; an interaction repeated goes the same way every time.
        share: float in [0, 1), how many, about; 0 holds nothing out.
        seed: int, another split.

    Returns:
        bool `[...]`.

    Example:
        >>> held_out(tf.constant([1, 2, 3, 4, 5], tf.int64), tf.constant(7, tf.int64), 0.5, 0).numpy().tolist()
        [True, True, False, True, False]
    """
    return position(users, items, seed) < share


def position(users, items, seed):
    """A number for each interaction, float64 `[...]` in [0, 1), that looks drawn at random; see `held_out`."""
    return unit(mix(mix(tf.cast(users, tf.uint64) + constant(seed)) + tf.cast(items, tf.uint64)))
