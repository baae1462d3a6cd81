"""AttRec in the shared harness, and what is its own."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models import replicas
from tests.models.harness import ModelCase
from tfrecs.errors import InputError
from tfrecs.models.attrec import AttRec
from tfrecs.models.presets import PRESETS

SIZES = {"num_users": 7, "num_items": 13, "embedding_dim": 6, "max_history": 4, "num_targets": 2, "num_negatives": 3}


class TestAttRec(ModelCase):
    cls = AttRec
    arguments = SIZES | {"dropout": 0.0, "initializer": "glorot_uniform"}

    def inputs(self, random, batch):
        lengths = np.arange(batch)[::-1] % 5
        history = random.integers(1, 14, (batch, 4)) * (np.arange(4) < lengths[:, None])
        return {"user": random.integers(0, 8, batch), "history": history}

    def examples(self, random, batch):
        targets = random.integers(1, 14, (batch, 2)) * [1, 0] ** (np.arange(batch)[:, None] % 2)
        return self.inputs(random, batch) | {"targets": targets, "negatives": random.integers(1, 14, (batch, 3))}

    def layer_inputs(self, model):
        return model.items_short, [np.array([[3, 5, 0], [13, 2, 9]])]

    def lengthen(self, model, inputs):
        return self.make(max_history=9), inputs | {"history": np.pad(inputs["history"], [(0, 0), (0, 5)])}


@pytest.fixture(scope="module")
def case():
    return TestAttRec()


def test_what_is_behind_padding_changes_nothing(case):
    model, inputs = case.make(), case.inputs(np.random.default_rng(0), 6)
    before = model.score(inputs, np.arange(1, 14)).numpy()
    for table in (model.items_short, model.items_long):
        weights = table.embeddings.numpy()
        weights[0] = 0.7
        table.embeddings.assign(weights)
    np.testing.assert_array_equal(model.score(inputs, np.arange(1, 14)), before)
    trimmed = {"user": inputs["user"][3:], "history": inputs["history"][3:, :2]}  # lengths 2, 1, 0
    np.testing.assert_allclose(model.score(trimmed, np.arange(1, 14)), before[3:], atol=1e-6)


def test_order_of_the_history_matters(case):
    model = case.make()
    inputs = {"user": np.array([1, 1]), "history": np.array([[1, 2, 3, 4], [4, 3, 2, 1]])}
    found = model.score(inputs, np.arange(1, 14)).numpy()
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_scores_follow_the_equation(case):
    """-(w |U - V|^2 + (1 - w) |m - X|^2), with m of one item the item itself."""
    model = case.make(user_weight=0.25)
    x, v, u = (table.embeddings.numpy() for table in (model.items_short, model.items_long, model.users))
    found = model.score({"user": np.array([2]), "history": np.array([[5, 0, 0, 0]])}, np.arange(1, 14)).numpy()[0]
    long, short = ((u[2] - v[1:]) ** 2).sum(axis=1), ((x[5] - x[1:]) ** 2).sum(axis=1)
    np.testing.assert_allclose(found, -(0.25 * long + 0.75 * short), atol=1e-5)


@pytest.mark.parametrize("preset", ["recommended", "original"])
def test_unknown_user(preset):
    """In `recommended` only the history ranks; the published code knows no unknown user."""
    model = AttRec(**SIZES | PRESETS["attrec"][preset]["model"] | {"dropout": 0.0, "user_weight": 0.3})
    inputs = {"user": np.array([0]), "history": np.array([[5, 0, 0, 0]])}
    before = model.score(inputs, np.arange(1, 14)).numpy()
    for table in (model.users, model.items_long):
        table.embeddings.assign(np.random.default_rng(9).normal(size=table.embeddings.shape))
    after = model.score(inputs, np.arange(1, 14)).numpy()
    assert np.array_equal(before, after) == (preset == "recommended")
    if preset == "recommended":
        x = model.items_short.embeddings.numpy()
        np.testing.assert_allclose(after[0], -0.7 * ((x[5] - x[1:]) ** 2).sum(axis=1), atol=1e-5)


def test_prediction_aggregation(case):
    inputs = case.inputs(np.random.default_rng(0), 6)
    models = {how: case.make(aggregation=how) for how in ("mean", "max")}
    both = case.make(aggregation="mean", prediction_aggregation="max")
    np.testing.assert_array_equal(both.encode(inputs)["intent"], models["max"].encode(inputs)["intent"])
    trained = models["mean"].encode(inputs, training=True)["intent"]
    np.testing.assert_array_equal(both.encode(inputs, training=True)["intent"], trained)


def test_every_row_stays_in_the_unit_ball(case):
    model = case.compiled(optimizer=replicas.OPTIMIZERS["adam"](0.8))
    tables = [table.embeddings for table in (model.items_short, model.items_long, model.users)]
    batch = {name: tf.constant(value) for name, value in case.examples(np.random.default_rng(0), 9).items()}
    for _ in range(4):
        model.train_step(batch)
        norms = np.concatenate([np.linalg.norm(table, axis=1) for table in tables])
        assert norms.max() <= 1 + 1e-6
    assert norms.max() > 0.999  # the bound was reached
    free = case.compiled(optimizer=replicas.OPTIMIZERS["adam"](0.8), norm_bound="lookup")
    for _ in range(4):
        free.train_step(batch)
    assert np.linalg.norm(free.users.embeddings, axis=1).max() > 1.5


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("dropout", 1.5, "expected a number in [0, 1), got 1.5"),
        ("dropout", 1.0, "expected a number in [0, 1), got 1.0"),
        ("dropout", float("nan"), "expected a number in [0, 1), got nan"),
        ("user_weight", -0.1, "expected a number in [0, 1], got -0.1"),
        ("user_weight", "half", "expected a number in [0, 1], got 'half'"),
        ("margin", -1, "expected a number of at least 0, got -1"),
        ("l2", float("inf"), "expected a number of at least 0, got inf"),
        ("signal_exponent", 0.0, "expected a number above 0, got 0.0"),
        ("embedding_dim", 0, "expected an integer of at least 1, got 0"),
        ("max_history", 2.5, "expected an integer of at least 1, got 2.5"),
        ("num_targets", -3, "expected an integer of at least 1, got -3"),
        ("num_negatives", True, "expected an integer of at least 1, got True"),
        ("num_users", 0, "expected an integer of at least 1, got 0"),
        ("num_items", None, "expected an integer of at least 1, got None"),
        ("aggregation", "meen", "unknown value 'meen'; did you mean 'mean'?"),
        ("aggregation", None, "unknown value None; choose from max, mean, min, sum"),
        ("prediction_aggregation", "maxi", "unknown value 'maxi'; did you mean 'max'?"),
        ("diagonal", "mask", "unknown value 'mask'; did you mean 'masked'?"),
        ("norm_bound", "look_up", "unknown value 'look_up'; did you mean 'lookup'?"),
        ("pair_reduction", "average", "unknown value 'average'; choose from mean, sum"),
        ("loss_reduction", "summ", "unknown value 'summ'; did you mean 'sum'?"),
    ],
)
def test_bad_arguments(name, value, expected):
    with pytest.raises(InputError) as caught:
        AttRec(**SIZES | {name: value})
    assert str(caught.value) == f"{name}: {expected}"


@pytest.mark.parametrize(
    "arguments",
    [
        {"dropout": 0},
        {"user_weight": 1},
        {"user_weight": 0.0},
        {"margin": 0, "l2": 0},
        {"embedding_dim": 1},
        *(p["model"] for p in PRESETS["attrec"].values()),
    ],
)
def test_good_arguments(arguments):
    config = AttRec(**SIZES | arguments).get_config()
    assert config | arguments == config
