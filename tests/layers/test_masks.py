import numpy as np
import pytest
from keras import ops
from scipy.special import softmax

from tfrecs.layers import masks


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
