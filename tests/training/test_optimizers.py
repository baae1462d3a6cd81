"""The fused Adam against the textbook update, and Keras's, whose bias correction rounds 7e-6 differently."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrecs.command_line.arguments import parse
from tfrecs.errors import InputError
from tfrecs.models.attrec.embeddings import BoundedEmbedding, RowNorm, clip_norm
from tfrecs.optimizers import FusedAdam, LazyAdam, create
from tfrecs.runs.config import TrainConfig


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


def slices(values, rows):
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), tf.constant([4, 2]))


def test_sparse_gradients_are_dense_ones():
    variables = []
    for optimizer in (FusedAdam, keras.optimizers.Adam):
        variable = keras.Variable(np.ones((4, 2), np.float32))
        chosen = optimizer(0.1)
        for row in (2, 1, 2):
            chosen.apply_gradients([(slices([[1.0, 3.0]], [row]), variable)])
        variables.append(variable.numpy())
    np.testing.assert_allclose(*variables, atol=1e-5)
    assert variables[0][2, 0] < 0.8


def test_lazy_adam_moves_touched_rows_only():
    """A row's moments see its own gradients; the bias correction counts all steps."""
    variable, optimizer = keras.Variable(np.ones((4, 2), np.float32)), LazyAdam(0.05)
    expected, m, v = np.ones((4, 2)), np.zeros((4, 2)), np.zeros((4, 2))
    generator = np.random.default_rng(0)
    for step in range(1, 11):
        rows = generator.choice(3, 2, replace=False)
        gradient = generator.normal(size=(2, 2))
        optimizer.apply_gradients([(slices(gradient, rows), variable)])
        m[rows] = 0.9 * m[rows] + 0.1 * gradient
        v[rows] = 0.999 * v[rows] + 0.001 * gradient**2
        rate = 0.05 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected[rows] -= rate * m[rows] / (np.sqrt(v[rows]) + 1e-7)
    np.testing.assert_allclose(variable.numpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(variable.numpy()[3], 1.0)


def test_lazy_adam_is_adam_where_every_row_is_touched():
    variables = []
    for optimizer in (LazyAdam, FusedAdam):
        variable, chosen = keras.Variable(np.ones((4, 2), np.float32)), optimizer(0.1, global_clipnorm=1.0)
        for step in range(3):
            chosen.apply_gradients([(slices(np.arange(8).reshape(4, 2) - step, range(4)), variable)])
        variables.append(variable.numpy())
    np.testing.assert_allclose(*variables, atol=1e-6)
    np.testing.assert_array_equal(run(LazyAdam), run(FusedAdam))


def test_beta_2_is_that_of_the_configuration():
    for optimizer in ("adam", "lazy_adam"):
        assert create(TrainConfig(optimizer=optimizer, beta_2=0.98)).beta_2 == 0.98
    with pytest.raises(InputError, match=r"^beta_2: expected a number in \[0, 1\), got 1.0"):
        TrainConfig(beta_2=1.0)


def test_beta_2_of_another_optimizer_is_refused_where_it_was_asked_for():
    with pytest.raises(InputError, match="^beta_2 0.9: has no effect with optimizer sgd$"):
        TrainConfig(optimizer="sgd", beta_2=0.9)
    with pytest.raises(InputError, match="^--beta_2 0.9: has no effect with --optimizer rmsprop$"):
        parse(["--model", "attrec", "--optimizer", "rmsprop", "--beta_2", "0.9"])
    found = parse(["--model", "sasrec", "--preset", "original", "--optimizer", "sgd"]).recipe.config
    assert (found.optimizer, found.beta_2) == ("sgd", TrainConfig.beta_2), "the preset's is dropped"


def test_lazy_adam_holds_a_bound_of_rows_on_the_rows_it_moves():
    """As projecting the whole table does, whose other rows are within the ball already."""
    tables = []
    for by_rows in (True, False):
        layer = BoundedEmbedding(6, 3, embeddings_initializer=keras.initializers.Constant(0.5))
        optimizer = LazyAdam(0.9)
        for rows in ([1, 4], [4, 2]):
            values = np.full((2, 3), -1.0, np.float32)
            gradient = tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([6, 3]))
            if by_rows:
                optimizer.apply([gradient], [layer.embeddings])
                assert type(layer.embeddings.constraint) is RowNorm
            else:
                layer.embeddings.constraint = None
                optimizer.apply([gradient], [layer.embeddings])
                layer.embeddings.assign(clip_norm(layer.embeddings, 1.0))
        tables.append(layer.embeddings.numpy())
    np.testing.assert_allclose(*tables, atol=1e-7)
    norms = np.linalg.norm(tables[0], axis=1)
    assert norms[[1, 2, 4]] == pytest.approx(1.0, abs=1e-6) and norms[[0, 3, 5]] == pytest.approx(np.sqrt(0.75))
