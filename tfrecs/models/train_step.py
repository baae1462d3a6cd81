"""The update that every model makes, equal on one device and on several replicas that share the batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

if TYPE_CHECKING:
    from tfrecs.models.recommender import SequentialRecommender

DENSE_ROWS = 65536  # gradients of tables up to this size are made dense: cheaper than finding the repeated rows


def update(model: SequentialRecommender, examples: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the loss of a batch and updates the model's variables.

    The loss of the global batch is `sum(terms * weights) / sum(weights)` (or the sum), plus the penalties of the
    variables' regularizers once. Gradients are summed over replicas, repeated embedding rows merged, then clipped.

    Args:
        model: a compiled `SequentialRecommender`.
        examples: dict of tensors, this replica's part of the batch, as `loss_terms` takes them.

    Returns:
        `(terms, weights)`, float32, as from `loss_terms`.

    Raises:
        ValueError: the optimizer clips the gradients of single variables, or scales the loss and clips, which several
            replicas cannot do exactly.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    model._clear_losses()  # what `add_loss` left of the batch before
    with tf.GradientTape() as tape:
        terms, weights = model.loss_terms(examples, training=True)
        terms, weights = tf.cast(terms, tf.float32), tf.cast(weights, tf.float32)
        total = tf.reduce_sum(terms * weights)
        count = sum_over_replicas(tf.reduce_sum(weights))
        objective = total if model.loss_reduction == "sum" else total / tf.maximum(count, 1.0)
        if added := _added_losses(model):
            objective += tf.add_n(added) / replicas
        scaled = model.optimizer.scale_loss(objective)
    gradients = tape.gradient(scaled, model.trainable_variables)
    share = model.optimizer.scale_loss(tf.constant(1.0 / replicas))
    apply(model, [with_penalty(g, v, share) for g, v in zip(gradients, model.trainable_variables)], context)
    return terms, weights


def _added_losses(model: SequentialRecommender) -> list[tf.Tensor]:
    """What `add_loss` left; Keras lists the penalties of variables after it."""
    penalized = sum(variable.regularizer is not None for variable in model.trainable_variables)
    every = model.losses
    return every[: len(every) - penalized]


def with_penalty(
    gradient: tf.Tensor | tf.IndexedSlices | None, variable: keras.Variable, share: tf.Tensor
) -> tf.Tensor | tf.IndexedSlices | None:
    """Adds the gradient of a variable's regularizer, apart from the tape, which would sum up rows slowly.

    Args:
        gradient: `tf.Tensor`, `tf.IndexedSlices` or None, of the rest of the loss.
        variable: `keras.Variable`.
        share: float scalar, what the penalty is multiplied with.

    Returns:
        `gradient` where there is no regularizer, else a `tf.Tensor`.

    Example:
        >>> table = keras.Variable([[1.0], [2.0]])
        >>> table.regularizer = keras.regularizers.L2(0.5)
        >>> slices = tf.IndexedSlices(tf.constant([[3.0], [3.0]]), tf.constant([1, 1]), tf.constant([2, 1]))
        >>> with_penalty(slices, table, tf.constant(1.0)).numpy().tolist()
        [[1.0], [8.0]]
    """
    regularizer = variable.regularizer
    if regularizer is None:
        return gradient
    if type(regularizer) is keras.regularizers.L2:
        penalty = (2.0 * float(regularizer.l2) * tf.cast(share, variable.dtype)) * variable.value
    else:
        with tf.GradientTape() as tape:
            value = tf.cast(share, variable.dtype) * regularizer(variable)
        penalty = tf.convert_to_tensor(tape.gradient(value, variable.value))
    if gradient is None:
        return penalty
    if isinstance(gradient, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(penalty, gradient.indices[:, tf.newaxis], gradient.values)
    return gradient + penalty


def apply(
    model: SequentialRecommender,
    gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
    context: tf.distribute.ReplicaContext,
) -> None:
    """Sums gradients over replicas, merges repeated rows, clips, adds the weight decay and updates the variables.

    Args:
        model: a compiled `SequentialRecommender`.
        gradients: list of this replica's gradients, one of each trainable variable, or None.
        context: `tf.distribute.ReplicaContext`.
    """
    replicas = context.num_replicas_in_sync
    pairs = [pair for pair in zip(gradients, model.trainable_variables) if pair[0] is not None]
    gradients, variables = [gradient for gradient, _ in pairs], [variable for _, variable in pairs]
    clip = model.optimizer.global_clipnorm
    norm = global_norm(gradients, context) if clip and model.clip_unmerged_rows else None
    inner: keras.optimizers.Optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if inner is not model.optimizer and inner.global_clipnorm and (replicas > 1 or model.clip_unmerged_rows):
        raise ValueError("global_clipnorm acts after the loss is unscaled, on one device: use mixed_bfloat16")
    if replicas > 1:
        if inner.clipnorm or inner.clipvalue:
            raise ValueError("clipnorm and clipvalue act before the sum over replicas: use global_clipnorm")
        # Dense, because the optimizer sums over replicas once more and would repeat every row again.
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, dense)
    else:
        gradients = [merge_rows(gradient, dense=model.under_xla or is_small(variable)) for gradient, variable in pairs]
    if clip:
        gradients = clip_by_global_norm(gradients, clip, norm)
    if replicas > 1:
        gradients = [gradient / replicas for gradient in gradients]
    if model.weight_decay:
        share = model.weight_decay / replicas
        gradients = [
            tf.convert_to_tensor(gradient) + share * variable for gradient, variable in zip(gradients, variables)
        ]
    apply_clipped(model.optimizer, list(zip(gradients, variables)), clip)


def sum_over_replicas(value: tf.Tensor) -> tf.Tensor:
    """The sum of a tensor over all replicas; the tensor itself where there is one."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def gather_over_replicas(values: tf.Tensor) -> tf.Tensor:
    """The values of the whole batch, flat, in its order, on every replica."""
    context, values = tf.distribute.get_replica_context(), tf.reshape(values, [-1])
    return context.all_gather(values, axis=0) if context.num_replicas_in_sync > 1 else values


def is_small(variable: keras.Variable) -> bool:
    """Whether a variable is no table of more than `DENSE_ROWS` rows."""
    return len(variable.shape) == 0 or variable.shape[0] <= DENSE_ROWS


def merge_rows(gradient: tf.Tensor | tf.IndexedSlices, dense: bool = False) -> tf.Tensor | tf.IndexedSlices:
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
        # Adds rows up as `tf.convert_to_tensor` does, which takes three times as long for many rows.
        zeros = tf.zeros(gradient.dense_shape, gradient.values.dtype)
        return tf.tensor_scatter_nd_add(zeros, gradient.indices[:, tf.newaxis], gradient.values)
    indices, segment = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, segment, tf.size(indices))
    return tf.IndexedSlices(values, indices, gradient.dense_shape)


def global_norm(gradients: Sequence[tf.Tensor | tf.IndexedSlices], context: tf.distribute.ReplicaContext) -> tf.Tensor:
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


def clip_by_global_norm(
    gradients: Sequence[tf.Tensor | tf.IndexedSlices], clip_norm: float, norm: tf.Tensor | None = None
) -> list[tf.Tensor | tf.IndexedSlices]:
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


def apply_clipped(
    optimizer: keras.optimizers.Optimizer,
    gradients_and_variables: Iterable[tuple[tf.Tensor | tf.IndexedSlices, keras.Variable]],
    clip_norm: float | None,
) -> None:
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
