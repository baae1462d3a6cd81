"""DIF-SR's side of the data: which attributes it reads, their tables, and what it trains on."""

import numpy as np
import tensorflow as tf

from tfrecs.data import windows
from tfrecs.data.pipeline import item_attributes
from tfrecs.errors import InputError, nearest
from tfrecs.models.dif_sr_arguments import ALL, NONE


def chosen(attributes, manifest):
    """The names behind the argument `attributes`.

    Args:
        attributes: tuple of str, names, `("all",)`, `("none",)` or empty.
        manifest: `data.manifest.Manifest`.

    Returns:
        tuple of str.

    Raises:
        InputError: the data lacks one, though it has others.
    """
    if tuple(attributes) in (ALL, NONE):
        return tuple(manifest.attributes) if tuple(attributes) == ALL else ()
    for name in attributes:
        if manifest.attributes and name not in manifest.attributes:
            raise InputError(f"--attributes: the data has no {name!r}; {nearest(name, manifest.attributes)}")
    return tuple(attributes)


def missing(attributes, manifest):
    """Names of attributes that the data lacks; see `SequentialRecommender.missing`."""
    if manifest.attributes or tuple(attributes) in ((), NONE):
        return []
    return ["item attributes"] if tuple(attributes) == ALL else list(attributes)


def sizes(attributes, data_dir, manifest):
    """The arguments `attribute_sizes` and `attribute_lengths` of the model, read off prepared data."""
    names = chosen(attributes, manifest)
    tables = item_attributes(data_dir, manifest) if names else {}
    longest = {name: int(np.diff(tables[name][1]).max(initial=0)) for name in names}
    return {
        "attribute_sizes": tuple(manifest.vocabularies[name].size for name in names),
        "attribute_lengths": tuple(
            0 if manifest.attributes[name] == "token" else max(1, longest[name]) for name in names
        ),
    }


def table(data_dir, manifest, name, longest, keep_repeats):
    """The padded table of one attribute, see `padded`."""
    return padded(*item_attributes(data_dir, manifest)[name], longest, keep_repeats)


def padded(values, row_splits, longest, keep_repeats=False):
    """A ragged table as a padded one.

    Args:
        values: int array, all rows' values one after another.
        row_splits: int array `[rows + 1]`.
        longest: int, width of the table, at least 1.
        keep_repeats: bool, a value that a row names twice counts twice.

    Returns:
        int64 array `[rows, longest]`, left-aligned, padded with 0.

    Example:
        >>> padded(np.array([3, 1, 3]), np.array([0, 0, 3]), 3).tolist()
        [[0, 0, 0], [3, 1, 0]]
    """
    rows = np.repeat(np.arange(len(row_splits) - 1), np.diff(row_splits))
    if not keep_repeats and len(values):
        _, first = np.unique(np.stack([rows, values]), axis=1, return_index=True)
        kept = np.sort(first)
        rows, values = rows[kept], values[kept]
    column = np.arange(len(rows)) - np.searchsorted(rows, rows)
    table = np.zeros((len(row_splits) - 1, longest), np.int64)
    table[rows, column] = values
    return table


def one_prefix_examples(items, length):
    """One example for each next item: up to `length` items before it, and the item.

    Args:
        items: ragged int64 `[users, (time)]`.
        length: int.

    Returns:
        `(rows, history, targets)`: int64 `[examples]`, `[examples, length]`, `[examples, 1]`.

    Source: RecBole `data/dataset/sequential_dataset.py` (`data_augmentation`).
    """
    positions = windows.target_positions(items.row_lengths(), 1, 1)
    rows, starts = positions.value_rowids(), positions.flat_values
    return rows, windows.history_before(items, rows, starts, length), windows.items_from(items, rows, starts, 1)


def all_position_examples(items, length):
    """One example for each window: its items, and for each the next item, or 0 where another window trains it.

    Args and Returns: as `one_prefix_examples`, but `targets` is `[examples, length]`.
    """
    stride = max(1, length // 2)
    rows, first, fresh, end = windows.covering_windows(items.row_lengths(), length, stride)
    history = windows.values_between(items, rows, first, end, length)
    targets = windows.values_between(items, rows, first + 1, end + 1, length)
    position = first[:, tf.newaxis] + tf.range(length, dtype=tf.int64)
    return rows, history, tf.where(position >= fresh[:, tf.newaxis], targets, 0)
