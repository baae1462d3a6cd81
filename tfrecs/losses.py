"""Losses as pure functions of scores or distances."""

from keras import ops

REDUCTIONS = ("sum", "mean")


def pairwise_hinge(positive, negative, margin, mask, reduction="sum"):
    """Margin hinge over every (target, negative) pair of distances.

    `sum_ij max(0, positive_i + margin - negative_j)`, AttRec's equation 15.

    Args:
        positive: float `[batch, targets]`, distances of the targets, lower is better.
        negative: float `[batch, negatives]`, distances of the negatives.
        margin: float, in the distance's unit.
        mask: bool or float `[batch, targets]`, which targets are real.
        reduction: `sum` over the pairs, as in the paper, or `mean` over the pairs of real targets.

    Returns:
        float `[batch]`.

    Example:
        >>> round(float(pairwise_hinge([[0.2]], [[0.3, 1.0]], 0.5, [[True]])[0]), 4)
        0.4
    """
    positive, negative = ops.convert_to_tensor(positive), ops.convert_to_tensor(negative)
    mask = ops.cast(mask, positive.dtype)
    pairs = ops.relu(positive[:, :, None] + margin - negative[:, None, :])
    total = ops.sum(pairs * mask[:, :, None], axis=(1, 2))
    if reduction == "sum":
        return total
    count = ops.sum(mask, axis=1) * ops.cast(ops.shape(negative)[1], positive.dtype)
    return total / ops.maximum(count, 1.0)
