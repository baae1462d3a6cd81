"""What a model attends to: the weights of each of its attentions, with the ids that queries and keys stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from tfrecs.errors import InputError
from tfrecs.models import requests

if TYPE_CHECKING:
    from tfrecs.models.recommender import SequentialRecommender

HISTORY, CANDIDATE, USER, NEIGHBOURS = "history", "candidate", "user", "neighbours"


class AttentionMap(NamedTuple):
    """The weights of one attention of a model.

    Attributes:
        layer: str, its name within the model.
        weights: float32 `[batch, heads, queries, keys]`; over the keys they sum to 1, or to 0 where a query is padding
            or has no key.
        query, key: str, what the ids are: items of the `history`, the `candidate` (an item), the `user`, or
            `neighbours` (users).
        query_ids: int64 `[batch, queries]`.
        key_ids: int64 `[batch, keys]`; 0 is padding.
    """

    layer: str
    weights: tf.Tensor
    query: str
    query_ids: tf.Tensor
    key: str
    key_ids: tf.Tensor


def attention_weights(
    model: SequentialRecommender, inputs: Mapping[str, tf.Tensor], candidate: tf.Tensor | None = None
) -> list[AttentionMap]:
    """See `SequentialRecommender.attention_weights`.

    Args:
        model: a `SequentialRecommender`.
        inputs: dict, the model's inputs.
        candidate: int64 `[batch]`, or None.

    Returns:
        list of `AttentionMap`.

    Raises:
        InputError: the model has no attention, or its attention reads no candidates, or nothing else.
    """
    name = type(model).__name__
    if not model.attention_reads:
        raise InputError(f"{name} has no attention weights")
    if candidate is not None and CANDIDATE not in model.attention_reads:
        raise InputError(f"candidate: the attention of {name} reads no candidate; leave it out")
    if candidate is None and HISTORY not in model.attention_reads:
        raise InputError(f"candidate: the attention of {name} starts from an item; name one")
    model.require_tables()
    inputs, candidate = requests.read(model, inputs, candidate=candidate)
    return [_finished(*parts) for parts in model.attention_maps(inputs, candidate)]


def _finished(
    layer: str, weights: tf.Tensor, query: str, query_ids: tf.Tensor, key: str, key_ids: tf.Tensor
) -> AttentionMap:
    weights = tf.cast(weights, tf.float32)
    if query == HISTORY:  # what a padded position attends to is computed, and read by nothing
        weights = tf.where(query_ids[:, tf.newaxis, :, tf.newaxis] != 0, weights, 0)
    return AttentionMap(layer, weights, query, query_ids, key, key_ids)
