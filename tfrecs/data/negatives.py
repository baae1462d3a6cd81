"""Negatives drawn in the graph: never an excluded item, without rejection, from any integer weights.

Excluding a set of items from a weighted draw removes its mass from the number line. A draw from the
remaining mass is mapped back by adding the excluded mass that lies before it, found by binary search:
exact, vectorised over all windows of a batch of users, and of a cost that does not depend on the catalogue
beyond one more binary search.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfrecs.data import hashing
from tfrecs.data.schema import PAD


def cumulative_weights(weights: ArrayLike) -> tf.Tensor:
    """Running sums of integer sampling weights.

    Args:
        weights: array-like of non-negative ints, `[items + 1]`, by item id; index 0 is PAD, normally 0.

    Returns:
        int64 tensor `[items + 2]`, where entry i is the sum of the weights of all ids below i.

    Raises:
        ValueError: a weight is negative, or all are 0.
    """
    weights = tf.convert_to_tensor(weights, tf.int64)
    if int(tf.reduce_min(weights)) < 0 or int(tf.reduce_sum(weights)) == 0:
        raise ValueError("weights must be non-negative and not all 0")
    return tf.concat([tf.zeros([1], tf.int64), tf.cumsum(weights)], 0)


def sorted_unique(values: tf.RaggedTensor, num_ids: int) -> tf.RaggedTensor:
    """Sorts each row of a ragged tensor of ids and drops repeats.

    Args:
        values: int64 ragged `[users, (ids)]`.
        num_ids: int, ids are below this.

    Returns:
        int64 ragged `[users, (ids)]`.

    Example:
        >>> sorted_unique(tf.ragged.constant([[3, 1, 3], []], tf.int64, row_splits_dtype=tf.int64), 4).to_list()
        [[1, 3], []]
    """
    num_rows = values.nrows()
    keys = tf.sort(values.value_rowids() * num_ids + values.flat_values)
    keys = tf.boolean_mask(keys, tf.concat([tf.ones_like(keys[:1], tf.bool), keys[1:] != keys[:-1]], 0))
    return tf.RaggedTensor.from_value_rowids(keys % num_ids, keys // num_ids, num_rows)


def remaining_weight(excluded: tf.RaggedTensor, cumulative: tf.Tensor) -> tf.Tensor:
    """The total weight each user can still draw from.

    Args:
        excluded: int64 ragged `[users, (ids)]`, as from `sorted_unique`.
        cumulative: as from `cumulative_weights`.

    Returns:
        int64 `[users]`; 0 where every item that has a weight is excluded.
    """
    return cumulative[-1] - tf.reduce_sum(_weights(excluded, cumulative), axis=1)


def draw(
    excluded: tf.RaggedTensor, rows: tf.Tensor, num_negatives: int, cumulative: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    """Draws ids in proportion to their weights, never an excluded one, independently of each other.

    Args:
        excluded: int64 ragged `[users, (ids)]`, sorted and unique within each row.
        rows: int64 `[windows]`, the user of each window; each must have `remaining_weight` above 0.
        num_negatives: int, draws per window.
        cumulative: as from `cumulative_weights`.
        seed: int tensor `[2]`; equal seeds give equal draws.

    Returns:
        int64 `[windows, num_negatives]`.

    Example:
        >>> seen = tf.ragged.constant([[1, 3]], tf.int64, row_splits_dtype=tf.int64)
        >>> drawn = draw(seen, tf.zeros([1], tf.int64), 50, cumulative_weights([0, 1, 1, 1, 1]), [1, 2])
        >>> sorted(set(drawn.numpy().ravel().tolist()))
        [2, 4]
    """
    uniform = tf.random.stateless_uniform([tf.shape(rows)[0], num_negatives], seed, dtype=tf.float64)
    return pick(excluded, rows, uniform, cumulative)


class Sampler:
    """Draws items for the users of one block; each call has a seed of its own.

    Args:
        excluded: int64 ragged `[users, (ids)]`, as for `draw`.
        cumulative: as from `cumulative_weights`.
        seed: int tensor `[2]`, the first call's.
        within_kinds: `WithinKinds` of the same weights, or None.

    Call arguments:
        rows: int64 `[windows]`, the user of each window.
        count: int, draws per window.
        like: int64 `[windows]` or None; with `within_kinds`, draws are of the kinds of these items.
        Returns int64 `[windows, count]`, never an item that is excluded for the user; PAD where no item of the kind is
        left.
    """

    def __init__(
        self, excluded: tf.RaggedTensor, cumulative: tf.Tensor, seed: tf.Tensor, within_kinds: WithinKinds | None = None
    ) -> None:
        self.excluded, self.cumulative, self.seed, self.calls = excluded, cumulative, seed, 0
        self.within_kinds = within_kinds

    def __call__(self, rows: tf.Tensor, count: int, like: tf.Tensor | None = None) -> tf.Tensor:
        if self.within_kinds is not None and like is not None:
            uniform = tf.random.stateless_uniform([tf.shape(rows)[0], count], self._next_seed(), dtype=tf.float64)
            return self.within_kinds.pick(self.excluded, rows, like, uniform)
        return draw(self.excluded, rows, count, self.cumulative, self._next_seed())

    def whole_catalogue(self, rows: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws from all items, those excluded for a user among them, so that one distribution holds for all users.

        Args:
            rows, count: as for a call.

        Returns:
            `(ids, log_probability)`: int64 and float32 `[windows, count]`, the logarithm of each id's share of the
            weights.
        """
        shape = [tf.shape(rows)[0], count]
        uniform = tf.random.stateless_uniform(shape, self._next_seed(), dtype=tf.float64)
        total = tf.cast(self.cumulative[-1], tf.float64)
        point = tf.reshape(tf.cast(tf.floor(uniform * total), tf.int64), [-1])
        ids = tf.searchsorted(self.cumulative, point, side="right", out_type=tf.int64) - 1
        weight = tf.cast(tf.gather(self.cumulative, ids + 1) - tf.gather(self.cumulative, ids), tf.float64)
        log_probability = tf.cast(tf.math.log(weight / total), tf.float32)
        return tf.reshape(ids, shape), tf.reshape(log_probability, shape)

    def _next_seed(self) -> tf.Tensor:
        seed = tf.random.experimental.stateless_fold_in(self.seed, self.calls) if self.calls else self.seed
        self.calls += 1
        return seed


