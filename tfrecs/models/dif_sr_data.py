"""What DIF-SR trains on: every position of a window, or one prefix at a time."""

import tensorflow as tf

from tfrecs.data import windows


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
