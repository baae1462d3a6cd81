import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfrecs.data import negatives

SEED = tf.constant([7, 11])


def ragged(rows):
    return tf.RaggedTensor.from_row_lengths(
        tf.constant(sum(map(list, rows), []), tf.int64), tf.constant([len(row) for row in rows], tf.int64)
    )


def draw(rows, owners, count, weights, seed=SEED):
    cumulative = negatives.cumulative_weights(weights)
    return negatives.draw(ragged(rows), tf.constant(owners, tf.int64), count, cumulative, seed).numpy()


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 12))
def test_only_items_that_may_be_drawn_are_drawn(data, num_items):
    ids = st.sets(st.integers(1, num_items), max_size=num_items)
    rows = [sorted(row) for row in data.draw(st.lists(ids, min_size=1, max_size=4))]
    weights = [0] + data.draw(st.lists(st.integers(0, 3), min_size=num_items, max_size=num_items))
    allowed = [{i for i in range(1, num_items + 1) if weights[i] and i not in row} for row in rows]
    if not any(weights):
        return
    remaining = negatives.remaining_weight(ragged(rows), negatives.cumulative_weights(weights))
    assert remaining.numpy().tolist() == [sum(weights[i] for i in row) for row in allowed]
    owners = [user for user, row in enumerate(allowed) if row] * 2
    drawn = draw(rows, owners, 20, weights)
    assert drawn.shape == (len(owners), 20)
    for owner, row in zip(owners, drawn, strict=True):
        assert set(row.tolist()) <= allowed[owner]


@pytest.mark.parametrize("weights", [[0] + [1] * 9, [0, 5, 1, 0, 2, 9, 3, 1, 4, 2]])
def test_distribution_is_exact(weights):
    rows = [[2, 3, 9], [], [1, 5], [1, 2, 3, 4, 6, 7, 8]]
    drawn = draw(rows, [0, 1, 2, 3], 40_000, weights)
    for excluded, row in zip(rows, drawn, strict=True):
        left = np.array([0 if item in excluded else weight for item, weight in enumerate(weights)])
        counts = np.bincount(row, minlength=len(weights))
        assert not counts[left == 0].any()
        expected = left / left.sum() * row.size
        assert stats.chisquare(counts[left > 0], expected[left > 0]).pvalue > 1e-3


def test_a_sampler_draws_anew_at_each_call():
    cumulative, owners = negatives.cumulative_weights([0, 1, 1, 1, 1]), tf.zeros([10], tf.int64)
    sampler, again = (negatives.Sampler(ragged([[2]]), cumulative, SEED) for _ in range(2))
    first, second = sampler(owners, 20).numpy(), sampler(owners, 20).numpy()
    assert (first == draw([[2]], [0] * 10, 20, [0, 1, 1, 1, 1])).all() and (first != second).any()
    assert (again(owners, 20).numpy() == first).all() and (again(owners, 20).numpy() == second).all()


def test_draws_from_the_whole_catalogue_have_the_stated_probability():
    weights = np.array([0, 5, 1, 0, 2, 9, 3])
    sampler = negatives.Sampler(ragged([[1, 5]]), negatives.cumulative_weights(weights), SEED)
    ids, log_probability = (part.numpy() for part in sampler.whole_catalogue(tf.zeros([400], tf.int64), 100))
    assert ids.shape == log_probability.shape == (400, 100)
    np.testing.assert_allclose(log_probability, np.log(weights[ids] / 20), rtol=1e-5)
    counts = np.bincount(ids.ravel(), minlength=7)
    assert not counts[weights == 0].any()
    assert stats.chisquare(counts[weights > 0], weights[weights > 0] / 20 * ids.size).pvalue > 1e-3


KINDS = [0, 2, 1, 1, 2, 1, 2, 2, 1, 3]


