"""Distances of users to items, and the hinge loss that pulls targets nearer than negatives."""

from collections.abc import Sequence

import tensorflow as tf
from keras import ops


def weighted_squared_distance(terms: Sequence[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]) -> tf.Tensor:
    """`sum_k weight_k |query_k - item_k|^2` of each row to items.

    Args:
        terms: list of `(weight, query, items)`: weight float `[batch, 1]`, query float `[batch, dim]`, items float
            `[count, dim]`, the same for every row, or `[batch, count, dim]`.

    Returns:
        float `[batch, count]`. Shared items take one matrix product for all terms, by the binomial formula.

    Example:
        >>> one = ops.ones((1, 1))
        >>> weighted_squared_distance([(2 * one, one, ops.convert_to_tensor([[3.0]]))]).numpy()
        array([[8.]], dtype=float32)
    """
    if len(terms[0][2].shape) == 3:
        return sum(weight * ops.sum(ops.square(query[:, None, :] - items), axis=-1) for weight, query, items in terms)
    left = query_factors([(weight, query) for weight, query, _ in terms])
    right = item_factors([items for _, _, items in terms])
    return ops.matmul(left, ops.transpose(right))


def query_factors(terms: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> tf.Tensor:
    """What `item_factors` are multiplied with for `sum_k weight_k |query_k - item_k|^2`, by the binomial formula.

    Args:
        terms: list of `(weight, query)`, as for `weighted_squared_distance`.

    Returns:
        float `[batch, width]`.
    """
    constant = sum(weight * _squared_norm(query) for weight, query in terms)
    return ops.concatenate([*(-2.0 * weight * query for weight, query in terms), *(w for w, _ in terms), constant], 1)


def item_factors(vectors: Sequence[tf.Tensor]) -> tf.Tensor:
    """See `query_factors`.

    Args:
        vectors: list of float `[count, dim]`, the items' vectors of each term.

    Returns:
        float `[count, width]`.
    """
    norms = [_squared_norm(items) for items in vectors]
    return ops.concatenate([*vectors, *norms, ops.ones_like(norms[0])], axis=1)


def _squared_norm(vectors: tf.Tensor) -> tf.Tensor:
    return ops.sum(ops.square(vectors), axis=-1, keepdims=True)


def pairwise_hinge(
    positive: tf.Tensor, negative: tf.Tensor, margin: float, mask: tf.Tensor, reduction: str = "sum"
) -> tf.Tensor:
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
