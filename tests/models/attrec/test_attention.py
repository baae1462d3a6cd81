import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from tfrecs.models.attrec.attention import IdentityValueAttention, kept, off_diagonal_mask

BATCH, TIME, DIM = 4, 5, 6
LENGTHS = [5, 3, 1, 0]


@pytest.fixture(scope="module")
def inputs():
    random = np.random.default_rng(1)
    valid = np.arange(TIME) < np.array(LENGTHS)[:, None]
    values = random.normal(size=(BATCH, TIME, DIM)).astype("float32") * valid[:, :, None]
    return values, random.normal(size=(TIME, DIM)).astype("float32"), valid


def make(**arguments):
    keras.utils.set_random_seed(0)
    return IdentityValueAttention(DIM, **arguments)


def plain(layer, values, signal, valid):
    """The equations with loops: X, TE and weights of each query over the keys it may use."""
    kernels = [projection.kernel.numpy().astype(np.float64) for projection in layer.projections]
    outputs, weights = np.zeros((BATCH, TIME, DIM)), np.zeros((BATCH, TIME, TIME))
    for row in range(BATCH):
        located = values[row].astype(np.float64) + signal
        queries, keys = np.maximum(located @ kernels[0], 0), np.maximum(located @ kernels[-1], 0)
        for query in range(TIME):
            allowed = [key for key in range(TIME) if valid[row, key] or not layer.mask_padding]
            if layer.diagonal == "masked" and len(allowed) > 1:
                allowed = [key for key in allowed if key != query]
            scores = np.array([queries[query] @ keys[key] / np.sqrt(DIM) for key in allowed])
            if layer.diagonal == "zeroed":
                scores[[key == query for key in allowed]] = 0.0
            if allowed:
                weights[row, query, allowed] = np.exp(scores) / np.exp(scores).sum()
        outputs[row] = weights[row] @ values[row]
    return outputs, weights


@pytest.mark.parametrize("shared_projection", [True, False])
@pytest.mark.parametrize("diagonal", ["masked", "zeroed"])
@pytest.mark.parametrize("mask_padding", [True, False])
def test_against_plain_numpy(inputs, shared_projection, diagonal, mask_padding):
    layer = make(shared_projection=shared_projection, diagonal=diagonal, mask_padding=mask_padding)
    assert len(layer.trainable_variables) == 2 - shared_projection
    for found, expected in zip(layer(*inputs), plain(layer, *inputs), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_no_position_attends_to_itself_or_to_padding(inputs):
    weights = make()(*inputs)[1].numpy()
    for row, length in enumerate(LENGTHS):
        assert not weights[row, :, length:].any()
        if length > 1:
            assert not np.diagonal(weights[row]).any()
        np.testing.assert_allclose(weights[row, :length].sum(axis=1), 1.0, rtol=1e-6)
    assert weights[2, 0].tolist() == [1, 0, 0, 0, 0]  # the only item there is


def test_more_padding_and_what_is_behind_it_change_nothing(inputs):
    values, signal, valid = inputs
    layer = make()
    expected = layer(*inputs)[0].numpy()
    behind = np.where(valid[:, :, None], values, 7.0).astype("float32")
    longer = np.pad(behind, [(0, 0), (0, 3), (0, 0)], constant_values=9.0)
    padded = layer(longer, np.pad(signal, [(0, 3), (0, 0)]), np.pad(valid, [(0, 0), (0, 3)]))[0].numpy()
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(padded[row, :length], expected[row, :length], atol=1e-6)


@pytest.mark.parametrize("rate", [1e-9, 0.1, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("dim", [6, 7])
def test_what_dropout_keeps(rate, dim):
    values = ops.zeros((40, 30, dim))
    masks = np.stack([kept(values, rate, [3, seed])[0] for seed in (1, 1, 2)])
    share = kept(values, rate, [3, 1])[1]
    assert share == pytest.approx(1 - rate, abs=2**-17) and share > 0
    assert set(masks.ravel()) <= {0.0, 1.0} and masks.shape == (3, 40, 30, dim)
    deviation = np.sqrt(share * (1 - share) / masks[0].size)
    assert abs(masks[1:].mean(axis=(1, 2, 3)) - share).max() <= 4 * deviation
    np.testing.assert_array_equal(masks[0], masks[1])
    if rate == 0.5:
        for one, other in ((masks[0], masks[2]), (masks[0][..., 1:], masks[0][..., :-1])):
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05


def test_scores_keep_their_mean_under_dropout(inputs):
    """Of equal inputs, over many draws: what is dropped is made up for."""
    layer = make(dropout=0.5, diagonal="zeroed", mask_padding=False)
    ones, signal = ops.ones((3000, 2, DIM)), ops.zeros((2, DIM))
    plain_weights, weights = (
        np.log(layer(ones, signal, ops.ones((3000, 2), "bool"), training=t)[1]) for t in (False, True)
    )
    scores, plain_scores = (value[:, 0, 1] - value[:, 0, 0] for value in (weights, plain_weights))
    assert scores.std() > 0.1 * abs(plain_scores[0])
    assert scores.mean() == pytest.approx(plain_scores[0], abs=float(4 * scores.std() / 3000**0.5))


def test_dropout_only_in_training(inputs):
    layer = make(dropout=0.5)
    np.testing.assert_array_equal(layer(*inputs)[0], make()(*inputs)[0])
    assert np.abs(layer(*inputs, training=True)[1] - layer(*inputs)[1]).max() > 0.01
    np.testing.assert_array_equal(make()(*inputs, training=True)[0], make()(*inputs)[0])


def test_config_round_trip(inputs):
    layer = make(shared_projection=False, diagonal="zeroed", mask_padding=False, dropout=0.1)
    again = IdentityValueAttention.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(*inputs)[0], layer(*inputs)[0])


def test_mixed_precision_keeps_float32_weights(inputs):
    layer = make(dtype="mixed_bfloat16")
    found = layer(*inputs)[0]
    assert found.dtype == "bfloat16" and layer.projections[0].kernel.dtype == "float32"
    np.testing.assert_allclose(ops.cast(found, "float32"), make()(*inputs)[0], atol=0.05)


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
