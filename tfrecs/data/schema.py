"""What one record holds: a user's time-ordered, id-encoded sequence. One spec to write, read and serve.

A record is a ``tf.train.Example`` with

| feature     | type, length | meaning                                                             |
|-------------|--------------|---------------------------------------------------------------------|
| `user`      | int64, 1     | user id, from 1                                                     |
| `split`     | int64, 2     | `train_end`, `valid_end`: training is `[0, train_end)`, validation  |
|             |              | `[train_end, valid_end)`, test `[valid_end, n)`                     |
| `item`      | int64, n     | item ids, from 1, oldest first                                      |
| `timestamp` | int64, n     | seconds; only when the source has timestamps                        |
| `rating`    | float, n     | only when the source has ratings                                    |
| `action`    | int64, n     | action ids, from 1; only when the source has actions                |

Id 0 is PAD everywhere; line n of a vocabulary file (counted from 0) is id n + 1.
"""

from collections.abc import Iterable

import tensorflow as tf

SCHEMA_VERSION = 2
PAD = 0

# The per-interaction features, in the order in which records and manifests list them.
SEQUENCE_FIELDS = {
    "item": tf.int64,
    "timestamp": tf.int64,
    "rating": tf.float32,
    "action": tf.int64,
}


def feature_spec(fields: Iterable[str]) -> dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature]:
    """The parsing spec of a record, for ``tf.io.parse_example``.

    Args:
        fields: names of the per-interaction features, a subset of `SEQUENCE_FIELDS`.

    Returns:
        dict of feature name to `tf.io.FixedLenFeature` or `tf.io.RaggedFeature`.

    Example:
        >>> sorted(feature_spec(["item"]))
        ['item', 'split', 'user']
    """
    spec = {
        "user": tf.io.FixedLenFeature([], tf.int64),
        "split": tf.io.FixedLenFeature([2], tf.int64),
    }
    for name in fields:
        spec[name] = tf.io.RaggedFeature(SEQUENCE_FIELDS[name], row_splits_dtype=tf.int64)
    return spec
