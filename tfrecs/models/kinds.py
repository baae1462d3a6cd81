"""Resolves the kind of objects that a request asks for, for models that distinguish kinds."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from tfrecs.errors import InputError, nearest, option

if TYPE_CHECKING:
    from tfrecs.models.recommender import SequentialRecommender


def kind_id(model: "SequentialRecommender", kind: str | int | tf.Tensor) -> int | tf.Tensor:
    """The id of a kind that is asked for by its name; ids stay as they are.

    Args:
        model: a `SequentialRecommender`.
        kind: str, or ids.

    Returns:
        int, or the ids.

    Raises:
        InputError: no kind of that name, or the model tells no kinds apart.
    """
    if not model.kind_attribute:
        raise InputError(
            f"{option('kind')} {kind!r}: this {type(model).__name__} was made without kinds of items to tell apart"
        )
    if not isinstance(kind, str):
        return kind
    if kind not in model.kind_names:
        known = nearest(kind, model.kind_names) if model.kind_names else "names are known after adapt; ids are from 1"
        raise InputError(f"{option('kind')}: unknown kind {kind!r}; {known}")
    return model.kind_names.index(kind) + 1


def of_kind(model: "SequentialRecommender", kind: str | int | tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """Which items are of the kinds asked for.

    Args:
        model: a `SequentialRecommender` with `kind_of(items)`.
        kind: str, a name; or an id, or int64 ids `[batch]`, 0 for any.

    Returns:
        `f(item ids [count]) -> bool [batch or 1, count]`.

    Raises:
        InputError: as `kind_id`.
    """
    kind = tf.reshape(tf.cast(kind_id(model, kind), tf.int64), [-1, 1])
    return lambda ids: tf.logical_or(kind == 0, tf.cast(model.kind_of(ids), tf.int64)[tf.newaxis] == kind)
