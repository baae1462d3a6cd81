"""From the attention's output at each position to one vector per history."""

from collections.abc import Mapping

import tensorflow as tf
from keras import ops

from tfrecs.layers.masks import padding_mask

AGGREGATIONS = ("mean", "sum", "max", "min")
LINEAR = ("mean", "sum")


def history_mask(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Which positions of a history count.

    Args:
        inputs: dict of `history` int `[batch, time]` and, optionally, `length` int `[batch]`: the first so many
            positions count, whatever their ids. NOTE: only AttRec's code reads PAD as an item of a history.

    Returns:
        bool `[batch, time]`; without `length`, where `history` is not padding.

    Example:
        >>> history = ops.convert_to_tensor([[0, 4, 0]])
        >>> history_mask({"history": history, "length": ops.convert_to_tensor([2])}).numpy().tolist()
        [[True, True, False]]
    """
    if "length" not in inputs:
        return padding_mask(inputs["history"])
    positions = ops.arange(ops.shape(inputs["history"])[1], dtype="int64")
    return positions[None] < ops.cast(inputs["length"], "int64")[:, None]


def aggregate(values: tf.Tensor, valid: tf.Tensor, how: str, mask_padding: bool = True) -> tf.Tensor:
    """Aggregates over time.

    Args:
        values: float `[batch, time, dim]`.
        valid: bool `[batch, time]`.
        how: one of `AGGREGATIONS`.
        mask_padding: bool, padded positions take no part. NOTE: False reproduces AttRec's code, whose mean still
            divides by the number of valid positions.

    Returns:
        float `[batch, dim]`; zeros for a row without a valid position, where padding is masked.

    Example:
        >>> aggregate(ops.convert_to_tensor([[[1.0], [9.0]]]), ops.convert_to_tensor([[True, False]]), "max").numpy()
        array([[1.]], dtype=float32)
    """
    mask = ops.cast(valid, values.dtype)[:, :, None]
    if how in LINEAR:
        total = ops.sum(values * mask if mask_padding else values, axis=1)
        return total if how == "sum" else total / ops.maximum(ops.sum(mask, axis=1), 1.0)
    if mask_padding:
        worst = ops.where(mask > 0, values, -1e9 if how == "max" else 1e9)
        values = ops.where(ops.any(valid, axis=1)[:, None, None], worst, ops.zeros_like(values))
    return ops.max(values, axis=1) if how == "max" else ops.min(values, axis=1)
