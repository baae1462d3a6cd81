"""Ranks and best items by one product with a table, against plain sorting in numpy."""

import numpy as np
import pytest
import tensorflow as tf

from tfrecs.models import catalogue, sasrec

ROWS, WIDTH, BATCH = 1400, 6, 9


@pytest.fixture(params=["eager", "graph"])
def mode(request):
    return (lambda f: f) if request.param == "eager" else tf.function


@pytest.fixture
def problem(monkeypatch):
    """Queries, vectors of few distinct values, so that many scores are equal, and lists of excluded items."""
    monkeypatch.setattr(catalogue, "SCORES_AT_ONCE", 4 * ROWS)  # three groups of users
    random = np.random.default_rng(0)
    query = random.integers(-2, 3, (BATCH, WIDTH)).astype(np.float32)
    vectors = random.integers(-1, 2, (ROWS, WIDTH)).astype(np.float32)
    excluded = random.integers(0, ROWS, (BATCH, 40))
    excluded[:, 1] = excluded[:, 0]  # twice
    return query, vectors, excluded


def ranking(scores, excluded, first_item=1):
    """Ids in order, best first, equal scores by id; PAD and excluded items left out."""
    ids = [item for item in range(first_item, len(scores)) if item == 0 or item not in set(excluded)]
    return sorted(ids, key=lambda item: (-scores[item], item))


@pytest.mark.parametrize("k", [1, 2, 50])
@pytest.mark.parametrize("chunk_size", [None, 100, 300])
def test_best_items_are_those_of_sorting(mode, problem, k, chunk_size):
    query, vectors, excluded = problem
    best = mode(lambda q, x: catalogue.best_items(q, catalogue.of_vectors(vectors), k, x, chunk_size=chunk_size))
    items, scores, sound = (part.numpy() for part in best(query, excluded))
    assert sound.all()
    for row in range(BATCH):
        expected = ranking(vectors @ query[row], excluded[row])[:k]
        assert items[row].tolist() == expected
        assert scores[row].tolist() == [float(vectors[item] @ query[row]) for item in expected]


def test_where_few_items_are_left_zero_fills_up(mode, problem):
    query, vectors, _ = problem
    allowed = np.isin(np.arange(ROWS), [5, 900])
    best = mode(lambda q: catalogue.best_items(q, catalogue.of_vectors(vectors), 4, None, lambda ids: allowed[None]))
    items, scores, _ = (part.numpy() for part in best(query))
    assert (items[:, 2:] == 0).all() and np.isneginf(scores[:, 2:]).all()
    assert {tuple(sorted(row)) for row in items[:, :2].tolist()} == {(5, 900)}


@pytest.mark.parametrize("first_item", [0, 1])
def test_ranks_are_those_of_counting(mode, problem, first_item):
    query, vectors, excluded = problem
    target = np.array([5, 0, 700, 1399, 3, 8, 9, 10, 11]) + (1 - first_item) * np.eye(1, BATCH, 1, int)[0]
    excluded[2, 5] = target[2]  # the target is never excluded
    rank = mode(lambda q, t, x: catalogue.checked_rank(q, catalogue.of_vectors(vectors), t, x, first_item))
    found, sound = (part.numpy() for part in rank(query, target, excluded))
    assert sound.all()
    for row in range(BATCH):
        scores = vectors @ query[row]
        others = set(range(first_item, ROWS)) - (set(excluded[row]) - {0}) - {target[row]}
        assert found[row] == 1 + sum(scores[item] >= scores[target[row]] for item in others)


@pytest.mark.parametrize("place, value", [("vectors", np.nan), ("vectors", np.inf), ("query", np.nan), ("query", 3e38)])
def test_scores_that_may_be_none_are_reported(mode, problem, place, value):
    query, vectors, excluded = problem
    vectors *= 2
    (vectors if place == "vectors" else query)[4, 2] = value
    table = catalogue.of_vectors(vectors)
    found, sound = mode(lambda q: catalogue.checked_rank(q, table, tf.ones([BATCH], tf.int64), excluded))(query)
    expected = np.zeros(BATCH, bool) if place == "vectors" else np.arange(BATCH) != 4
    assert sound.numpy().tolist() == expected.tolist()
    assert catalogue.best_items(query, table, 3)[2].numpy().tolist() == expected.tolist()
    if place == "query" and np.isnan(value):
        others = set(range(1, ROWS)) - set(excluded[4])
        assert found[4] == len(others | {1})  # the worst rank


def test_no_user_at_all(mode, problem):
    query, vectors, excluded = problem
    best = mode(lambda q, x: catalogue.best_items(q, catalogue.of_vectors(vectors), 4, x))
    assert [part.shape for part in best(query[:0], excluded[:0])] == [(0, 4), (0, 4), (0,)]


def test_a_model_and_its_catalogue_agree():
    model = sasrec.SASRec(3, 700, dim=8, num_heads=2)
    inputs = {"user": np.zeros(4, np.int64), "history": np.array([[5, 6, 0], [7, 0, 0], [8, 9, 10], [0, 0, 0]])}
    scores = model.score(inputs, np.arange(1, 701)).numpy()
    items, best = model.recommend(inputs, k=5, excluded=inputs["history"], table=model.catalogue())
    for row in range(4):
        expected = ranking(np.concatenate([[0], scores[row]]), inputs["history"][row])[:5]
        assert items[row].numpy().tolist() == expected
        np.testing.assert_allclose(best[row], scores[row][np.array(expected) - 1], rtol=1e-5, atol=1e-6)
