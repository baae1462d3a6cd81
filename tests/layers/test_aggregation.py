import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tfrecs.models.attrec.aggregation import AGGREGATIONS, aggregate
from tfrecs.models.attrec.metric_learning import weighted_squared_distance

LENGTHS = [4, 2, 1, 0]


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).normal(size=(4, 4, 3)).astype("float32")


@pytest.mark.parametrize("how", AGGREGATIONS)
def test_against_numpy_row_by_row(values, how):
    valid = np.arange(4) < np.array(LENGTHS)[:, None]
    found = aggregate(values, valid, how).numpy()
    for row, length in enumerate(LENGTHS):
        expected = getattr(np, how)(values[row, :length], axis=0) if length else np.zeros(3)
        np.testing.assert_allclose(found[row], expected, rtol=1e-6)


@pytest.mark.parametrize("how", AGGREGATIONS)
def test_unmasked_counts_padding(values, how):
    """AttRec's code: padded positions take part, and the mean divides by the real ones."""
    valid = np.arange(4) < np.array(LENGTHS)[:, None]
    found = aggregate(values, valid, how, mask_padding=False).numpy()
    expected = values.sum(axis=1) if how == "mean" else getattr(np, how)(values, axis=1)
    divisor = np.maximum(LENGTHS, 1)[:, None] if how == "mean" else 1
    np.testing.assert_allclose(found, expected / divisor, rtol=1e-5)


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
