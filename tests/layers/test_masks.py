import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy.special import softmax

from tfrecs.layers import masks
from tfrecs.models.attrec.attention import off_diagonal_mask


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5))
def test_a_valid_query_has_a_key_other_than_itself_where_there_is_one(valid):
    mask = ops.convert_to_numpy(off_diagonal_mask(ops.convert_to_tensor(valid)))
    for row, allowed in zip(valid, mask, strict=True):
        for query in range(4):
            keys = {key for key in range(4) if row[key]}
            expected = keys - {query} if len(keys) > 1 else keys
            assert set(np.flatnonzero(allowed[query])) == expected
            assert expected or not row[query]


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-6), ("bfloat16", 1e-2), ("float16", 1e-3)])
def test_masked_softmax_against_scipy(dtype, tolerance):
    random = np.random.default_rng(0)
    scores, mask = 5 * random.normal(size=(6, 7)).astype("float32"), random.random((6, 7)) < 0.5
    mask[0], mask[1] = False, True
    found = masks.masked_softmax(ops.cast(scores, dtype), ops.convert_to_tensor(mask))
    assert found.dtype == dtype
    found = ops.convert_to_numpy(ops.cast(found, "float32"))
    for row in range(6):
        allowed = mask[row]
        expected = np.zeros(7)
        if allowed.any():
            expected[allowed] = softmax(scores[row, allowed])
        np.testing.assert_allclose(found[row], expected, atol=tolerance)
        assert not found[row, ~allowed].any()  # exactly 0


def test_scores_far_below_the_floor_of_ordinary_ones():
    """A valid key keeps all weight, however bad its score."""
    found = masks.masked_softmax(ops.convert_to_tensor([[-5e8, 0.0]]), ops.convert_to_tensor([[True, False]]))
    assert ops.convert_to_numpy(found).tolist() == [[1.0, 0.0]]


def test_padding_mask_takes_any_shape():
    assert ops.convert_to_numpy(masks.padding_mask(np.array([[[1], [0]]]))).tolist() == [[[True], [False]]]
