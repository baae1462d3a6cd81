import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from tfrecs import metrics


def rank(scores, target, excluded, first_item=1, chunk_size=65536):
    """`scores` `[batch, items + 1]` by item id, PAD included."""
    table = tf.constant(scores, tf.float32)
    return metrics.checked_rank(
        lambda ids: tf.gather(table, ids, axis=1),
        tf.constant(target, tf.int64),
        tf.constant(excluded, tf.int64),
        table.shape[1] - 1,
        first_item,
        chunk_size,
    )[0].numpy()


def brute_force(scores, target, excluded, first_item):
    better = 1
    for item in range(first_item, len(scores)):
        left_out = item in excluded and item != 0
        if item != target and not left_out and not scores[item] < scores[target]:
            better += 1
    return better


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rank_against_a_brute_force(data):
    num_items, batch = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 3))
    value = st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 0.5, 2.0, math.inf, math.nan])
    scores = data.draw(
        st.lists(st.lists(value, min_size=num_items + 1, max_size=num_items + 1), min_size=batch, max_size=batch)
    )
    targets = data.draw(st.lists(st.integers(1, num_items), min_size=batch, max_size=batch))
    width = data.draw(st.integers(0, 4))
    ids = st.integers(0, num_items)
    excluded = data.draw(st.lists(st.lists(ids, min_size=width, max_size=width), min_size=batch, max_size=batch))
    first_item, chunk_size = data.draw(st.integers(0, 1)), data.draw(st.integers(1, num_items + 2))
    found = rank(scores, targets, np.array(excluded).reshape(batch, width), first_item, chunk_size)
    expected = [brute_force(*row, first_item) for row in zip(scores, targets, excluded, strict=True)]
    assert found.tolist() == expected


@pytest.mark.parametrize("chunk_size", range(1, 8))
def test_a_constant_scorer_is_ranked_last(chunk_size):
    found = rank(np.zeros((2, 6)), [1, 5], np.zeros((2, 0)), chunk_size=chunk_size)
    assert found.tolist() == [5, 5]
    assert rank(np.zeros((1, 6)), [2], np.zeros((1, 0)), first_item=0, chunk_size=chunk_size).tolist() == [6]
    assert rank(np.full((1, 6), np.nan), [2], np.zeros((1, 0)), chunk_size=chunk_size).tolist() == [5]


MODES = {"eager": lambda f: f, "graph": tf.function, "xla": lambda f: tf.function(f, jit_compile=True)}
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_size", [2, 65536])
def test_nan_is_the_worst_rank_in_every_mode(mode, chunk_size):
    """Item ids 1 to 4; of the last row item 4 is left out."""
    scores = tf.constant(
        [
            [0.3, NAN, 0.5, 0.1],
            [NAN, 0.9, 0.2, NAN],
            [0.3, 0.2, 0.1, NAN],
            [NAN] * 4,
            [0.5, 0.4, 0.3, 0.2],
            [INF, 0, 0, 0],
        ]
    )
    targets, ranks = [2, 2, 1, 1, 2, 2], [4, 3, 1, 4, 2, 4]
    excluded = tf.constant([[0], [0], [4], [0], [0], [0]], tf.int64)

    def ranked(target, excluded):
        return metrics.checked_rank(
            lambda ids: tf.gather(scores, ids - 1, axis=1), target, excluded, 4, chunk_size=chunk_size
        )

    rank, sound = MODES[mode](ranked)(tf.constant(targets, tf.int64), excluded)
    assert rank.numpy().tolist() == ranks
    assert sound.numpy().tolist() == [False, False, False, False, True, False]


@pytest.mark.parametrize("mode", MODES)
def test_only_numbers_below_infinity_are_scores(mode):
    values = tf.constant([NAN, INF, -INF, 0.0, 3e38, -NAN])
    assert MODES[mode](metrics.is_score)(values).numpy().tolist() == [False, False, True, True, True, False]


def test_padding_of_excluded_does_not_exclude_pad():
    """Where PAD competes, it does so however many items other rows of the batch leave out."""
    scores = [[9.0, 1.0, 2.0, 3.0]]
    for excluded in (np.zeros((1, 0)), [[0]], [[1, 0, 0]]):
        assert rank(scores, [3], excluded, first_item=0).tolist() == [2]


def test_the_target_is_never_excluded():
    assert rank([[0.0, 5.0, 4.0, 3.0]], [2], [[1, 2]]).tolist() == [1]
    assert rank([[0.0, 5.0, 4.0, 3.0]], [3], [[3, 3]]).tolist() == [3]


def test_metrics_by_hand():
    found = {name: value.numpy() for name, value in metrics.of_rank(tf.constant([1, 3, 7, 50, 51], tf.int64)).items()}
    assert sorted(found) == sorted([f"{name}@{k}" for name in ("hr", "ndcg") for k in (5, 10, 20, 50)] + ["mrr"])
    np.testing.assert_array_equal(found["hr@5"], [1, 1, 0, 0, 0])
    np.testing.assert_array_equal(found["hr@10"], [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(found["hr@50"], [1, 1, 1, 1, 0])
    np.testing.assert_allclose(found["ndcg@5"], [1, 1 / 2, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(found["ndcg@10"], [1, 1 / 2, 1 / 3, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(found["mrr"], [1, 1 / 3, 1 / 7, 1 / 50, 1 / 51], rtol=1e-6)


def test_metrics_against_sklearn():
    scores = np.random.default_rng(0).permuted(np.tile(np.arange(30.0), (8, 1)), axis=1)
    targets = np.arange(1, 9)
    relevant = np.eye(30)[targets - 1]
    found = metrics.of_rank(tf.constant(rank(np.c_[np.zeros(8), scores], targets, np.zeros((8, 0)))))
    for k in metrics.CUTOFFS:
        assert found[f"ndcg@{k}"].numpy().mean() == pytest.approx(ndcg_score(relevant, scores, k=k), abs=1e-6)
        top = np.argsort(-scores, axis=1)[:, :k] + 1
        assert found[f"hr@{k}"].numpy().mean() == (top == targets[:, None]).any(axis=1).mean()
    expected = label_ranking_average_precision_score(relevant, scores)  # with one relevant item, 1 / rank
    assert found["mrr"].numpy().mean() == pytest.approx(expected, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=3), st.integers(0, 9))
def test_member_against_sets(rows, first):
    found = metrics.member(tf.constant(rows, tf.int64), first, 4).numpy()
    assert found.tolist() == [[item in row and item != 0 for item in range(first, first + 4)] for row in rows]