def pick(excluded: tf.RaggedTensor, rows: tf.Tensor, uniform: tf.Tensor, cumulative: tf.Tensor) -> tf.Tensor:
    """The ids that numbers in [0, 1) stand for; arguments as for `draw`.

    Args:
        uniform: float64 `[windows, any]`.

    Returns:
        int64 `[windows, any]`; meaningless in rows without `remaining_weight`.
    """
    total = tf.cast(tf.gather(remaining_weight(excluded, cumulative), rows), tf.float64)[:, tf.newaxis]
    return _ids_at(excluded, rows, tf.cast(tf.floor(uniform * total), tf.int64), cumulative)


def _ids_at(excluded: tf.RaggedTensor, rows: tf.Tensor, drawn: tf.Tensor, cumulative: tf.Tensor) -> tf.Tensor:
    """The ids at points of each row's drawable mass, int64 `[windows, any]` from 0."""
    mass = _weights(excluded, cumulative).flat_values
    before = tf.cumsum(mass, exclusive=True)  # excluded mass over all earlier rows and entries
    starts = excluded.row_starts()
    padded = tf.concat([before, tf.reduce_sum(mass)[tf.newaxis]], 0)
    row_before = tf.gather(padded, starts)
    # How much drawable mass lies before each excluded id, counted within its own row.
    row_of = excluded.value_rowids()
    drawable = tf.gather(cumulative, excluded.flat_values) - (before - tf.gather(row_before, row_of))

    # One sorted line for all rows: a row's stretch starts at row * (total weight + 1).
    stride = cumulative[-1] + 1
    line = drawable + row_of * stride
    points = drawn + rows[:, tf.newaxis] * stride
    index = tf.searchsorted(line, tf.reshape(points, [-1]), side="right", out_type=tf.int64)
    index = tf.reshape(index, tf.shape(points))
    skipped = tf.gather(padded, index) - tf.gather(row_before, rows)[:, tf.newaxis]
    point = tf.reshape(drawn + skipped, [-1])
    found = tf.searchsorted(cumulative, point, side="right", out_type=tf.int64) - 1
    return tf.reshape(found, tf.shape(points))


