"""Scoring a catalogue a few items at a time, where each item costs much memory."""

import tensorflow as tf


def in_blocks(score, items, size):
    """Calls `score` on blocks of candidates and puts the scores side by side.

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
