import numpy as np
import pytest

from tfrecs.models.attrec.aggregation import AGGREGATIONS, aggregate

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
