"""DIF-SR's own losses: of the attributes, and of pairs of items (BPR); and the rows that they are of."""

import tensorflow as tf
from keras import ops


def multi_label_cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean over classes of the binary cross-entropy, class 0 (padding) left out.

    Args:
        logits: float `[rows, classes + 1]`.
        labels: int `[rows, any]`, the classes that are true, padded with 0. A class given twice has label 2.

    Returns:
        float `[rows]`.

    Example:
        >>> round(float(multi_label_cross_entropy([[9.0, 0.0, 0.0]], [[2, 0]])[0]), 4)
        0.6931
    """
    logits, labels = ops.convert_to_tensor(logits), ops.convert_to_tensor(labels)
    real = ops.cast(ops.not_equal(labels, 0), logits.dtype)
    rows, classes = ops.shape(logits)[0], logits.shape[1]
    index = ops.arange(rows, dtype="int32")[:, None] * classes + ops.cast(labels, "int32")
    positive = ops.sum(ops.take(ops.reshape(logits, [-1]), index) * real, axis=1)
    return (ops.sum(ops.softplus(logits[:, 1:]), axis=1) - positive) / (classes - 1)


def bayesian_ranking(positive: tf.Tensor, negative: tf.Tensor, epsilon: float = 1e-10) -> tf.Tensor:
    """`-log(epsilon + sigmoid(positive - negative))` (BPR).

    Args:
        positive, negative: float, scores, the same shape.
        epsilon: float, bounds the loss.

    Returns:
        float, that shape.

    Example:
        >>> round(float(bayesian_ranking(1.0, 1.0)), 4)
        0.6931
    """
    return -ops.log(epsilon + ops.sigmoid(positive - negative))


def flat_rows(values: tf.Tensor) -> tf.Tensor:
    """Values `[batch, time, ...]` as `[batch * time, ...]`.

    Example:
        >>> flat_rows(tf.zeros([2, 3, 4])).shape
        TensorShape([6, 4])
    """
    return tf.reshape(values, tf.concat([[-1], tf.shape(values)[2:]], 0))
