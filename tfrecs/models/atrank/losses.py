"""The loss of an item against its negatives."""

import tensorflow as tf
from keras import ops


def pair_loss(scores: tf.Tensor) -> tf.Tensor:
    """Sigmoid cross-entropy of an item and its negatives, averaged.

    Args:
        scores: float32 `[batch, 1 + negatives]`, the item's first.

    Returns:
        float32 `[batch]`.

    Example:
        >>> [round(value, 4) for value in pair_loss(ops.convert_to_tensor([[0.0, 0.0], [9.0, -9.0]])).numpy().tolist()]
        [0.6931, 0.0001]
    """
    labels = ops.zeros_like(scores) + ops.cast(ops.arange(ops.shape(scores)[1]) < 1, "float32")
    return ops.mean(ops.binary_crossentropy(labels, scores, from_logits=True), axis=1)
