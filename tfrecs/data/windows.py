"""Windows over sequences, made at read time and vectorised over a batch of users: memory grows with a
history's length, never with its square."""

import numpy as np
import tensorflow as tf

from tfrecs.data.schema import PAD


def target_positions(row_lengths: tf.Tensor, min_history: int, min_targets: int) -> tf.RaggedTensor:
    """Every position of a sequence at which a training target may start.

    Args:
        row_lengths: int64 `[users]`, lengths of the training parts.
        min_history: int, items that must precede a target, at least 1.
        min_targets: int, items that must remain from the target on, at least 1.

    Returns:
        int64 ragged `[users, (positions)]`, positions from 0 within each sequence.

    Example:
        >>> target_positions(tf.constant([4, 1], tf.int64), 1, 1).to_list()
        [[1, 2, 3], []]
    """
    first = tf.fill(tf.shape(row_lengths), tf.constant(min_history, tf.int64))
    last = tf.maximum(row_lengths - min_targets + 1, first)
    return tf.ragged.range(first, last)


def history_before(
    values: tf.RaggedTensor, rows: tf.Tensor, positions: tf.Tensor, length: int | tf.Tensor
) -> tf.Tensor:
    """The last `length` values before a position, oldest first, left-aligned, padded with PAD.

    Args:
        values: ragged `[users, (time)]`.
        rows: int64 `[windows]`, which user each window belongs to.
        positions: int64 `[windows]`, the exclusive end of each window.
        length: int or int64 scalar, the width of a window.

    Returns:
        tensor `[windows, length]`.

    Example:
        >>> history_before(tf.ragged.constant([[5, 6, 7]], row_splits_dtype=tf.int64),
        ...                tf.constant([0, 0], tf.int64), tf.constant([1, 3], tf.int64), 2).numpy().tolist()
        [[5, 0], [6, 7]]
    """
    first = tf.maximum(positions - length, 0)
    return values_between(values, rows, first, positions, length)


def width_of(values: tf.RaggedTensor, length: int) -> tf.Tensor:
    """The longest row, `length` at most and 1 at least, int64: how wide `history_before` all rows has to be.

    Example:
        >>> int(width_of(tf.ragged.constant([[5, 6, 7], [8]], row_splits_dtype=tf.int64), 5))
        3
    """
    return tf.clip_by_value(values.bounding_shape(axis=1, out_type=tf.int64), 1, length)


def items_from(values: tf.RaggedTensor, rows: tf.Tensor, positions: tf.Tensor, length: int | tf.Tensor) -> tf.Tensor:
    """The next `length` values from a position on, left-aligned, padded with PAD; see `history_before`.

    Example:
        >>> items_from(tf.ragged.constant([[5, 6, 7]], row_splits_dtype=tf.int64),
        ...            tf.constant([0], tf.int64), tf.constant([2], tf.int64), 2).numpy().tolist()
        [[7, 0]]
    """
    ends = tf.gather(values.row_lengths(), rows)
    return values_between(values, rows, positions, ends, length)


