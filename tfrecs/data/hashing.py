"""Deterministic pseudo-random numbers derived from ids: splitmix64 (Steele, Lea and Flood, 2014) in the graph."""

import tensorflow as tf

GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(value: tf.Tensor) -> tf.Tensor:
    """Spreads counters, uint64 `[...]`, over 64 bits: the output of splitmix64 after the state `value`."""
    value += constant(GOLDEN)
    for shift, factor in ((30, FIRST), (27, SECOND), (31, 1)):
        value = tf.bitwise.bitwise_xor(value, tf.bitwise.right_shift(value, constant(shift))) * constant(factor)
    return value


def unit(mixed: tf.Tensor) -> tf.Tensor:
    """The upper 53 bits of uint64 `[...]` as float64 in [0, 1).

    Example:
        >>> float(unit(mix(constant(0))).numpy().round(3))
        0.883
    """
    return tf.cast(tf.bitwise.right_shift(mixed, constant(11)), tf.float64) / 2.0**53


def position(users: tf.Tensor, items: tf.Tensor, seed: int) -> tf.Tensor:
    """A pseudo-random number for each interaction, the same on any machine and in any order of reading.

    Args:
        users, items: int64 `[...]`; a repeated interaction gets the same number every time.
        seed: int, other numbers.

    Returns:
        float64 `[...]` in [0, 1).
    """
    return unit(mix(mix(tf.cast(users, tf.uint64) + constant(seed)) + tf.cast(items, tf.uint64)))


def constant(value: int) -> tf.Tensor:
    """A Python int as a uint64 scalar."""
    return tf.constant(value, tf.uint64)
