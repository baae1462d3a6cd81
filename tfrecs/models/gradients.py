"""Gradients of embedding tables: merging repeated rows and clipping by the norm over all variables."""

import tensorflow as tf

DENSE_ROWS = 65536  # gradients of tables up to this size are made dense: cheaper than finding the repeated rows


def is_small(variable):
    """Whether a variable is no table of more than `DENSE_ROWS` rows."""
    return len(variable.shape) == 0 or variable.shape[0] <= DENSE_ROWS


def merge_rows(gradient, dense=False):
    """Sums repeated rows of a sparse gradient, so that optimizers that square it see the true value.

    Args:
        gradient: `tf.Tensor`, returned as it is, or `tf.IndexedSlices`.
        dense: bool, give a dense tensor instead of unique rows: cheaper for small tables, and what XLA needs.

    Returns:
        `tf.Tensor` or `tf.IndexedSlices` without repeats.

    Example:
        >>> slices = tf.IndexedSlices(tf.constant([[1.0], [2.0]]), tf.constant([3, 3]), tf.constant([5, 1]))
        >>> merge_rows(slices).values.numpy().tolist()
        [[3.0]]
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    if dense:
        return tf.convert_to_tensor(gradient)
    indices, segment = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, segment, tf.size(indices))
    return tf.IndexedSlices(values, indices, gradient.dense_shape)


def global_norm(gradients, context):
    """The norm over all gradients, repeated rows counted apart, over all replicas.

    Args:
        gradients: list of `tf.Tensor` or `tf.IndexedSlices`, one replica's part.
        context: `tf.distribute.ReplicaContext`.

    Returns:
        float scalar.
    """
    squares = []
    for gradient in gradients:
        if isinstance(gradient, tf.IndexedSlices):
            part = tf.reduce_sum(tf.square(gradient.values))
            squares.append(context.all_reduce(tf.distribute.ReduceOp.SUM, part))
        else:
            whole = context.all_reduce(tf.distribute.ReduceOp.SUM, gradient)
            squares.append(tf.reduce_sum(tf.square(whole)))
    return tf.sqrt(tf.add_n(squares))


def clip_by_global_norm(gradients, clip_norm, norm=None):
    """Scales all gradients by `clip_norm / max(clip_norm, norm)`.

    Args:
        gradients: list of `tf.Tensor` or `tf.IndexedSlices`, summed over replicas.
        clip_norm: float.
        norm: float scalar or None, the norm of `gradients` itself.

    Returns:
        list like `gradients`. A norm that is not finite gives gradients that are not finite: nothing is hidden.
    """
    norm = tf.linalg.global_norm(gradients) if norm is None else norm
    scale = clip_norm / tf.maximum(norm, clip_norm)
    return [
        tf.IndexedSlices(g.values * scale, g.indices, g.dense_shape) if isinstance(g, tf.IndexedSlices) else g * scale
        for g in gradients
    ]


def apply_clipped(optimizer, gradients_and_variables, clip_norm):
    """Applies gradients that were clipped before, which Keras would clip again, by the norm of merged rows.

    That norm may exceed the one that counts repeated rows apart: opposite signs make it smaller, equal ones larger.

    Args:
        optimizer: `keras.optimizers.Optimizer`.
        gradients_and_variables: iterable of pairs.
        clip_norm: float or None, the optimizer's own `global_clipnorm`, read before any replica came here.
    """
    optimizer.global_clipnorm = None
    try:
        optimizer.apply_gradients(gradients_and_variables)
    finally:
        optimizer.global_clipnorm = clip_norm