def covering_windows(
    row_lengths: tf.Tensor, length: int, stride: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Windows that train each next item once, with up to `length` items before it.

    A sequence of n items has n - 1 next items. The last window ends with the last of them, each earlier one `stride`
    before; windows after a sequence's first overlap by `length - stride` items, which serve as context alone.

    Args:
        row_lengths: int64 `[users]`.
        length: int, items in a window at most.
        stride: int, at most `length`.

    Returns:
        `(rows, firsts, fresh, ends)`, int64 `[windows]`: the user, the first position of the window's items, the first
        whose next item is trained, and the exclusive end.

    Example:
        >>> [part.numpy().tolist() for part in covering_windows(tf.constant([6, 3, 1], tf.int64), 4, 2)]
        [[0, 0, 1], [0, 1, 0], [0, 3, 0], [3, 5, 2]]
    """
    count = tf.maximum(row_lengths - 1, 0)
    earliest = count - (tf.maximum(count - length, 0) + stride - 1) // stride * stride
    # Where there is no next item, the range is empty.
    ends = tf.ragged.range(tf.maximum(earliest, 1), count + 1, tf.constant(stride, tf.int64))
    rows, end = ends.value_rowids(), ends.flat_values
    is_first = tf.equal(end, tf.gather(earliest, rows))
    fresh = tf.where(is_first, tf.zeros_like(end), end - stride)
    return rows, tf.maximum(end - length, 0), fresh, end


def count_windows(lengths: np.ndarray, length: int) -> int:
    """How many windows `next_item_windows` makes of sequences.

    Args:
        lengths: int array `[users]`, of the sequences.
        length: int, items in a window at most.

    Example:
        >>> count_windows(np.array([4, 3, 1]), 2)
        3
    """
    count = np.maximum(lengths - 1, 0)
    earlier = -(-np.maximum(count - length, 0) // max(1, length // 2))
    return int(np.sum((count > 0) * (1 + earlier)))


def next_item_windows(values: tf.RaggedTensor, length: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One window for each `covering_windows`: its items, and for each the next one, or PAD where another trains it.

    Args:
        values: ragged int64 `[users, (time)]`.
        length: int, items in a window at most; windows overlap by half of it.

    Returns:
        `(rows, history, targets)`: int64 `[windows]`, `[windows, length]` and `[windows, length]`.

    Example:
        >>> items = tf.ragged.constant([[5, 6, 7, 8]], tf.int64, row_splits_dtype=tf.int64)
        >>> [part.numpy().tolist() for part in next_item_windows(items, 2)]
        [[0, 0], [[5, 6], [6, 7]], [[6, 7], [0, 8]]]
    """
    stride = max(1, length // 2)
    rows, first, fresh, end = covering_windows(values.row_lengths(), length, stride)
    history = values_between(values, rows, first, end, length)
    targets = values_between(values, rows, first + 1, end + 1, length)
    position = first[:, tf.newaxis] + tf.range(length, dtype=tf.int64)
    return rows, history, tf.where(position >= fresh[:, tf.newaxis], targets, 0)


def values_between(
    values: tf.RaggedTensor, rows: tf.Tensor, first: tf.Tensor, end: tf.Tensor, length: int | tf.Tensor
) -> tf.Tensor:
    """Values of positions `first` to `end` (exclusive), `length` of them at most, left-aligned, padded with PAD.

    Args:
        values: ragged `[users, (time)]`.
        rows: int64 `[windows]`, which user each window belongs to.
        first, end: int64 `[windows]`.
        length: int, the width of a window.

    Returns:
        tensor `[windows, length]`.

    Example:
        >>> values_between(tf.ragged.constant([[5, 6, 7]], row_splits_dtype=tf.int64),
        ...                tf.constant([0], tf.int64), tf.constant([1], tf.int64), tf.constant([2], tf.int64),
        ...                2).numpy().tolist()
        [[6, 0]]
    """
    index = first[:, tf.newaxis] + tf.range(length, dtype=tf.int64)
    inside = index < end[:, tf.newaxis]
    offset = tf.gather(values.row_starts(), rows)[:, tf.newaxis]
    flat = tf.where(inside, index + offset, 0)
    # One value is appended so that a batch without any values can still be gathered from.
    source = tf.concat([values.flat_values, tf.zeros([1], values.dtype)], 0)
    return tf.where(inside, tf.gather(source, flat), tf.cast(PAD, values.dtype))


def last_items(items: tf.RaggedTensor, longest: int) -> tf.Tensor:
    """The last items of each row, in a tensor no wider than they need.

    Args:
        items: ragged int64 `[users, None]`.
        longest: int, items kept of a row.

    Returns:
        int64 `[users, width]`, left-aligned, padded with 0; `width` is the longest row's, at most `longest`.

    Example:
        >>> last_items(tf.ragged.constant([[1, 2, 3], [4]], dtype=tf.int64), 2).numpy().tolist()
        [[2, 3], [4, 0]]
    """
    return history_before(items, tf.range(items.nrows()), items.row_lengths(), width_of(items, longest))
