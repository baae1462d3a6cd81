"""A random split that needs no list: whether an interaction is held out follows from its user and item."""

import tensorflow as tf

# The constants of splitmix64 (Steele, Lea and Flood, 2014), which spreads counters over 64 bits.
GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


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
    mixed = _mix(_mix(tf.cast(users, tf.uint64) + _constant(seed)) + tf.cast(items, tf.uint64))
    return tf.cast(tf.bitwise.right_shift(mixed, _constant(11)), tf.float64) / 2.0**53


def _mix(value):
    value += _constant(GOLDEN)
    for shift, factor in ((30, FIRST), (27, SECOND), (31, 1)):
        value = tf.bitwise.bitwise_xor(value, tf.bitwise.right_shift(value, _constant(shift))) * _constant(factor)
    return value


def _constant(value):
    return tf.constant(value, tf.uint64)
