"""The fused Adam against the textbook update, and Keras's, whose bias correction rounds 7e-6 differently."""

import keras
import numpy as np
import tensorflow as tf

from tfrecs.training.optimizers import FusedAdam


def run(optimizer, steps=20, **options):
    variable = keras.Variable(np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2))
    generator = np.random.default_rng(0)
    chosen = optimizer(0.05, **options)
    for _ in range(steps):
        gradient = tf.constant(generator.normal(size=(3, 2)), tf.float32)
        chosen.apply_gradients([(gradient, variable)])
    return variable.numpy()


def test_equals_keras():
    for options in ({}, {"epsilon": 1e-2}, {"beta_1": 0.5, "beta_2": 0.9}, {"weight_decay": 0.1}):
        np.testing.assert_allclose(run(FusedAdam, **options), run(keras.optimizers.Adam, **options), atol=1e-5)


def test_equals_the_textbook():
    start = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
    generator, m, v = np.random.default_rng(0), 0.0, 0.0
    expected = start.astype(np.float64)
    for step in range(1, 21):
        gradient = generator.normal(size=(3, 2))
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        rate = 0.05 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected -= rate * m / (np.sqrt(v) + 1e-7)
    np.testing.assert_allclose(run(FusedAdam), expected, atol=1e-5)


def test_sparse_gradients_take_the_stock_path():
    variables = []
    for optimizer in (FusedAdam, keras.optimizers.Adam):
        variable = keras.Variable(np.ones((4, 2), np.float32))
        slices = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([2]), tf.constant([4, 2]))
        chosen = optimizer(0.1)
        for _ in range(3):
            chosen.apply_gradients([(slices, variable)])
        variables.append(variable.numpy())
    np.testing.assert_array_equal(*variables)
    assert variables[0][2, 0] < 0.8
