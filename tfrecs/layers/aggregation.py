"""From a vector per position to one vector per history, and distances between vectors."""

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


def squared_distance(query, items):
    """Squared Euclidean distances of each row's query to items.

    Args:
        query: float `[batch, dim]`.
        items: float `[count, dim]`, the same for every row, or `[batch, count, dim]`.

    Returns:
        float `[batch, count]`.

    Example:
        >>> squared_distance(ops.convert_to_tensor([[1.0, 0.0]]), ops.convert_to_tensor([[1.0, 2.0]])).numpy()
        array([[4.]], dtype=float32)
    """
    if len(items.shape) == 3:
        return ops.sum(ops.square(query[:, None, :] - items), axis=-1)
    squares = ops.sum(ops.square(query), axis=-1)[:, None] + ops.sum(ops.square(items), axis=-1)[None]
    return squares - 2.0 * ops.matmul(query, ops.transpose(items))
