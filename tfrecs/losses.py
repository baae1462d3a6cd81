"""Losses that several models share, as pure functions; a model's own are in its folder."""

from collections.abc import Callable

import tensorflow as tf
from keras import ops

REDUCTIONS = ("sum", "mean")


def softmax_cross_entropy(queries: tf.Tensor, items: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the softmax over all items, from vectors: `log sum_j exp(q . v_j) - q . v_target`.

    The same as taking it from logits, but for time and memory: the exponentials of the forward pass serve the
    gradient, which is two matrix products and no further pass over `[rows, items]`.

    Args:
        queries: float `[rows, dim]`.
        items: float `[items, dim]`, of the same type: that of the products. The softmax itself is float32.
        targets: int `[rows]`, index of each row's item.

    Returns:
        float32 `[rows]`.

    Example:
        >>> round(float(softmax_cross_entropy(ops.ones((1, 2)), ops.zeros((4, 2)), ops.zeros(1, "int32"))[0]), 4)
        1.3863
    """

    @ops.custom_gradient
    def loss(
        queries: tf.Tensor, items: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
        logits = ops.cast(ops.matmul(queries, ops.transpose(items)), "float32")
        largest = ops.max(logits, axis=1, keepdims=True)
        exponentials = ops.exp(logits - largest)
        total = ops.sum(exponentials, axis=1, keepdims=True)
        chosen = ops.take(items, targets, axis=0)
        value = (ops.log(total) + largest)[:, 0] - ops.sum(ops.cast(queries * chosen, "float32"), axis=1)
        factors, dtype = ops.cast(exponentials, queries.dtype), queries.dtype

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            upstream = upstream[:, None]
            share, pull = ops.cast(upstream / total, dtype), ops.cast(upstream, dtype)
            of_queries = ops.matmul(factors, items) * share - chosen * pull
            of_items = ops.transpose(ops.matmul(ops.transpose(queries * share), factors))
            pulled = ops.segment_sum(queries * pull, targets, num_segments=ops.shape(items)[0])
            return of_queries, of_items - pulled

        return value, gradient

    return loss(queries, items)
