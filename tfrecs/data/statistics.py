"""What the training parts hold, uninformed by held-out items: popularity, transitions, sampling weights, ratings."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrecs.data.manifest import Manifest
from tfrecs.data.schema import PAD
from tfrecs.data.training_batches import cut, sequences, training_ends
from tfrecs.errors import InputError, nearest, option

DISTRIBUTIONS = ("uniform", "popularity")
# `f(users, items) -> bool`, tensors of one shape: which interactions are held out.
HeldOut = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def item_counts(data_dir: str, manifest: Manifest, split: str = "train") -> np.ndarray:
    """How often each item occurs in the training parts: popularity, uninformed by held-out items.

    Returns:
        int64 array `[items + 1]`, by item id; index 0 (PAD) is 0.
    """
    counts = np.zeros(manifest.num_items + 1, np.int64)
    for batch in sequences(data_dir, manifest, ("item",)):
        training = cut(batch, ("item",), training_ends(batch, split))
        counts += np.bincount(training["item"].flat_values.numpy(), minlength=len(counts))
    return counts


def sampling_weights(
    data_dir: str,
    manifest: Manifest,
    distribution: str,
    split: str = "train",
    include_pad: bool = False,
    argument: str = "distribution",
) -> np.ndarray:
    """Weights for drawing negatives.

    Args:
        data_dir, manifest: as for `training_batches.TrainingBatches`.
        distribution: `uniform`, or `popularity` (training counts).
        split: the training split the counts are taken from.
        include_pad: bool, let PAD be drawn. NOTE: only for parity with AttRec's `DataInput.py`.
        argument: str, what messages call `distribution`.

    Returns:
        int64 array `[items + 1]`.
    """
    if distribution not in DISTRIBUTIONS:
        name = option("negative_sampling", argument)
        raise InputError(f"{name}: unknown value {distribution!r}; {nearest(distribution, DISTRIBUTIONS)}")
    if distribution == "popularity":
        weights = item_counts(data_dir, manifest, split)
    else:
        weights = np.ones(manifest.num_items + 1, np.int64)
    weights[PAD] = int(include_pad)
    return weights


def transition_pairs(data_dir: str, manifest: Manifest, split: str = "train") -> np.ndarray:
    """Every (item, next item) of the training parts.

    Returns:
        int64 array `[transitions, 2]`; its memory is 16 bytes an interaction.
    """
    pairs = [np.zeros([0, 2], np.int64)]
    for batch in sequences(data_dir, manifest, ("item",)):
        items = cut(batch, ("item",), training_ends(batch, split))["item"]
        values, rows = items.flat_values.numpy(), items.value_rowids().numpy()
        together = rows[1:] == rows[:-1]
        pairs.append(np.stack([values[:-1][together], values[1:][together]], axis=1))
    return np.concatenate(pairs)


def training_ratings(
    data_dir: str, manifest: Manifest, split: str, held_out: HeldOut | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All ratings of the training parts, in memory: 20 bytes each.

    Args:
        data_dir, manifest: prepared data with ratings.
        split: the training split.
        held_out: `f(users, items) -> bool`, tensors of one shape: interactions of the split to leave out; default none.

    Returns:
        int64 `users [ratings]` and `items [ratings]`, float32 `ratings [ratings]`.
    """
    fields, blocks = ("item", "rating"), [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    for batch in sequences(data_dir, manifest, fields):
        training = cut(batch, fields, training_ends(batch, split))
        users, items = tf.gather(training["user"], training["item"].value_rowids()), training["item"].flat_values
        kept = tf.ones_like(users, tf.bool) if held_out is None else tf.logical_not(held_out(users, items))
        columns = (users, items, training["rating"].flat_values)
        blocks.append(tuple(tf.boolean_mask(column, kept).numpy() for column in columns))
    users, items, ratings = (np.concatenate(columns) for columns in zip(*blocks))
    return users, items, ratings
