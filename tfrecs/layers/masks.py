"""Padding masks and functions that use them; True marks a real position."""

import tensorflow as tf
from keras import ops

PAD = 0


def padding_mask(ids: tf.Tensor) -> tf.Tensor:
    """Which positions hold an item.

    Args:
        ids: int `[...]`, 0 is padding.

    Returns:
        bool, same shape.

    Example:
        >>> padding_mask([[4, 0]]).numpy().tolist()
        [[True, False]]
    """
    return ops.not_equal(ids, PAD)


def masked_softmax(scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis with masked entries exactly 0.

    Args:
        scores: float `[..., keys]`.
        mask: bool, broadcastable to `scores`; a row that is all False gives zeros.

    Returns:
        float, same shape as `scores`.
    """
    floor = ops.convert_to_tensor(-1e9 if scores.dtype != "float16" else -6e4, scores.dtype)
    weights = ops.softmax(ops.where(mask, scores, floor), axis=-1)
    return ops.where(mask, weights, ops.zeros_like(weights))


def last_valid(values: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """The vector of the last valid position of left-aligned rows.

    Args:
        values: float `[batch, time, dim]`.
        valid: bool `[batch, time]`, no valid position after one that is not.

    Returns:
        float `[batch, dim]`; zeros for a row without a valid position.

    Example:
        >>> last_valid(ops.convert_to_tensor([[[1.0], [9.0]]]), ops.convert_to_tensor([[True, False]])).numpy()
        array([[1.]], dtype=float32)
    """
    length = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)
    chosen = ops.equal(ops.arange(ops.shape(values)[1], dtype="int32")[None], length - 1)
    return ops.sum(ops.where(chosen[:, :, None], values, ops.zeros((), values.dtype)), axis=1)
