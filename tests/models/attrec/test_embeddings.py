import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfrecs.models.attrec import embeddings


def gradient(function, point):
    point = tf.constant(point)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = tf.reduce_sum(function(point))
    return tape.gradient(value, point).numpy()


def test_clip_norm_by_hand():
    found = embeddings.clip_norm([[6.0, 8.0], [0.6, 0.8], [0.0, 0.0], [0.3, -0.4]], 2.0).numpy()
    np.testing.assert_allclose(found, [[1.2, 1.6], [0.6, 0.8], [0.0, 0.0], [0.3, -0.4]], rtol=1e-6)


def test_clip_norm_gradient():
    def clip(vectors):
        return embeddings.clip_norm(vectors, 1.0)

    np.testing.assert_array_equal(gradient(clip, [[0.0, 0.0]]), [[1.0, 1.0]])  # inside: the identity
    # On the sphere, where TensorFlow 1 counts as outside: (I - u u^T) times (1, 1), u = (1, 0).
    np.testing.assert_array_equal(gradient(clip, [[1.0, 0.0]]), [[0.0, 1.0]])
    points = np.array([[0.1, 0.2], [1.0, 0.0], [-3.0, 4.0]], "float32")
    expected = gradient(lambda vectors: tf.clip_by_norm(vectors, 1.0, axes=-1), points)
    np.testing.assert_allclose(gradient(clip, points), expected, atol=1e-6)
    # Outside x / |x|: (I - u u^T) / |x| times (1, 1), u = (.6, .8), |x| = 10.
    np.testing.assert_allclose(gradient(clip, [[6.0, 8.0]]), [[(1 - 0.6 * 1.4) / 10, (1 - 0.8 * 1.4) / 10]], rtol=1e-5)


def test_clip_norm_does_not_overflow_or_lose_rows():
    found = embeddings.clip_norm(np.array([[1e15, 0.0], [1e-30, 0.0]], "float32"), 1.0).numpy()
    np.testing.assert_allclose(found, [[1.0, 0.0], [1e-30, 0.0]], rtol=1e-6)


def test_unit_norm_against_numpy():
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    expected = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(embeddings.unit_norm(vectors), expected, rtol=1e-5)
    np.testing.assert_array_equal(embeddings.unit_norm(np.zeros((1, 3), "float32")), [[0.0] * 3])


def test_rows_lie_in_the_ball_before_the_first_update():
    """Few rows are drawn wide: he_normal's deviation is sqrt(2 / rows)."""
    table = embeddings.BoundedEmbedding(4, 50).embeddings.numpy()
    assert np.linalg.norm(table, axis=1) == pytest.approx([1.0] * 4, rel=1e-5)
    keras.utils.set_random_seed(1)
    wide = embeddings.BoundedEmbedding(5000, 4).embeddings.numpy()
    keras.utils.set_random_seed(1)
    free = embeddings.BoundedEmbedding(5000, 4, bound="lookup").embeddings.numpy()
    np.testing.assert_array_equal(wide, free)  # rows that are short enough stay as they were drawn


def test_a_time_signal_whose_powers_overflow_is_that_of_the_limit(recwarn):
    found = embeddings.time_signal(3, 4, 1e30)
    np.testing.assert_array_equal(found, embeddings.time_signal(3, 4, 1e2))
    assert not recwarn.list


@pytest.mark.parametrize("exponent", [1.0, 2.0])
@pytest.mark.parametrize("dim", [6, 7])
def test_time_signal_against_the_formula(dim, exponent):
    found = embeddings.time_signal(9, dim, exponent)
    for t in range(9):
        for i in range((dim + 1) // 2):
            angle = t / 10000 ** (exponent * 2 * i / dim)
            assert found[t, 2 * i] == pytest.approx(math.sin(angle), abs=1e-6)
            if 2 * i + 1 < dim:
                assert found[t, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-6)
    np.testing.assert_array_equal(embeddings.time_signal(4, dim, exponent), found[:4])


def big(rows=5, dim=4, **arguments):
    initializer = keras.initializers.Constant(3.0)
    return embeddings.BoundedEmbedding(rows, dim, embeddings_initializer=initializer, **arguments)


def test_lookup_bound_leaves_the_stored_rows():
    layer = big(bound="lookup")
    np.testing.assert_allclose(layer(np.array([[1]])), [[[0.5] * 4]], rtol=1e-6)
    assert (layer.embeddings.numpy() == 3.0).all()


def test_constraint_projects_every_row_after_an_update():
    layer = big(bound="constraint")
    optimizer = keras.optimizers.SGD(0.0)
    optimizer.apply([ops.zeros((5, 4))], [layer.embeddings])
    np.testing.assert_allclose(np.linalg.norm(layer.embeddings, axis=1), 1.0, rtol=1e-6)


def test_config_round_trip():
    layer = embeddings.BoundedEmbedding(5, 4, bound="lookup", embeddings_initializer="zeros")
    again = embeddings.BoundedEmbedding.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert not again.embeddings.numpy().any()
    constraint = keras.constraints.deserialize(keras.constraints.serialize(embeddings.RowNorm()))
    assert type(constraint) is embeddings.RowNorm
