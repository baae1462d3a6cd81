"""ARERec's random split, by hash: whether an interaction is held out follows from its user and item."""

import functools

import tensorflow as tf

from tfrecs.data.hashing import position
from tfrecs.data.statistics import HeldOut


def random_split(share: float, seed: int) -> HeldOut | None:
    """A split for `SequentialRecommender.own_split`.

    Args:
        share: float in [0, 1), about so much of all interactions is held out.
        seed: int, another split.

    Returns:
        `f(users, items) -> bool`, see `held_out`; None where `share` is 0 and the data's split decides.

    Example:
        >>> import tensorflow as tf
        >>> is_held_out = random_split(0.5, 0)
        >>> is_held_out(tf.constant([1, 2, 3, 4, 5], tf.int64), tf.constant(7, tf.int64)).numpy().tolist()
        [True, True, False, True, False]
    """
    return functools.partial(held_out, share=share, seed=seed) if share else None


def held_out(users: tf.Tensor, items: tf.Tensor, share: float, seed: int) -> tf.Tensor:
    """Which interactions are held out; the same on any machine and in any order of reading.

    Args:
        users, items: int64 `[...]`; a repeated interaction is always on the same side.
        share, seed: as for `random_split`.

    Returns:
        bool `[...]`.
    """
    return position(users, items, seed) < share
