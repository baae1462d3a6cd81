"""Scoring a catalogue a few items at a time: its best items, and the check that scores are numbers."""

from collections.abc import Callable

import tensorflow as tf

from tfrecs import metrics
from tfrecs.errors import NotFiniteError


def best_items(
    score_items: Callable[[tf.Tensor], tf.Tensor],
    num_items: int,
    k: int,
    excluded: tf.Tensor | None = None,
    chunk_size: int = 65536,
    wanted: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The items of the highest scores, best first; equal scores in order of id.

    Args:
        score_items: `f(item ids [chunk]) -> scores [batch, chunk]`.
        num_items: int, candidates are the ids 1 to `num_items`.
        k: int, at most `num_items`.
        excluded: int64 `[batch, any]` padded with 0, or None.
        chunk_size: int, candidates scored at a time: bounds memory.
        wanted: `f(item ids [chunk]) -> bool [batch or 1, chunk]`, or None; no other items are among the best.

    Returns:
        `(items int64 [batch, k], scores [batch, k], sound bool [batch])`; where fewer than k items are left, id 0 with
        score -inf fills up. `sound` is False where a score is NaN or +inf: such an item is never among the best.

    Example:
        >>> scores = tf.constant([[0.3, float("nan"), 0.9]])
        >>> [found.numpy().tolist() for found in best_items(lambda ids: tf.gather(scores, ids - 1, axis=1), 3, 2)[::2]]
        [[[3, 1]], [False]]
    """
    items, scores, sound = None, None, None
    for first in range(1, num_items + 1, chunk_size):
        ids = tf.range(first, min(first + chunk_size, num_items + 1), dtype=tf.int64)
        chunk = score_items(ids)
        usable = metrics.is_score(chunk)
        chunk_sound = tf.reduce_all(usable, axis=1)
        if excluded is not None:
            left_out = metrics.member(tf.cast(excluded, tf.int64), first, tf.size(ids))
            usable = tf.logical_and(usable, tf.logical_not(left_out))
        if wanted is not None:
            usable = tf.logical_and(usable, wanted(ids))
        best, column = tf.math.top_k(tf.where(usable, chunk, -float("inf")), min(k, int(ids.shape[0])))
        found = tf.gather(ids, column)
        if items is not None:
            best, found = tf.concat([scores, best], 1), tf.concat([items, found], 1)
            best, column = tf.math.top_k(best, min(k, int(best.shape[1])))
            found, chunk_sound = tf.gather(found, column, batch_dims=1), tf.logical_and(sound, chunk_sound)
        items, scores, sound = found, best, chunk_sound
    return tf.where(tf.equal(scores, -float("inf")), tf.zeros_like(items), items), scores, sound


def in_blocks(score: Callable[[tf.Tensor], tf.Tensor], items: tf.Tensor, size: int) -> tf.Tensor:
    """Scores candidates block by block, where each candidate takes much memory.

    Args:
        score: `f(items) -> float32 [batch, count]`.
        items: int64 `[count]`, the same for every row, or `[batch, count]`.
        size: int, candidates per block; the last block is filled up with item 0.

    Returns:
        float32 `[batch, count]`.

    Example:
        >>> in_blocks(lambda ids: tf.cast(ids, tf.float32)[tf.newaxis] * 2, tf.constant([1, 2, 3], tf.int64), 2).numpy()
        array([[2., 4., 6.]], dtype=float32)
    """
    if items.shape[-1] is not None and items.shape[-1] <= size:
        return score(items)
    shared, count = items.shape.rank == 1, tf.shape(items)[-1]
    # One block at least: a request may bring no candidates.
    padded = tf.pad(items, [[0, 0]] * (not shared) + [[0, tf.maximum(count + -count % size, size) - count]])
    blocks = tf.reshape(padded, [-1, size] if shared else [tf.shape(items)[0], -1, size])
    blocks = blocks if shared else tf.transpose(blocks, [1, 0, 2])
    signature = tf.TensorSpec([None, size], tf.float32)
    scores = tf.map_fn(score, blocks, fn_output_signature=signature, parallel_iterations=1)
    scores = tf.transpose(scores, [1, 0, 2])
    return tf.reshape(scores, [tf.shape(scores)[0], -1])[:, :count]


def require_sound(sound: tf.Tensor, what: str) -> None:
    """Stops where scores are none: an answer made of NaN looks like any other.

    Args:
        sound: bool `[batch]`, whether all scores of a row can be ranked.
        what: str, whose scores they are, for the message.

    Raises:
        NotFiniteError: naming `what` and how many rows. Within a graph, `tf.errors.InvalidArgumentError` when it runs.

    Example:
        >>> require_sound(tf.constant([True, False]), "AttRec")
        Traceback (most recent call last):
        ...
        tfrecs.errors.NotFiniteError: AttRec: NaN or infinite scores for 1 of 2 users
    """
    if tf.executing_eagerly():
        if not bool(tf.reduce_all(sound)):
            count, bad = len(sound), int(tf.reduce_sum(1 - tf.cast(sound, tf.int32)))
            raise NotFiniteError(not_finite(what, bad, count))
    else:
        tf.debugging.Assert(tf.reduce_all(sound), [f"{what}: NaN or infinite scores"])


def not_finite(what: str, bad: int, count: int, split: str = "") -> str:
    """The message: whose scores are none, for how many of the users of which split.

    Example:
        >>> not_finite("AttRec", 3, 8, "test")
        'AttRec: NaN or infinite scores for 3 of 8 test users'
    """
    return f"{what}: NaN or infinite scores for {bad} of {count} {f'{split} ' if split else ''}users"
