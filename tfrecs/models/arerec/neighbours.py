"""Who rated an item first: the lists of neighbours that ARERec reads, from shards, in bounded memory."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfrecs.data import training_batches
from tfrecs.data.manifest import Manifest, read_vocabulary
from tfrecs.data.statistics import HeldOut
from tfrecs.errors import InputError, option

BUFFER = 1 << 20  # interactions gathered before they are sorted in; the lists themselves may be longer
USERS = 1024  # users read at a time


def rating_classes(ratings: tf.Tensor, classes: Sequence[float]) -> tf.Tensor:
    """The class of each rating.

    Args:
        ratings: float32 `[...]`.
        classes: tuple of floats.

    Returns:
        int64 `[...]`, from 0; -1 where a rating is none of the classes.

    Example:
        >>> rating_classes(tf.constant([4.0, 3.5]), (1.0, 2.0, 4.0)).numpy().tolist()
        [2, -1]
    """
    same = tf.equal(ratings[..., tf.newaxis], tf.constant(classes, tf.float32))
    found = tf.argmax(tf.cast(same, tf.int32), axis=-1)
    return tf.where(tf.reduce_any(same, axis=-1), found, -1)


def count_units(
    data_dir: str,
    manifest: Manifest,
    limit: int,
    classes: Sequence[float],
    split: str = "all",
    held_out: HeldOut | None = None,
) -> int:
    """How many places all items' lists have; refuses ratings that have no class, of any split.

    Args:
        data_dir: str.
        manifest: its `Manifest`, with ratings.
        limit: int, the longest list.
        classes: tuple of floats, the ratings there may be.
        split, held_out: as for `first_raters`.

    Returns:
        int, the sum over items of `min(interactions, limit)`.

    Raises:
        InputError: naming a rating that is none of the classes, and its user and item.
    """
    counts = np.zeros(manifest.num_items + 1, np.int64)
    for batch in training_batches.sequences(data_dir, manifest, ("item", "rating")):
        items, ratings = batch["item"].flat_values.numpy(), batch["rating"].flat_values
        wrong = np.flatnonzero(rating_classes(ratings, classes).numpy() < 0)
        if len(wrong):
            row = batch["item"].value_rowids().numpy()[wrong[0]]
            users, names = (read_vocabulary(data_dir, manifest, name) for name in ("user", "item"))
            user, item = users[batch["user"].numpy()[row] - 1], names[items[wrong[0]] - 1]
            raise InputError(
                f"{option('rating_classes')}: in {data_dir} user {user!r} rated item {item!r} "
                f"{ratings.numpy()[wrong[0]]:g}, which is none of {', '.join(f'{value:g}' for value in classes)}"
            )
        training = training_batches.cut(batch, ("item",), training_batches.training_ends(batch, split))
        users, items = tf.gather(training["user"], training["item"].value_rowids()), training["item"].flat_values
        chosen = items if held_out is None else tf.boolean_mask(items, tf.logical_not(held_out(users, items)))
        counts += np.bincount(chosen.numpy(), minlength=len(counts))
    return int(np.minimum(counts, limit).sum())


def first_raters(
    data_dir: str, manifest: Manifest, limit: int, split: str, held_out: HeldOut | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first users who interacted with each item, in order of time, users of equal time in order of id.

    Args:
        data_dir, manifest: prepared data with timestamps.
        limit: int, users per item at most.
        split: a training split of `training_batches.TrainingBatches`.
        held_out: `f(users, items) -> bool`, tensors of one shape: interactions of the split to leave out; default none.

    Returns:
        int64 arrays `users [places]`, `times [places]` and `starts [items + 2]`: the list of item i is
        `starts[i]` to `starts[i + 1]`, the latter exclusive. Memory grows with these lists, not with the data.
    """
    fields, lists, waiting = ("item", "timestamp"), np.zeros([3, 0], np.int64), []
    for batch in training_batches.sequences(data_dir, manifest, fields, USERS):
        training = training_batches.cut(batch, fields, training_batches.training_ends(batch, split))
        items, times = training["item"].flat_values, training["timestamp"].flat_values
        users = tf.gather(training["user"], training["item"].value_rowids())
        block = tf.stack([items, times, users])
        if held_out is not None:
            block = tf.boolean_mask(block, tf.logical_not(held_out(users, items)), axis=1)
        waiting.append(block.numpy())
        if sum(block.shape[1] for block in waiting) >= max(BUFFER, lists.shape[1]):
            lists, waiting = _merge([lists, *waiting], limit), []
    items, times, users = _merge([lists, *waiting], limit)
    return users, times, np.searchsorted(items, np.arange(manifest.num_items + 2))


def _merge(blocks: Sequence[np.ndarray], limit: int) -> np.ndarray:
    found = np.concatenate(blocks, axis=1)
    items, times, users = found = found[:, np.lexsort((found[2], found[1], found[0]))]
    place = np.arange(len(items)) - np.searchsorted(items, items)
    return found[:, place < limit]
