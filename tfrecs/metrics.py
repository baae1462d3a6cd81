"""Ranking metrics from the rank of one held-out item, computed in the graph; pure functions."""

from collections.abc import Callable, Iterable

import tensorflow as tf

CUTOFFS = (5, 10, 20, 50)


def is_score(values: tf.Tensor) -> tf.Tensor:
    """Which values can be ranked: NaN and +inf cannot; -inf, for an item that is left out, can.

    Args:
        values: float `[...]`.

    Returns:
        bool, same shape.

    Example:
        >>> is_score(tf.constant([0.5, float("nan"), float("inf"), -float("inf")])).numpy().tolist()
        [True, False, False, True]
    """
    # One comparison, which NaN fails in every mode. Its negation would not do: in a graph `not (a < b)` becomes
    # `a >= b`, which NaN fails, too.
    return values < tf.constant(float("inf"), values.dtype)


def checked_rank(
    score_items: Callable[[tf.Tensor], tf.Tensor],
    target: tf.Tensor,
    excluded: tf.Tensor,
    num_items: int,
    first_item: int = 1,
    chunk_size: int = 65536,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The rank of each row's target among all items, ties counted against it, without sorting.

    Rank 1 is best: 1 + the number of other items, excluded ones left out, whose score is not below the target's. A
    score that is NaN counts against the target, be it the target's own or a rival's: a target of score NaN is last.

    Args:
        score_items: `f(item ids [chunk]) -> scores [batch, chunk]`, higher is better.
        target: int64 `[batch]`, ids from 1; never excluded, even where `excluded` lists it.
        excluded: int64 `[batch, any]`, ids to leave out, padded with 0; may be `[batch, 0]`.
        num_items: int, candidates are the ids `first_item` to `num_items`.
        first_item: int, 0 lets PAD compete.
        chunk_size: int, candidates scored at a time: bounds memory.

    Returns:
        `(rank int64 [batch], sound bool [batch])`; `sound` is False where any candidate's score, of an excluded item
        too, is none by `is_score`.

    Example:
        >>> scores = tf.constant([[0.3, 0.9, 0.5, 0.5]])
        >>> checked_rank(lambda ids: tf.gather(scores, ids - 1, axis=1), tf.constant([3], tf.int64),
        ...              tf.zeros([1, 0], tf.int64), 4)[0].numpy().tolist()
        [3]
    """
    chunks = [
        tf.range(first, min(first + chunk_size, num_items + 1), dtype=tf.int64)
        for first in range(first_item, num_items + 1, chunk_size)
    ]
    scored = score_items(chunks[0]) if len(chunks) == 1 else None
    # The target's score is read from the same product that scores its rivals, so that equal stays equal.
    target_score = tf.add_n(
        [_at(scored if scored is not None else score_items(ids), target - ids[0]) for ids in chunks]
    )
    removed = tf.concat([excluded, target[:, tf.newaxis]], 1)
    rank, sound = tf.ones_like(target), tf.ones_like(target, tf.bool)
    for ids in chunks:
        scores = scored if scored is not None else score_items(ids)
        rival = tf.logical_not(member(removed, ids[0], tf.size(ids, tf.int64)))
        # Beaten rivals are counted, not those that are not beaten: see `is_score`.
        beaten = tf.logical_and(rival, scores < target_score[:, tf.newaxis])
        rank += count_true(rival) - count_true(beaten)
        sound = tf.logical_and(sound, tf.reduce_all(is_score(scores), axis=1))
    return rank, sound


def member(ids: tf.Tensor, first: int | tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """Which of the ids `first` to `first + count - 1` each row lists.

    Args:
        ids: int64 `[batch, any]`, padded with 0.
        first, count: int64 scalars.

    Returns:
        bool `[batch, count]`.

    Example:
        >>> member(tf.constant([[2, 4, 0]], tf.int64), 1, 3).numpy().tolist()
        [[False, True, False]]
    """
    first, count = tf.cast(first, tf.int64), tf.cast(count, tf.int64)
    batch = tf.shape(ids, tf.int64)[0]
    # Most of a padded row is padding: only real ids within the range are scattered.
    index = cells(ids - first, count, ids != 0)
    return tf.tensor_scatter_nd_update(
        tf.zeros(tf.stack([batch, count]), tf.bool), index, tf.ones(tf.shape(index)[:1], tf.bool)
    )


def cells(columns: tf.Tensor, count: int | tf.Tensor, wanted: bool | tf.Tensor = True) -> tf.Tensor:
    """The cells of a matrix of `count` columns that each row names.

    Args:
        columns: int64 `[rows, any]`; one that is not from 0 to `count - 1` names no cell.
        count: int64 scalar.
        wanted: bool, of the shape of `columns` or one for all; others name no cell.

    Returns:
        int64 `[any, 2]`, row and column of each.

    Example:
        >>> cells(tf.constant([[1, 7], [0, -1]], tf.int64), 3).numpy().tolist()
        [[0, 1], [1, 0]]
    """
    inside = tf.where(tf.logical_and(wanted, tf.logical_and(columns >= 0, columns < count)))
    return tf.stack([inside[:, 0], tf.gather_nd(columns, inside)], axis=1)


def hit_rate(rank: tf.Tensor, k: int) -> tf.Tensor:
    """1.0 where the rank is within the first k; with one relevant item this is Recall@k too."""
    return tf.cast(rank <= k, tf.float32)


def ndcg(rank: tf.Tensor, k: int) -> tf.Tensor:
    """`1 / log2(rank + 1)` within the first k, else 0; the ideal DCG of one relevant item is 1."""
    gain = tf.math.log(2.0) / tf.math.log(tf.cast(rank, tf.float32) + 1.0)
    return tf.where(rank <= k, gain, 0.0)


def reciprocal_rank(rank: tf.Tensor) -> tf.Tensor:
    """`1 / rank`, over the whole catalogue."""
    return 1.0 / tf.cast(rank, tf.float32)


def of_rank(rank: tf.Tensor, cutoffs: Iterable[int] = CUTOFFS) -> dict[str, tf.Tensor]:
    """All metrics of a batch of ranks.

    Args:
        rank: int64 `[batch]`, from 1.
        cutoffs: ints, the k of HR@k and NDCG@k.

    Returns:
        dict of name to float32 `[batch]`: `hr@k` and `ndcg@k` for each k, and `mrr`.

    Example:
        >>> float(of_rank(tf.constant([3], tf.int64))["ndcg@5"][0])
        0.5
    """
    values = {f"hr@{k}": hit_rate(rank, k) for k in cutoffs}
    values.update({f"ndcg@{k}": ndcg(rank, k) for k in cutoffs})
    values["mrr"] = reciprocal_rank(rank)
    return values


def count_true(chosen: tf.Tensor) -> tf.Tensor:
    """How many of each row are True, int64 `[rows]`."""
    return tf.cast(tf.reduce_sum(tf.cast(chosen, tf.int32), axis=1), tf.int64)


def _at(scores: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    inside = tf.logical_and(column >= 0, column < tf.shape(scores, tf.int64)[1])
    picked = tf.gather(scores, tf.where(inside, column, 0), axis=1, batch_dims=1)
    return tf.where(inside, picked, tf.zeros_like(picked))
