import numpy as np
import pytest
import tensorflow as tf

from tfrecs.models.attrec.sparse_products import products_at, rows_at

RANDOM = np.random.default_rng(0)
LEFT, RIGHT = (tf.constant(RANDOM.normal(size=(rows, 6)), tf.float32) for rows in (4, 9))
IDS = tf.constant([[8, 0, 8], [1, 2, 3], [0, 0, 0], [5, 8, 1]], tf.int64)
WEIGHTS = tf.constant(RANDOM.normal(size=(4, 3)), tf.float32)


def gradients(function, *sources):
    with tf.GradientTape() as tape:
        tape.watch(sources)
        value = function(*sources)
    return value, [tf.convert_to_tensor(gradient) for gradient in tape.gradient(value, sources)]


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function])
def test_products_and_their_gradients_are_those_of_a_gather(wrap):
    found, found_gradients = gradients(wrap(lambda a, b: products_at(a, b, IDS) * WEIGHTS), LEFT, RIGHT)
    expected, expected_gradients = gradients(
        lambda a, b: tf.reduce_sum(a[:, None] * tf.gather(b, IDS), axis=-1) * WEIGHTS, LEFT, RIGHT
    )
    for one, other in zip([found, *found_gradients], [expected, *expected_gradients]):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("ids", [IDS, IDS[0], IDS[:0], tf.cast(IDS, tf.int32)])
def test_rows_and_their_gradient_are_those_of_a_gather(ids):
    (found, [gradient]), (expected, [expected_gradient]) = (
        gradients(lambda table, read=read: tf.sin(read(table, ids)), RIGHT) for read in (rows_at, tf.gather)
    )
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(gradient, expected_gradient)


def test_products_of_no_rows():
    found, found_gradients = gradients(lambda a, b: products_at(a, b, IDS[:0]), LEFT[:0], RIGHT)
    assert found.shape == (0, 3)
    assert found_gradients[0].shape == (0, 6) and not found_gradients[1].numpy().any()
