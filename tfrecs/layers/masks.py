"""Masks as pure functions; True means: may be used."""

from keras import ops

PAD = 0


def padding_mask(ids):
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


def history_mask(inputs):
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


def off_diagonal_mask(valid):
    """Each position may use every other valid position; itself only where there is no other.

    Without the exception a history of one item would have nothing to attend to.

    Args:
        valid: bool `[batch, time]`.

    Returns:
        bool `[batch, time (query), time (key)]`; no row of a valid query is all False.

    Example:
        >>> off_diagonal_mask(ops.convert_to_tensor([[True, False]])).numpy().tolist()
        [[[True, False], [True, False]]]
    """
    same = ops.eye(ops.shape(valid)[1], dtype="bool")[None]
    alone = (ops.sum(ops.cast(valid, "int32"), axis=1) <= 1)[:, None, None]
    return ops.logical_and(valid[:, None, :], ops.logical_or(ops.logical_not(same), alone))


def masked_softmax(scores, mask):
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
