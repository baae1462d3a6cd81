"""Scores that are products of a query with a table of items: exact ranks and best items, each score computed once."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator

import tensorflow as tf

from tfrecs import metrics

BLOCK = 128  # items of which the best one decides whether the others can be among the best
ALIGNED = 16  # columns: TensorFlow takes slices of a table without a copy where its rows are 64 bytes, or 128, ...
SCORES_AT_ONCE = 2**27  # users times items: 512 MB of float32


class Catalogue(typing.NamedTuple):
    """What queries are multiplied with.

    Attributes:
        vectors: float32 `[num_items + 1, width]`, PAD's first; the width is a multiple of `ALIGNED`.
        bound: float32 `[width]`, the largest absolute value of each column; infinite where one is no finite number.
    """

    vectors: tf.Tensor
    bound: tf.Tensor


def of_vectors(vectors: tf.Tensor) -> Catalogue:
    """The `Catalogue` of a table of vectors.

    Args:
        vectors: float `[num_items + 1, width]`.

    Example:
        >>> of_vectors(tf.constant([[0.0, 1.0], [-3.0, 2.0]])).bound[:2].numpy().tolist()
        [3.0, 2.0]
    """
    vectors = _aligned(tf.cast(vectors, tf.float32))
    largest = tf.maximum(tf.reduce_max(vectors, axis=0), -tf.reduce_min(vectors, axis=0))
    # A maximum may pass over NaN; a sum does not.
    finite = tf.math.is_finite(tf.reduce_sum(vectors, axis=0))
    return Catalogue(vectors, tf.where(finite, largest, float("inf")))


def checked_rank(
    query: tf.Tensor, catalogue: Catalogue, target: tf.Tensor, excluded: tf.Tensor, first_item: int = 1
) -> tuple[tf.Tensor, tf.Tensor]:
    """The pessimistic rank of each row's target, as from `metrics.checked_rank`, in one product with the table.

    Args:
        query: float32 `[batch, width]`.
        catalogue: `Catalogue`.
        target: int64 `[batch]`, never excluded, even where `excluded` lists it.
        excluded: int64 `[batch, any]`, ids to leave out, padded with 0.
        first_item: int, 0 lets PAD compete.

    Returns:
        `(rank int64 [batch], sound bool [batch])`; `sound` is False where a score may be NaN or infinite.

    Example:
        >>> items = of_vectors(tf.constant([[9.0], [0.3], [0.9], [0.5], [0.5]]))
        >>> checked_rank(tf.ones([1, 1]), items, tf.constant([3], tf.int64), tf.zeros([1, 0], tf.int64))[0].numpy()
        array([3])
    """
    query, rows = _aligned(query), catalogue.vectors.shape[0]
    removed = tf.concat([excluded, target[:, tf.newaxis]], 1)
    if first_item:
        removed = tf.pad(removed, [[0, 0], [1, 0]])

    def rank(query: tf.Tensor, target: tf.Tensor, removed: tf.Tensor) -> tuple[tf.Tensor]:
        scores = tf.matmul(query, catalogue.vectors, transpose_b=True)
        # The target's score is read from the product that scores its rivals, so that equal stays equal.
        target_score = tf.gather(scores, target[:, tf.newaxis], axis=1, batch_dims=1)
        removed = tf.sort(removed, axis=1)
        once = tf.pad(removed[:, 1:] != removed[:, :-1], [[0, 0], [1, 0]], constant_values=True)
        once = once if first_item else tf.logical_and(once, removed > 0)
        # Beaten rivals are counted, not those that are not beaten: NaN beats nothing and is not beaten.
        beaten = metrics.count_true(scores < target_score)
        beaten -= metrics.count_true(
            tf.logical_and(once, tf.gather(scores, removed, axis=1, batch_dims=1) < target_score)
        )
        return (1 + rows - metrics.count_true(once) - beaten,)

    (found,) = _by_rows(rank, (query, target, removed), rows, (tf.TensorSpec([], tf.int64),))
    return found, _sound(query, catalogue)


def best_items(
    query: tf.Tensor,
    catalogue: Catalogue,
    k: int,
    excluded: tf.Tensor | None = None,
    wanted: Callable[[tf.Tensor], tf.Tensor] | None = None,
    chunk_size: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The items of the highest scores, as from `scoring.best_items`; equal scores in order of id.

    Args:
        query: float32 `[batch, width]`.
        catalogue: `Catalogue`.
        k: int, at most the number of items.
        excluded: int64 `[batch, any]` padded with 0, or None.
        wanted: `f(item ids [count]) -> bool [batch or 1, count]`, or None; no other items are among the best.
        chunk_size: int, candidates scored at a time; default all.

    Returns:
        `(items int64 [batch, k], scores float32 [batch, k], sound bool [batch])`.

    Example:
        >>> items = of_vectors(tf.constant([[9.0], [0.3], [0.9], [0.5], [0.5]]))
        >>> [part.numpy().tolist() for part in best_items(tf.ones([1, 1]), items, 2)[::2]]
        [[[2, 3]], [True]]
    """
    query, rows = _aligned(query), catalogue.vectors.shape[0]
    batch = tf.shape(query)[0]
    pad = tf.zeros([batch, 1], tf.int64)
    removed = pad if excluded is None else tf.concat([pad, tf.cast(excluded, tf.int64)], 1)
    # A condition may be one row for all.
    allowed = None if wanted is None else tf.broadcast_to(wanted(tf.range(rows, dtype=tf.int64)), [batch, rows])

    def best(query: tf.Tensor, removed: tf.Tensor, *allowed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        items, scores = [], []
        for first, last in _parts(rows, chunk_size or rows):
            part = tf.matmul(query, catalogue.vectors[first:last], transpose_b=True)
            if allowed:
                part = tf.where(allowed[0][:, first:last], part, -float("inf"))
            part, column = _top_k(_without(part, removed - first), min(k, last - first))
            items.append(column + first)
            scores.append(part)
        items, scores = tf.concat(items, 1), tf.concat(scores, 1)
        scores, place = tf.math.top_k(scores, k)
        return tf.gather(items, place, batch_dims=1), scores

    tensors = (query, removed) if allowed is None else (query, removed, allowed)
    items, scores = _by_rows(best, tensors, rows, (tf.TensorSpec([k], tf.int64), tf.TensorSpec([k], tf.float32)))
    return tf.where(tf.equal(scores, -float("inf")), tf.zeros_like(items), items), scores, _sound(query, catalogue)


def _aligned(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors with columns of zeros, up to a multiple of `ALIGNED`."""
    missing = -vectors.shape[1] % ALIGNED
    return tf.pad(vectors, [[0, 0], [0, missing]]) if missing else vectors


def _parts(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """Places between which items are scored at once: at most `size`, and a multiple of `BLOCK` but for the last."""
    size = max(size // BLOCK * BLOCK, min(size, BLOCK))
    for first in range(0, rows, size):
        last = min(first + size, rows)
        whole = first + (last - first) // BLOCK * BLOCK
        yield from ((begin, end) for begin, end in ((first, whole), (whole, last)) if begin < end)


def _without(scores: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Scores `[rows, count]` with -inf in the columns listed `[rows, any]`; others than 0 to `count - 1` are none."""
    index = metrics.cells(columns, scores.shape[1])
    return tf.tensor_scatter_nd_update(scores, index, tf.fill(tf.shape(index)[:1], -float("inf")))


def _top_k(scores: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
    """`tf.math.top_k` with int64 columns: of many scores, only the blocks are sorted whose maxima are the largest.

    An item outside of the first k blocks has k items before it, one in each of these: with a higher score, or with the
    same and a lower id.
    """
    count = scores.shape[1]
    if count % BLOCK or count < 4 * k * BLOCK:
        scores, column = tf.math.top_k(scores, k)
        return scores, tf.cast(column, tf.int64)
    blocks = tf.reshape(scores, [-1, count // BLOCK, BLOCK])
    _, chosen = tf.math.top_k(tf.reduce_max(blocks, axis=2), k)
    chosen = tf.sort(chosen, axis=1)
    scores, place = tf.math.top_k(tf.reshape(tf.gather(blocks, chosen, batch_dims=1), [-1, k * BLOCK]), k)
    block = tf.gather(chosen, place // BLOCK, batch_dims=1)
    return scores, tf.cast(block * BLOCK + place % BLOCK, tf.int64)


def _sound(query: tf.Tensor, catalogue: Catalogue) -> tf.Tensor:
    """Which rows have finite scores only: no partial sum of a product can exceed this one."""
    largest = tf.linalg.matvec(tf.abs(query), catalogue.bound)
    return largest < float("inf")


def _by_rows(
    function: Callable[..., tuple[tf.Tensor, ...]],
    tensors: tuple[tf.Tensor, ...],
    rows: int,
    row_specs: tuple[tf.TensorSpec, ...],
) -> tuple[tf.Tensor, ...]:
    """A function of tensors `[batch, ...]`, so many rows at a time that their scores fit into memory.

    Args:
        function: `f(*tensors) -> tuple of tensors [batch, ...]`.
        tensors: tuple.
        rows: int, scores of a row.
        row_specs: tuple of `tf.TensorSpec`, of one row of what the function gives.

    Returns:
        tuple of tensors.
    """
    size, batch = max(1, SCORES_AT_ONCE // rows), tf.shape(tensors[0])[0]

    def step(place: tf.Tensor, *arrays: tf.TensorArray) -> tuple[tf.Tensor, ...]:
        begin = place * size
        found = function(*(tensor[begin : begin + size] for tensor in tensors))
        return place + 1, *(array.write(place, part) for array, part in zip(arrays, found, strict=True))

    steps = tf.maximum(1, (batch + size - 1) // size)
    arrays = [
        tf.TensorArray(spec.dtype, steps, infer_shape=False, element_shape=[None, *spec.shape]) for spec in row_specs
    ]
    _, *arrays = tf.while_loop(lambda place, *_: place < steps, step, (0, *arrays), parallel_iterations=1)
    return tuple(array.concat() for array in arrays)
