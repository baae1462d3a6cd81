import keras
import numpy as np
import pytest

from tfrecs.models.atrank.attention import LatentAttentionBlock
from tfrecs.models.atrank.objects import ObjectEmbedding

RANDOM = np.random.default_rng(0)
MEMORY = RANDOM.normal(size=(3, 5, 8)).astype(np.float32)
VALID = np.array([[True] * 5, [True, False, True, False, False], [False] * 5])


def make(**arguments):
    keras.utils.set_random_seed(0)
    return LatentAttentionBlock(8, 2, **arguments)


@pytest.mark.parametrize("similarity", ["bilinear", "dot"])
def test_shared_queries_equal_repeated_ones(similarity):
    layer, queries = make(similarity=similarity), RANDOM.normal(size=(4, 8)).astype(np.float32)
    memory = layer.memorize(MEMORY)
    shared, weights = layer(queries, memory, VALID)
    own, same = layer(np.stack([queries] * 3), memory, VALID)
    np.testing.assert_allclose(shared, own, atol=1e-6)
    np.testing.assert_allclose(weights, same, atol=1e-6)
    assert shared.shape == (3, 4, 8) and weights.shape == (3, 2, 4, 5)
    weights = weights.numpy()
    np.testing.assert_allclose(weights[:2].sum(axis=-1), 1, atol=1e-6)
    assert not weights[np.broadcast_to(~VALID[:, None, None], weights.shape)].any()


@pytest.mark.parametrize("similarity", ["bilinear", "dot"])
def test_weights_are_those_of_the_equations(similarity):
    layer = make(similarity=similarity, activation="linear", kernel_initializer="normal")
    weights = layer(MEMORY, layer.memorize(MEMORY), VALID)[1].numpy()
    query, memory = MEMORY[0] @ layer.query.kernel.numpy(), MEMORY[0]
    for space in range(2):
        part = slice(4 * space, 4 * space + 4)  # of width dim / K
        if similarity == "bilinear":
            similarities = query[:, part] @ layer.bilinear.numpy()[space] @ memory.T
        else:
            similarities = query[:, part] @ (memory @ layer.key.kernel.numpy())[:, part].T / 4**0.5
        powers = np.exp(similarities)
        np.testing.assert_allclose(weights[0, space], powers / powers.sum(axis=1, keepdims=True), atol=1e-6)


def test_bilinear_similarity_follows_the_precision():
    layer = make(dtype="mixed_bfloat16")
    assert layer.memorize(MEMORY)["keys"].dtype == "bfloat16"


@pytest.mark.parametrize("similarity", ["bilinear", "dot"])
def test_what_is_not_valid_is_not_read(similarity):
    layer = make(similarity=similarity)
    before = layer(MEMORY, layer.memorize(MEMORY), VALID, VALID)[0].numpy()
    changed = np.where(VALID[..., None], MEMORY, 9.0).astype(np.float32)
    after = layer(MEMORY, layer.memorize(changed), VALID, VALID)[0].numpy()
    np.testing.assert_array_equal(before, after)


def test_padding_is_attended_alike_where_there_is_nothing_else():
    """Not by the similarities: the original sets all of them to one large negative number."""
    layer = make(similarity="dot", attend_padding=True)
    weights = layer(MEMORY, layer.memorize(MEMORY), VALID)[1].numpy()
    np.testing.assert_allclose(weights[2], np.full((2, 5, 5), 0.2), atol=1e-7)
    np.testing.assert_array_equal(weights[:2], make(similarity="dot")(MEMORY, layer.memorize(MEMORY), VALID)[1][:2])
    asked = layer(MEMORY, layer.memorize(MEMORY), VALID, VALID)[1].numpy()
    assert not asked[2].any() and not asked[1, :, 1].any() and asked[1, :, 0].any()


def test_dropout_is_for_training_only():
    layer = make(dropout=0.5, output_dropout=0.5)
    memory = layer.memorize(MEMORY)
    np.testing.assert_array_equal(layer(MEMORY, memory, VALID)[0], layer(MEMORY, memory, VALID)[0])
    assert np.abs(layer(MEMORY, memory, VALID, training=True)[0] - layer(MEMORY, memory, VALID)[0]).max() > 0.01


@pytest.mark.parametrize("layer", [make(similarity="dot", dropout=0.1), ObjectEmbedding(5, 4, (3, 6), (0, 2), 3)])
def test_config_round_trip(layer):
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    assert [value.shape for value in again.weights] == [value.shape for value in layer.weights]


def test_objects_join_their_own_vector_and_the_mean_of_each_attribute():
    layer = ObjectEmbedding(2, 4, (3, 6), (0, 2), 3)
    layer.tables[0].values.assign([[0], [3], [0]])
    layer.tables[1].values.assign([[0, 0], [6, 2], [5, 0]])
    brand, tags = (embedding.embeddings.numpy() for embedding in layer.attributes)
    expected = [
        np.concatenate([layer.items.numpy()[1], brand[3], (tags[6] + tags[2]) / 2]),
        np.concatenate([layer.items.numpy()[2], np.zeros(3), tags[5]]),
    ]
    np.testing.assert_allclose(layer(np.array([1, 2])), expected, atol=1e-7)
    assert layer.width == 10
