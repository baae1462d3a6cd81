"""The one train step: replicas, repeated rows, clipping, sparse and dense gradients, by way of AttRec."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models import replicas
from tfrecs.models import train_step
from tfrecs.models.atrank import ATRank
from tfrecs.models.attrec import AttRec
from tfrecs.models.presets import PRESETS

SIZES = {"num_users": 9, "num_items": 11, "embedding_dim": 4, "max_history": 3, "num_targets": 2, "num_negatives": 3}
RECOMMENDED = SIZES | {"dropout": 0.0, "l2": 0.0, "initializer": "glorot_uniform"}
ORIGINAL = SIZES | PRESETS["attrec"]["original"]["model"] | {"dropout": 0.0}


def make(**arguments):
    keras.utils.set_random_seed(0)
    return AttRec(**arguments)


@pytest.fixture(scope="module")
def examples():
    """17 examples, which end in an uneven batch; ids repeat, some targets are padding."""
    random = np.random.default_rng(0)
    targets = random.integers(1, 12, (17, 2))
    targets[::3, 1] = 0
    return {
        "user": random.integers(1, 10, 17),
        "history": random.integers(1, 12, (17, 3)) * (np.arange(3) < random.integers(1, 4, (17, 1))),
        "targets": targets,
        "negatives": random.integers(1, 12, (17, 3)),
    }


@pytest.mark.parametrize(
    "arguments, optimizer, options",
    [
        (RECOMMENDED, "adam", {"learning_rate": 0.01}),
        (RECOMMENDED | {"l2": 0.01}, "sgd", {"learning_rate": 0.02}),
        (RECOMMENDED | {"l2": 0.01}, "sgd", {"learning_rate": 0.2, "global_clipnorm": 0.1}),
        (ORIGINAL, "sgd", {"learning_rate": 0.05, "global_clipnorm": 1.0}),
    ],
)
def test_two_replicas_equal_one_device(examples, arguments, optimizer, options):
    replicas.compare(lambda: make(**arguments), examples, optimizer, **options)


@pytest.mark.parametrize(
    "preset, options", [("recommended", {}), pytest.param("original", {"global_clipnorm": 2.0}, marks=pytest.mark.slow)]
)
def test_two_replicas_equal_one_device_for_atrank(preset, options):
    """Several blocks; in `original` a penalty summed over the batch, and the norm over unmerged rows."""
    random = np.random.default_rng(0)
    real = np.arange(4) < random.integers(1, 5, (17, 1))
    examples = {
        "history": random.integers(1, 12, (17, 4)) * real,
        "bucket": random.integers(0, 13, (17, 4)) * real,
        "targets": random.integers(1, 12, (17, 2)),
        "labels": np.tile(np.array([[1, 0]], np.float32), (17, 1)),
    }
    arguments = PRESETS["atrank"][preset]["model"] | {"hidden_units": 8, "item_dim": 8, "num_heads": 2}
    arguments |= {} if arguments.get("time") == "one_hot" else {"time_dim": 3}
    arguments |= {"dropout": 0.0, "output_dropout": 0.0, "embedding_dropout": 0.0, "num_blocks": 2}

    def atrank():
        keras.utils.set_random_seed(0)
        return ATRank(9, 11, (), (), 0, 1, **arguments)

    replicas.compare(atrank, examples, "sgd", tolerance=5e-6, steps=30, learning_rate=0.5, **options)


def one_step(examples, optimizer, **arguments):
    model = make(**RECOMMENDED | arguments)
    model.compile(optimizer=optimizer, jit_compile=False)
    before = [variable.numpy() for variable in model.trainable_variables]
    model.train_step({name: tf.constant(value) for name, value in examples.items()})
    return [variable.numpy() - start for variable, start in zip(model.trainable_variables, before)]


@pytest.mark.parametrize("dense_rows", [0, 65536])
def test_a_repeated_row_moves_by_the_learning_rate(monkeypatch, dense_rows):
    """Adam's first step is -lr * sign(gradient); squares of unmerged rows would make it -.134 instead of -.1."""
    monkeypatch.setattr(train_step, "DENSE_ROWS", dense_rows)
    repeated = {
        "user": np.array([1, 1, 1]),
        "history": np.array([[2, 0, 0]] * 3),
        "targets": np.array([[3, 0]] * 3),
        "negatives": np.array([[4, 4, 4]] * 3),
    }
    moved = one_step(repeated, keras.optimizers.Adam(0.1, epsilon=1e-12), margin=50.0, norm_bound="lookup")
    np.testing.assert_allclose(np.abs(moved[2][1]), 0.1, rtol=1e-3)  # the user, three times
    np.testing.assert_allclose(np.abs(moved[1][3:5]), 0.1, rtol=1e-3)  # target and negatives, in V
    assert not moved[2][2:].any() and not moved[1][5:].any()


@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD, keras.optimizers.Adam])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_sparse_gradients_equal_dense_ones(monkeypatch, examples, optimizer, clip):
    dense = one_step(examples, optimizer(0.1, global_clipnorm=clip))
    monkeypatch.setattr(train_step, "DENSE_ROWS", 0)
    for expected, found in zip(dense, one_step(examples, optimizer(0.1, global_clipnorm=clip)), strict=True):
        assert np.abs(expected).max() > 1e-4
        np.testing.assert_allclose(found, expected, atol=1e-6)


def true_gradients(model, examples):
    """Dense gradients of the stated objective, written out without the train step."""
    with tf.GradientTape() as tape:
        terms, weights = model.loss_terms(examples, training=True)
        loss = tf.reduce_sum(terms * weights)
        if model.loss_reduction == "mean":
            loss /= tf.reduce_sum(weights)
        loss += model.l2 * sum(tf.reduce_sum(tf.square(variable)) for variable in model.trainable_variables)
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    return [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


@pytest.mark.parametrize("loss_reduction", ["mean", "sum"])
@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("clip", [None, 0.05])
def test_sgd_steps_along_the_stated_gradient(examples, loss_reduction, l2, clip):
    arguments = {"loss_reduction": loss_reduction, "l2": l2, "norm_bound": "lookup"}
    gradients = true_gradients(make(**RECOMMENDED | arguments), examples)
    norm = np.sqrt(sum(np.sum(np.square(gradient)) for gradient in gradients))
    scale = 1.0 if clip is None else clip / norm
    assert scale <= 1
    moved = one_step(examples, keras.optimizers.SGD(1.0, global_clipnorm=clip), **arguments)
    for found, gradient in zip(moved, gradients, strict=True):
        np.testing.assert_allclose(found, -scale * gradient, atol=1e-5)


def test_the_logged_loss_is_the_mean_over_examples(examples):
    model = make(**RECOMMENDED)
    model.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    whole = model.loss_terms(examples, training=True)[0].numpy()
    dataset = tf.data.Dataset.from_tensor_slices(examples).batch(7)
    found = model.fit(dataset, verbose=0).history["loss"][0]
    # A step of 0 still projects onto the ball; glorot's rows lie within it.
    assert found == pytest.approx(whole.mean(), rel=1e-5)


def test_clipping_of_single_variables_is_refused_on_replicas(examples):
    with pytest.raises(ValueError, match="use global_clipnorm"):
        replicas.train(
            lambda: make(**RECOMMENDED), examples, 1, 7, "sgd", replicas.mirrored(), learning_rate=0.1, clipnorm=1.0
        )
