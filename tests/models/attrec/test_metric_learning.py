import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tfrecs.models.attrec.metric_learning import pairwise_hinge, weighted_squared_distance

# Distances and margin 1/2. Pairs positive + 1/2 - negative:
# row 0: 1/4 + 1/2 - (1/4, 1) = 1/2, -1/4;  1 + 1/2 - (1/4, 1) = 5/4, 1/2
# row 1: 2 + 1/2 - (5/2, 3) = 0, -1/2;      0 + 1/2 - (5/2, 3) < 0
POSITIVE, NEGATIVE = [[0.25, 1.0], [2.0, 0.0]], [[0.25, 1.0], [2.5, 3.0]]


@pytest.mark.parametrize(
    "mask, total, mean",
    [
        ([[1, 1], [1, 1]], [9 / 4, 0], [9 / 16, 0]),
        ([[1, 0], [1, 0]], [1 / 2, 0], [1 / 4, 0]),
        ([[0, 1], [0, 0]], [7 / 4, 0], [7 / 8, 0]),
    ],
)
def test_hinge_by_hand(mask, total, mean):
    for dtype in (bool, "float32"):
        arguments = POSITIVE, NEGATIVE, 0.5, np.array(mask, dtype)
        np.testing.assert_allclose(pairwise_hinge(*arguments), total, rtol=1e-6)
        np.testing.assert_allclose(pairwise_hinge(*arguments, "mean"), mean, rtol=1e-6)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_hinge_against_loops(reduction):
    random = np.random.default_rng(0)
    positive, negative, mask = random.random((4, 3)), random.random((4, 5)), random.random((4, 3)) < 0.6
    expected = []
    for row in range(4):
        pairs = [max(0, p + 0.3 - n) for p, real in zip(positive[row], mask[row]) if real for n in negative[row]]
        expected.append(sum(pairs) / max(len(pairs), 1) if reduction == "mean" else sum(pairs))
    np.testing.assert_allclose(pairwise_hinge(positive, negative, 0.3, mask, reduction), expected, rtol=1e-5)


def test_weighted_squared_distance_against_scipy():
    random = np.random.default_rng(0)
    queries, items = random.normal(size=(2, 3, 5)).astype("float32"), random.normal(size=(2, 7, 5)).astype("float32")
    weights = np.array([[[0.3], [0.0], [1.0]], [[0.7], [0.7], [2.0]]], "float32")
    expected = sum(weights[k] * cdist(queries[k], items[k], "sqeuclidean") for k in range(2))
    found = weighted_squared_distance([(weights[k], queries[k], items[k]) for k in range(2)])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    columns = np.array([[0, 1], [2, 3], [4, 5]])
    found = weighted_squared_distance([(weights[k], queries[k], items[k][columns]) for k in range(2)])
    np.testing.assert_allclose(found, np.take_along_axis(expected, columns, 1), atol=1e-5)
