"""Projection of vectors into the region, and max pooling over an item's neighbours there, as pure functions."""

import tensorflow as tf
from keras import ops


def profile(units: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    """Projects vectors by their local context units.

    Args:
        units: float `[..., region, dim]`.
        vectors: float `[..., dim]`.

    Returns:
        float `[..., region]`.

    Example:
        >>> profile(ops.ones((1, 2, 3)), ops.ones((1, 3))).numpy().tolist()
        [[3.0, 3.0]]
    """
    return ops.squeeze(ops.matmul(units, vectors[..., None]), axis=-1)


def winners(
    ratings: tf.Tensor, valid: tf.Tensor, padding_floor: bool, share_ties: bool = True
) -> tuple[tf.Tensor, tf.Tensor]:
    """Which neighbours rate highest in each dimension of the region; they alone get gradient.

    Args:
        ratings: float `[..., neighbours, region]`.
        valid: bool `[..., neighbours]`.
        padding_floor: bool, neighbours that are not valid rate 0 instead of being left out.
        share_ties: bool, whether neighbours that tie exactly share the gradient, as in TensorFlow's maximum; False
            gives it to the first of them, which XLA needs: it must know shapes beforehand.

    Returns:
        int `[..., region, ties]`, places among the neighbours, and float of that shape, the part of the gradient that
        each gets, 0 for those that are not valid. `ties` is how many tie where most do, nearly always 1.

    Example:
        >>> ratings = ops.convert_to_tensor([[-1.0], [-1.0], [5.0]])
        >>> valid = ops.convert_to_tensor([True, True, False])
        >>> for floor, share_ties in ((False, True), (False, False), (True, True)):
        ...     places, parts = winners(ratings, valid, floor, share_ties)
        ...     print(places.numpy().tolist(), parts.numpy().tolist())
        [[0, 1]] [[0.5, 0.5]]
        [[0]] [[1.0]]
        [[0]] [[0.0]]
    """
    counted = ops.swapaxes(left_out(ratings, valid, padding_floor), -1, -2)
    if share_ties:
        tied = counted == ops.max(counted, axis=-1, keepdims=True)
    else:
        tied = ops.one_hot(ops.argmax(counted, axis=-1), ops.shape(counted)[-1])
    parts = ops.cast(tied, counted.dtype)
    parts = parts / ops.sum(parts, axis=-1, keepdims=True) * ops.cast(valid[..., None, :], counted.dtype)
    ties = ops.maximum(1, ops.max(ops.count_nonzero(parts, axis=-1))) if share_ties else 1
    parts, places = ops.top_k(parts, ties)
    return places, parts


def left_out(ratings: tf.Tensor, valid: tf.Tensor, padding_floor: bool) -> tf.Tensor:
    """The ratings with those that do not count at 0 (`padding_floor`) or at the lowest number there is."""
    lowest = 0.0 if padding_floor else -3e38
    return ops.where(valid[..., None], ratings, ops.cast(lowest, ratings.dtype))


def highest(ratings: tf.Tensor, valid: tf.Tensor, padding_floor: bool) -> tf.Tensor:
    """The rating vector: the highest rating in each dimension; 0 where no neighbour is valid.

    Args:
        ratings, valid, padding_floor: as for `winners`.

    Returns:
        float `[..., region]`.

    Example:
        >>> ratings, valid = ops.convert_to_tensor([[-2.0], [5.0]]), ops.convert_to_tensor([True, False])
        >>> [highest(ratings, valid, floor).numpy().tolist() for floor in (False, True)]
        [[-2.0], [0.0]]
    """
    found = ops.max(left_out(ratings, valid, padding_floor), axis=-2)
    return ops.where(ops.any(valid, axis=-1)[..., None], found, ops.zeros_like(found))
