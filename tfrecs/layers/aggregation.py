"""From a vector per position to one vector per history."""

from keras import ops

AGGREGATIONS = ("mean", "sum", "max", "min")


def aggregate(values, valid, how, mask_padding=True):
    """Aggregates over time.

    Args:
        values: float `[batch, time, dim]`.
        valid: bool `[batch, time]`.
        how: one of `AGGREGATIONS`.
        mask_padding: bool, padded positions take no part. NOTE: False repeats AttRec's code, whose mean still
            divides by the number of valid positions.

    Returns:
        float `[batch, dim]`; zeros for a row without a valid position, where padding is masked.

    Example:
        >>> aggregate(ops.convert_to_tensor([[[1.0], [9.0]]]), ops.convert_to_tensor([[True, False]]), "max").numpy()
        array([[1.]], dtype=float32)
    """
    mask = ops.cast(valid, values.dtype)[:, :, None]
    if how in ("mean", "sum"):
        total = ops.sum(values * mask if mask_padding else values, axis=1)
        return total if how == "sum" else total / ops.maximum(ops.sum(mask, axis=1), 1.0)
    if mask_padding:
        worst = ops.where(mask > 0, values, -1e9 if how == "max" else 1e9)
        values = ops.where(ops.any(valid, axis=1)[:, None, None], worst, ops.zeros_like(values))
    return ops.max(values, axis=1) if how == "max" else ops.min(values, axis=1)


def last(values, valid):
    """The vector of the last valid position of left-aligned rows.

    Args:
        values: float `[batch, time, dim]`.
        valid: bool `[batch, time]`, no valid position after one that is not.

    Returns:
        float `[batch, dim]`; zeros for a row without a valid position.

    Example:
        >>> last(ops.convert_to_tensor([[[1.0], [9.0]]]), ops.convert_to_tensor([[True, False]])).numpy()
        array([[1.]], dtype=float32)
    """
    length = ops.sum(ops.cast(valid, "int32"), axis=1, keepdims=True)
    chosen = ops.equal(ops.arange(ops.shape(values)[1], dtype="int32")[None], length - 1)
    return ops.sum(ops.where(chosen[:, :, None], values, ops.zeros((), values.dtype)), axis=1)
