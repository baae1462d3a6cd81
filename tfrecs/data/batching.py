"""Batches of like lengths: rows are padded to the longest of their batch, not to the longest there is."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfrecs.data.schema import PAD


def by_length(
    examples: Mapping[str, tf.Tensor], padded_fields: Sequence[str], batch_tokens: int, seed: tf.Tensor
) -> tf.data.Dataset:
    """Cuts examples into batches of rows of like length, in random order.

    Args:
        examples: dict of tensors `[rows, ...]`, in random order.
        padded_fields: names of the tensors `[rows, time]`, left-aligned; the entries of the first that are not PAD
            count as a row's tokens.
        batch_tokens: int, tokens of a batch; a batch ends with the row that reaches it.
        seed: int tensor `[2]`, of the order of batches.

    Returns:
        `tf.data.Dataset` of dicts; the padded fields are cut to the longest row of the batch.

    Example:
        >>> rows = {"history": tf.constant([[1, 2, 3], [4, 0, 0], [5, 0, 0]])}
        >>> sorted(batch["history"].shape.as_list() for batch in by_length(rows, ["history"], 2, [0, 0]))
        [[1, 3], [2, 1]]
    """
    lengths = tf.reduce_sum(tf.cast(examples[padded_fields[0]] != PAD, tf.int64), axis=1)
    order = tf.argsort(lengths, stable=True)
    examples = {name: tf.gather(value, order) for name, value in examples.items()}
    lengths = tf.gather(lengths, order)
    batch_of_row = tf.cumsum(lengths, exclusive=True) // batch_tokens
    starts = tf.where(tf.concat([tf.ones_like(lengths[:1], tf.bool), batch_of_row[1:] != batch_of_row[:-1]], 0))[:, 0]
    ends = tf.concat([starts[1:], tf.shape(lengths, tf.int64)], 0)[: tf.size(starts)]
    slices = tf.random.experimental.stateless_shuffle(tf.stack([starts, ends], axis=1), seed)

    def one_batch(bounds: tf.Tensor) -> dict[str, tf.Tensor]:
        first, end = bounds[0], bounds[1]
        batch = {name: value[first:end] for name, value in examples.items()}
        longest = tf.maximum(tf.reduce_max(lengths[first:end]), 1)
        return batch | {name: batch[name][:, :longest] for name in padded_fields}

    return tf.data.Dataset.from_tensor_slices(slices).map(one_batch)
