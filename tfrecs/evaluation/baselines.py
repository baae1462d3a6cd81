"""What a model has to beat: popularity, and counts of what follows the most recent item."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfrecs import metrics


class Popularity:
    """Ranks by how often an item occurs in training.

    Args:
        item_counts: int array `[items + 1]`, from `data.statistics.item_counts`.

    Example:
        >>> baseline = Popularity([0, 5, 9])
        >>> batch = {"user": tf.constant([7], tf.int64)}
        >>> baseline.rank(batch, tf.constant([1], tf.int64), tf.zeros([1, 0], tf.int64)).numpy().tolist()
        [2]
    """

    def __init__(self, item_counts: Sequence[int] | np.ndarray) -> None:
        self.counts = tf.constant(item_counts, tf.float64)  # counts and fractions both stay exact
        self.num_items = len(item_counts) - 1

    def score(self, batch: Mapping[str, tf.Tensor], items: tf.Tensor) -> tf.Tensor:
        """Scores `[batch, count]` of items `[count]` or `[batch, count]`; `SequentialRecommender.score`."""
        scores = tf.gather(self.counts, items)
        return scores if scores.shape.rank == 2 else tf.tile(scores[tf.newaxis], [_rows(batch), 1])

    def rank(self, batch: Mapping[str, tf.Tensor], target: tf.Tensor, excluded: tf.Tensor) -> tf.Tensor:
        """The pessimistic rank of each target; see `metrics.checked_rank`."""
        return self.checked_rank(batch, target, excluded)[0]

    def checked_rank(
        self, batch: Mapping[str, tf.Tensor], target: tf.Tensor, excluded: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """See `metrics.checked_rank`."""
        return metrics.checked_rank(lambda items: self.score(batch, items), target, excluded, self.num_items)


class Transitions(Popularity):
    """Ranks by how often an item follows the most recent one in training, then by popularity.

    Args:
        item_counts: int array `[items + 1]`.
        pairs: int array `[transitions, 2]`, every (item, next item) of the training parts.
    """

    def __init__(self, item_counts: np.ndarray, pairs: np.ndarray) -> None:
        super().__init__(item_counts)
        keys, counts = np.unique(pairs[:, 0] * len(item_counts) + pairs[:, 1], return_counts=True)
        self.keys = tf.constant(keys, tf.int64)
        self.next_item = tf.constant(keys % len(item_counts))
        self.next_count = tf.constant(counts, tf.float64)
        starts = np.searchsorted(keys // len(item_counts), np.arange(len(item_counts) + 1))
        self.row_splits = tf.constant(starts, tf.int64)
        self.below_one = self.counts / (tf.reduce_max(self.counts) + 1.0)

    def score(self, batch: Mapping[str, tf.Tensor], items: tf.Tensor) -> tf.Tensor:
        """Scores `[batch, count]`: the count, and below one for popularity."""
        history = tf.pad(batch["seen"], [[0, 0], [0, 1]])  # one place more: nobody may have any
        filled = tf.reduce_sum(tf.cast(history != 0, tf.int64), axis=1)
        last = tf.gather(history, tf.maximum(filled - 1, 0), axis=1, batch_dims=1)
        counts = self._of_catalogue(last, items) if items.shape.rank == 1 else self._of_candidates(last, items)
        return counts + tf.gather(self.below_one, items)

    def _of_catalogue(self, last: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        first, end = tf.gather(self.row_splits, last), tf.gather(self.row_splits, last + 1)
        position = tf.ragged.range(first, end)
        column = tf.gather(self.next_item, position.flat_values) - items[0]
        inside = tf.logical_and(column >= 0, column < tf.size(items, tf.int64))
        index = tf.boolean_mask(tf.stack([position.value_rowids(), column], 1), inside)
        counts = tf.boolean_mask(tf.gather(self.next_count, position.flat_values), inside)
        shape = tf.stack([tf.size(last, tf.int64), tf.size(items, tf.int64)])
        return tf.scatter_nd(index, counts, shape)

    def _of_candidates(self, last: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        wanted = last[:, tf.newaxis] * (self.num_items + 1) + items
        at = tf.reshape(tf.searchsorted(self.keys, tf.reshape(wanted, [-1]), out_type=tf.int64), tf.shape(wanted))
        found = tf.gather(tf.concat([self.keys, [-1]], 0), at) == wanted
        return tf.where(found, tf.gather(tf.concat([self.next_count, [0.0]], 0), at), 0.0)


def _rows(batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    return tf.shape(next(iter(batch.values())))[0]
