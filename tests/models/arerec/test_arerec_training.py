"""ARERec in the shared train step: replicas, sparse rows, penalties."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models import replicas
from tests.models.arerec.lists import ITEMS, add_lists, enlarge
from tfrecs.models import train_step
from tfrecs.models.arerec import ARERec
from tfrecs.models.presets import PRESETS
from tfrecs.optimizers import LazyAdam

SIZES = {"num_users": 9, "num_items": ITEMS, "num_units": 60, "embedding_dim": 4, "region_size": 3, "max_seq": 4}
RECOMMENDED = SIZES | {"dropout": (0.0,) * 9}
ORIGINAL = PRESETS["arerec"]["original"]["model"] | SIZES | {"l2": (0.001, 0.002, 0.003, 0.004, 0.005)}


def make(arguments=RECOMMENDED):
    keras.utils.set_random_seed(0)
    model = ARERec(**arguments)
    add_lists(model)
    enlarge(model)
    return model


@pytest.fixture(scope="module")
def examples():
    """17 ratings, which end in an uneven batch."""
    random = np.random.default_rng(0)
    return {
        "user": random.integers(1, 10, 17),
        "item": random.integers(1, ITEMS + 1, 17),
        "now": random.integers(45, 60, 17),
        "label": random.integers(0, 5, 17),
    }


@pytest.mark.parametrize(
    "arguments, options", [(RECOMMENDED, {}), (ORIGINAL, {}), (ORIGINAL, {"global_clipnorm": 0.05})]
)
def test_two_replicas_equal_one_device(examples, arguments, options):
    ends = [
        replicas.train(lambda: make(arguments), examples, 15, 7, "sgd", strategy, learning_rate=0.05, **options)
        for strategy in (None, replicas.mirrored())
    ]
    model = make(arguments)
    for variable, single, double in zip(model.weights, *ends, strict=True):
        if not variable.trainable:
            np.testing.assert_array_equal(single, variable)
            np.testing.assert_array_equal(double, variable)
        else:
            np.testing.assert_allclose(double, single, rtol=0, atol=1e-5)
            # The attention does not depend on the key's bias.
            assert "key/bias" in variable.path or np.abs(single - variable).max() > 1e-4


@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD, keras.optimizers.Adam, LazyAdam])
def test_sparse_gradients_equal_dense_ones(monkeypatch, examples, optimizer):
    """In the first step the lazy Adam is no other; rows that no maximum touches do not move."""
    batch = {name: tf.constant(value) for name, value in examples.items()}
    moved = []
    for dense_rows in (65536, 0):
        monkeypatch.setattr(train_step, "DENSE_ROWS", dense_rows)
        model = make()
        model.compile(optimizer=optimizer(0.1, global_clipnorm=1.0), jit_compile=False)
        before = model.get_weights()
        model.train_step(batch)
        moved.append([after - start for after, start in zip(model.get_weights(), before)])
    for variable, dense, sparse in zip(model.weights, *moved, strict=True):
        if "key/bias" not in variable.path:
            np.testing.assert_allclose(sparse, dense, atol=1e-5)
        if variable is model.region.for_item:
            assert 10 < sparse.any(axis=1).sum() <= 17 * model.region_size


def test_the_penalty_has_no_half(examples):
    model = make(ORIGINAL)
    layers = (model.attention.query, model.attention.key, model.attention.value, model.attention.concat, model.classes)
    expected = sum(rate * np.square(layer.kernel.numpy()).sum() for rate, layer in zip(ORIGINAL["l2"], layers))
    assert float(tf.add_n(model.losses)) == pytest.approx(expected, rel=1e-5)
