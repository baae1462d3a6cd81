"""Fusion, pooling and item vectors against loops."""

import numpy as np
import pytest
from keras import ops

from tfrecs.layers.attributes import ItemTable, PooledEmbedding
from tfrecs.models.dif_sr.attention import DecoupledAttention, ScoreFusion

RANDOM = np.random.default_rng(0)
SCORES = [RANDOM.normal(size=(2, 3, 4, 4)).astype(np.float32) for _ in range(2)] + [
    RANDOM.normal(size=(1, 3, 4, 4)).astype(np.float32)
]
CAUSAL = np.tril(np.ones((4, 4), bool))


def fused(kind, causal):
    layer = ScoreFusion(kind, 3, 6, causal, "random_normal")
    for weight in layer.weights:
        weight.assign(RANDOM.normal(size=weight.shape))
    found, gates = layer([ops.convert_to_tensor(score) for score in SCORES], ops.convert_to_tensor(CAUSAL))
    weights = {weight.name: weight.numpy() for weight in layer.weights}
    return weights, found.numpy(), None if gates is None else gates.numpy()


def whole(causal):
    parts = [np.broadcast_to(score, (2, 3, 4, 4)) * (CAUSAL if causal else 1) for score in SCORES]
    return [np.pad(part, [(0, 0)] * 3 + [(0, 2)]) for part in parts]  # up to the six keys the weights know


@pytest.mark.parametrize("causal", [True, False])
def test_concat(causal):
    weights, found, _ = fused("concat", causal)
    expected = np.concatenate(whole(causal), axis=-1) @ weights["kernel"] + weights["bias"]
    np.testing.assert_allclose(found, expected[..., :4], atol=1e-4)


@pytest.mark.parametrize("causal", [True, False])
def test_gate(causal):
    weights, found, gates = fused("gate", causal)
    sources = np.stack(whole(causal), axis=-2)
    energy = np.maximum(sources @ weights["kernel"] + weights["bias"], 0) @ weights["energy_kernel"]
    energy = np.exp(energy[..., 0] + weights["energy_bias"])
    expected = energy / energy.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(gates, expected, atol=1e-4)
    np.testing.assert_allclose(found, (sources * expected[..., None]).sum(axis=-2)[..., :4], atol=1e-4)


def test_sum_side_by_side_equals_the_sum():
    """The one product of all sources, and the products apart that the additive mask takes."""
    values = [ops.convert_to_tensor(RANDOM.normal(size=(2, 4, width)).astype(np.float32)) for width in (8, 6, 4)]
    positions, mask = (
        ops.convert_to_tensor(RANDOM.normal(size=(4, 8)).astype(np.float32)),
        ops.convert_to_tensor(CAUSAL),
    )
    layers = [DecoupledAttention(8, 2, (6, 4), 5, "sum", additive_mask=additive) for additive in (False, True)]
    layers[1].set_weights(layers[0].get_weights())
    outputs = [layer(values[0], values[1:], positions, mask) for layer in layers]
    for one, other in zip(outputs[0][:2], outputs[1][:2]):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert not np.triu(outputs[0][1].numpy(), 1).any()


@pytest.mark.parametrize("pooling, how", [("mean", np.mean), ("sum", np.sum), ("max", np.max)])
def test_pooling(pooling, how):
    layer = PooledEmbedding(5, 3, pooling, embeddings_initializer="random_normal")
    ids, rows = np.array([[1, 4, 0], [5, 0, 0], [0, 0, 0], [2, 3, 5]]), layer.embeddings.numpy()
    expected = [how(rows[row[row > 0]], axis=0) if row.any() else np.zeros(3) for row in ids]
    np.testing.assert_allclose(layer(ids), expected, atol=1e-6)


def test_published_pooling_of_nothing():
    nothing = np.zeros((1, 2), np.int64)
    assert (PooledEmbedding(5, 3, "max", mask_padding=False)(nothing).numpy() < -9e8).all()
    token = PooledEmbedding(5, 3, token=True, mask_padding=False)
    np.testing.assert_array_equal(token(nothing[:, :1]), token.embeddings.numpy()[:1])
    assert not PooledEmbedding(5, 3, token=True)(nothing[:, :1]).numpy().any()


def test_item_vectors():
    table, values = (
        ItemTable(3, 2, (4, 5)),
        [np.array([[0], [2], [0], [4]]), np.array([[0, 0], [1, 5], [0, 0], [3, 0]])],
    )
    own, first, second = (weight.numpy() for weight in table.weights)
    expected = np.stack([own[0], own[1] + first[2] + second[1] + second[5], own[2], own[3] + first[4] + second[3]])
    np.testing.assert_allclose(table.matrix(values), expected, atol=1e-6)
    np.testing.assert_allclose(table(np.array([3, 1]), [part[[3, 1]] for part in values]), expected[[3, 1]], atol=1e-6)
