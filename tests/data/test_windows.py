import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrecs.data import windows

HISTORIES = st.lists(st.lists(st.integers(1, 99), max_size=9), min_size=1, max_size=5)


def ragged(rows):
    return tf.RaggedTensor.from_row_lengths(
        tf.constant(sum(rows, []), tf.int64), tf.constant([len(row) for row in rows], tf.int64)
    )


def padded(values, width):
    return values + [0] * (width - len(values))


def brute_force(rows, width, num_targets, min_history, min_targets):
    """(user, history, targets) of every window, one Python loop."""
    found = []
    for user, row in enumerate(rows):
        for position in range(len(row)):
            targets = row[position : position + num_targets]
            if position >= min_history and len(row) - position >= min_targets:
                history = row[max(position - width, 0) : position]
                found.append((user, padded(history, width), padded(targets, num_targets)))
    return found


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_windows_are_those_of_a_plain_loop(rows, width, num_targets, partial):
    min_history, min_targets = (1, 1) if partial else (width, num_targets)
    items = ragged(rows)
    positions = windows.target_positions(items.row_lengths(), min_history, min_targets)
    owners, starts = positions.value_rowids(), positions.flat_values
    history = windows.history_before(items, owners, starts, width).numpy().tolist()
    targets = windows.items_from(items, owners, starts, num_targets).numpy().tolist()
    assert list(zip(owners.numpy().tolist(), history, targets, strict=True)) == brute_force(
        rows, width, num_targets, min_history, min_targets
    )


@settings(max_examples=40, deadline=None)
@given(HISTORIES, st.integers(1, 12))
def test_the_whole_history_ends_at_its_last_items(rows, width):
    items = ragged(rows)
    owners = tf.range(len(rows), dtype=tf.int64)
    found = windows.history_before(items, owners, items.row_lengths(), width)
    assert found.shape == (len(rows), width)
    assert found.numpy().tolist() == [padded(row[-width:], width) for row in rows]


def test_floating_values_keep_their_type():
    ratings = tf.ragged.constant([[0.5, 4.5]], row_splits_dtype=tf.int64)
    found = windows.history_before(ratings, tf.constant([0], tf.int64), tf.constant([2], tf.int64), 3)
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, [[0.5, 4.5, 0.0]])


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 1]])
def test_nothing_to_predict_gives_no_window(lengths):
    positions = windows.target_positions(tf.constant(lengths, tf.int64), 1, 1)
    assert positions.to_list() == [[] for _ in lengths]
    items = ragged([[1] * length for length in lengths])
    owners, starts = positions.value_rowids(), positions.flat_values
    assert windows.history_before(items, owners, starts, 3).shape == (0, 3)
    assert windows.items_from(items, owners, starts, 2).shape == (0, 2)


SEQUENCES = [
    list(range(10 * user + 1, 10 * user + 1 + length)) for user, length in enumerate([1, 2, 4, 5, 6, 9, 10, 0])
]


@pytest.mark.parametrize("length", [1, 2, 4, 5, 50])
def test_every_next_item_is_trained_once(length):
    items = tf.ragged.constant(SEQUENCES, tf.int64, row_splits_dtype=tf.int64)
    rows, history, targets = (part.numpy() for part in windows.next_item_windows(items, length))
    found = []
    for row, inputs, outputs in zip(rows, history, targets):
        sequence = SEQUENCES[row]
        first = sequence.index(inputs[0])
        kept = inputs[inputs > 0].tolist()
        assert kept == sequence[first : first + len(kept)] and not inputs[len(kept) :].any()
        for position in np.flatnonzero(outputs):
            assert outputs[position] == sequence[first + position + 1]
            # Enough before it: half a window, or all there is.
            assert position + 1 >= min(first + position + 1, length - max(1, length // 2) + 1)
            found.append(outputs[position])
    assert sorted(found) == sorted(item for sequence in SEQUENCES for item in sequence[1:])
