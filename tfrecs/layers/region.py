"""ARERec's region embedding: an item and each of its neighbours meet in a few dimensions, the best meeting counts."""

from keras import ops


def profile(units, vectors):
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


def winners(ratings, valid, padding_floor):
    """Which neighbour rates highest in each dimension of the region; it alone gets gradient.

    Args:
        ratings: float `[..., neighbours, region]`.
        valid: bool `[..., neighbours]`.
        padding_floor: bool, neighbours that are not valid rate 0 instead of being left out.

    Returns:
        int `[..., region]`; of equal ratings the first, and 0 where no neighbour is valid and none counts.

    Example:
        >>> ratings = ops.convert_to_tensor([[-2.0], [-1.0], [5.0]])
        >>> valid = ops.convert_to_tensor([True, True, False])
        >>> [winners(ratings, valid, floor).numpy().tolist() for floor in (False, True)]
        [[1], [2]]
    """
    return ops.argmax(left_out(ratings, valid, padding_floor), axis=-2)


def left_out(ratings, valid, padding_floor):
    """The ratings with those that do not count at 0 (`padding_floor`) or at the lowest number there is."""
    lowest = 0.0 if padding_floor else -3e38
    return ops.where(valid[..., None], ratings, ops.cast(lowest, ratings.dtype))


def highest(ratings, valid, padding_floor):
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
