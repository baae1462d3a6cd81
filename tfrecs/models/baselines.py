"""What a model has to beat: popularity, and counts of what follows the most recent item."""

import numpy as np
import tensorflow as tf

from tfrecs import metrics


class Popularity:
    """Ranks by how often an item occurs in training.

    Args:
        item_counts: int array `[items + 1]`, from `data.statistics.item_counts`.

    Example:
        >>> baseline = Popularity([0, 5, 9])
        >>> batch = {"target": tf.constant([1], tf.int64), "seen": tf.zeros([1, 0], tf.int64)}
        >>> baseline.rank(batch).numpy().tolist()
        [2]
    """

    def __init__(self, item_counts):
        self.counts = tf.constant(item_counts, tf.float64)  # counts and fractions both stay exact
        self.num_items = len(item_counts) - 1

    def score_items(self, batch, items):
        rows = tf.shape(batch["target"])[0]
        return tf.tile(tf.gather(self.counts, items)[tf.newaxis], [rows, 1])

    def rank(self, batch, exclude_seen=True):
        """The pessimistic rank of each target; see `metrics.pessimistic_rank`."""
        excluded = batch["seen"] if exclude_seen else batch["seen"][:, :0]
        return metrics.pessimistic_rank(
            lambda items: self.score_items(batch, items), batch["target"], excluded, self.num_items
        )


class Transitions(Popularity):
    """Ranks by how often an item follows the most recent one in training, then by popularity.

    Args:
        item_counts: int array `[items + 1]`.
        pairs: int array `[transitions, 2]`, every (item, next item) of the training parts.
    """

    def __init__(self, item_counts, pairs):
        super().__init__(item_counts)
        keys, counts = np.unique(pairs[:, 0] * len(item_counts) + pairs[:, 1], return_counts=True)
        self.next_item = tf.constant(keys % len(item_counts))
        self.next_count = tf.constant(counts, tf.float64)
        starts = np.searchsorted(keys // len(item_counts), np.arange(len(item_counts) + 1))
        self.row_splits = tf.constant(starts, tf.int64)
        self.below_one = self.counts / (tf.reduce_max(self.counts) + 1.0)

    def score_items(self, batch, items):
        filled = tf.reduce_sum(tf.cast(batch["history"] != 0, tf.int64), axis=1)
        last = tf.gather(batch["history"], tf.maximum(filled - 1, 0), axis=1, batch_dims=1)
        first, end = tf.gather(self.row_splits, last), tf.gather(self.row_splits, last + 1)
        position = tf.ragged.range(first, end)
        column = tf.gather(self.next_item, position.flat_values) - items[0]
        inside = tf.logical_and(column >= 0, column < tf.size(items, tf.int64))
        index = tf.boolean_mask(tf.stack([position.value_rowids(), column], 1), inside)
        counts = tf.boolean_mask(tf.gather(self.next_count, position.flat_values), inside)
        shape = tf.stack([tf.size(last, tf.int64), tf.size(items, tf.int64)])
        return tf.scatter_nd(index, counts, shape) + tf.gather(self.below_one, items)[tf.newaxis]