@pytest.mark.parametrize("weights", [[0] + [1] * 9, [0, 5, 1, 0, 2, 9, 3, 1, 4, 2]])
def test_draws_within_a_kind_are_exact(weights):
    rows = [[4, 2, 9, 2], [], [1, 5, 1], [8, 3, 2, 5]]
    owners, like = [0, 0, 1, 1, 2, 2, 2, 3], [1, 3, 6, 9, 4, 8, 9, 7]
    uniform = tf.random.stateless_uniform([len(owners), 20_000], SEED, dtype=tf.float64)
    within = negatives.WithinKinds(KINDS, weights)
    found = within.pick(ragged(rows), tf.constant(owners, tf.int64), tf.constant(like, tf.int64), uniform).numpy()
    for owner, item, drawn in zip(owners, like, found, strict=True):
        same = [KINDS[other] == KINDS[item] and other not in rows[owner] for other in range(10)]
        left = np.where(same, weights, 0)
        assert left.sum() > 0
        counts = np.bincount(drawn, minlength=10)
        assert not counts[left == 0].any()
        if (left > 0).sum() > 1:
            expected = left / left.sum() * drawn.size
            assert stats.chisquare(counts[left > 0], expected[left > 0]).pvalue > 1e-3


def test_nothing_left_of_a_kind_is_padding():
    rows, uniform = [[9, 2], [2, 3, 5, 8]], tf.constant([[0.0, 0.99]] * 4, tf.float64)
    within = negatives.WithinKinds(KINDS, [0] + [1] * 9)
    like = tf.constant([9, 2, 9, 2], tf.int64)
    found = within.pick(ragged(rows), tf.constant([0, 0, 1, 1], tf.int64), like, uniform).numpy().tolist()
    assert found == [[0, 0], [3, 8], [9, 9], [0, 0]]


def test_one_kind_draws_as_without_kinds():
    rows, owners = [[2, 3, 9], [], [1, 5]], tf.constant([0, 1, 2, 2], tf.int64)
    uniform = tf.random.stateless_uniform([4, 500], SEED, dtype=tf.float64)
    weights = [0, 5, 1, 0, 2, 9, 3, 1, 4, 2]
    plain = negatives.pick(ragged(rows), owners, uniform, negatives.cumulative_weights(weights))
    within = negatives.WithinKinds([1] * 10, weights).pick(ragged(rows), owners, owners + 1, uniform)
    np.testing.assert_array_equal(within, plain)


def test_draws_of_one_window_do_not_depend_on_each_other():
    pairs = draw([[1]], [0] * 20_000, 2, [0, 1, 1, 1, 1])
    table = np.zeros((5, 5))
    np.add.at(table, (pairs[:, 0], pairs[:, 1]), 1)
    assert stats.chi2_contingency(table[2:, 2:]).pvalue > 1e-3
    assert stats.chi2_contingency(np.histogram2d(pairs[1:, 0], pairs[:-1, 1], 3)[0]).pvalue > 1e-3


def test_equal_seed_equal_draw():
    arguments = [[[2]], [0] * 10, 20, [0, 1, 1, 1, 1]]
    first = draw(*arguments)
    np.testing.assert_array_equal(first, draw(*arguments))
    assert (first != draw(*arguments, seed=tf.constant([7, 12]))).any()


def test_one_item_left():
    assert set(draw([[1, 2, 4]], [0, 0], 50, [0, 1, 1, 1, 1]).ravel()) == {3}
    assert set(draw([[2]], [0], 50, [0, 0, 5, 8]).ravel()) == {3}


def test_pad_only_with_weight():
    assert set(draw([[1]], [0], 50, [1, 1, 1]).ravel()) == {0, 2}
    assert set(draw([[1]], [0], 50, [0, 1, 1]).ravel()) == {2}


def test_large_weights_stay_exact():
    weights = np.array([0, 2**40, 1, 2**40])
    drawn = draw([[1], [3]], [0, 1], 1000, weights)
    assert set(drawn[0]) == {3} and set(drawn[1]) == {1}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=5))
def test_sorted_unique(rows):
    found = negatives.sorted_unique(ragged(rows), 7)
    assert found.to_list() == [sorted(set(row)) for row in rows]


@pytest.mark.parametrize("weights", [[0, 0], [0, -1, 5]])
def test_impossible_weights(weights):
    with pytest.raises(ValueError, match="weights must be non-negative and not all 0"):
        negatives.cumulative_weights(weights)