class WithinKinds:
    """Draws of the same kind as a given item, at the cost of one draw whatever the number of kinds.

    The catalogue is laid out kind by kind, so that each kind is one stretch of the number line.

    Args:
        kinds: int array `[items + 1]`, the kind of each id, from 0.
        weights: as for `cumulative_weights`.

    Example:
        >>> seen = tf.ragged.constant([[1, 3]], tf.int64, row_splits_dtype=tf.int64)
        >>> within = WithinKinds([0, 1, 2, 1, 2, 1], [0, 1, 1, 1, 1, 1])
        >>> uniform = tf.constant([[0.1, 0.9], [0.1, 0.9]], tf.float64)
        >>> within.pick(seen, tf.constant([0, 0], tf.int64), tf.constant([1, 2], tf.int64), uniform).numpy().tolist()
        [[5, 5], [2, 4]]
    """

    def __init__(self, kinds: ArrayLike, weights: ArrayLike) -> None:
        kinds = np.asarray(kinds, np.int64)
        order = np.argsort(kinds, kind="stable")
        self.kinds = tf.constant(kinds)
        self.id_at = tf.constant(order, tf.int64)
        self.place = tf.constant(np.argsort(order), tf.int64)
        self.cumulative = cumulative_weights(np.asarray(weights)[order])
        bounds = np.searchsorted(kinds[order], np.arange(kinds.max() + 2))
        self.total = tf.constant(np.diff(self.cumulative.numpy()[bounds]), tf.int64)

    def pick(self, known: tf.RaggedTensor, rows: tf.Tensor, like: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """The ids that numbers in [0, 1) stand for.

        Args:
            known: int64 ragged `[users, (ids)]`, never drawn.
            rows: int64 `[windows]`, the user of each window.
            like: int64 `[windows]`, an item of the kind to draw from.
            uniform: float64 `[windows, any]`.

        Returns:
            int64 `[windows, any]`; PAD throughout where the user has met everything of that kind.
        """
        places = known.with_flat_values(tf.gather(self.place, known.flat_values))
        excluded = sorted_unique(places, self.place.shape[0])
        count = self.total.shape[0]
        kind = tf.gather(self.kinds, tf.gather(self.id_at, excluded.flat_values))
        size = excluded.nrows() * count
        mass = _weights(excluded, self.cumulative).flat_values
        taken = tf.math.unsorted_segment_sum(mass, excluded.value_rowids() * count + kind, size)
        left = self.total - tf.reshape(taken, [-1, count])
        chosen = tf.stack([rows, tf.gather(self.kinds, like)], axis=1)
        first = tf.gather_nd(tf.cumsum(left, axis=1, exclusive=True), chosen)[:, tf.newaxis]
        share = tf.gather_nd(left, chosen)[:, tf.newaxis]
        drawn = first + tf.cast(tf.floor(uniform * tf.cast(share, tf.float64)), tf.int64)
        found = tf.gather(self.id_at, _ids_at(excluded, rows, drawn, self.cumulative) % self.place.shape[0])
        return tf.where(share > 0, found, PAD)


def hashed_uniform(ids: tf.Tensor, count: int) -> tf.Tensor:
    """Numbers in [0, 1) that depend on the id and the column only, not on who else is in the batch.

    Args:
        ids: int64 `[rows]`.
        count: int, numbers per id.

    Returns:
        float64 `[rows, count]`; each id starts a splitmix64 stream of its own.

    Example:
        >>> hashed_uniform(tf.constant([7, 8, 7], tf.int64), 1).numpy().round(3)[:, 0].tolist()
        [0.066, 0.231, 0.066]
    """
    stream = tf.cast(ids, tf.uint64)[:, tf.newaxis] * hashing.constant(0xD1B54A32D192ED03)
    return hashing.unit(hashing.mix(stream + tf.cast(tf.range(count), tf.uint64) * hashing.constant(hashing.GOLDEN)))


def _weights(ids: tf.RaggedTensor, cumulative: tf.Tensor) -> tf.RaggedTensor:
    return ids.with_flat_values(tf.gather(cumulative, ids.flat_values + 1) - tf.gather(cumulative, ids.flat_values))
