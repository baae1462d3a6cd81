"""AttRec in the shared harness, and what is its own."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models import replicas
from tests.models.harness import ModelCase
from tfrecs.data import negatives
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


def shared_examples(case, batch):
    examples = case.examples(np.random.default_rng(3), batch)
    return examples | {"negatives": np.random.default_rng(4).integers(1, 14, (batch, 1))}


def test_shared_negatives_are_those_of_the_first_windows(case):
    examples = shared_examples(case, 6)
    examples["negatives"][:3, 0] = [7, examples["targets"][0, 0], examples["history"][0, 0]]
    model = case.make(shared_negatives=True, num_negatives=3)
    terms, weights = model.loss_terms(examples)
    distance = -model.score({name: examples[name] for name in ("user", "history")}, np.arange(1, 14)).numpy()
    expected = np.zeros(6)
    for row in range(6):
        own = {*examples["history"][row], *examples["targets"][row]}
        for target in examples["targets"][row]:
            for negative in examples["negatives"][:3, 0]:
                if target and negative not in own:
                    pair = distance[row, target - 1] + model.margin - distance[row, negative - 1]
                    expected[row] += max(0, pair)
    np.testing.assert_allclose(terms, expected, atol=1e-5)
    assert weights.numpy().tolist() == [1] * 6


def test_shared_negatives_are_drawn_one_a_window_from_all_items(case):
    items = tf.ragged.constant([[1, 2, 3, 4, 5, 6], [7, 8, 9]], tf.int64, row_splits_dtype=tf.int64)
    excluded, cumulative = negatives.sorted_unique(items, 14), negatives.cumulative_weights([0, *[1] * 13])
    sequences = {"user": tf.constant([1, 2], tf.int64), "item": items}
    for shared, width in ((True, 1), (False, 3)):
        draw = negatives.Sampler(excluded, cumulative, [0, 1])
        found = case.make(shared_negatives=shared).training_examples(sequences, draw, None)
        assert found["negatives"].shape == (len(found["user"]), width) and found["negatives"].numpy().min() >= 1


@pytest.mark.parametrize("factors", [True, False])
def test_two_replicas_share_the_negatives_of_one_device(case, factors, monkeypatch):
    monkeypatch.setattr(AttRec, "whole_tables", 8192 if factors else 0)
    replicas.compare(
        lambda: case.make(shared_negatives=True), shared_examples(case, 17), "sgd", learning_rate=0.1, steps=20
    )


@pytest.mark.parametrize("arguments", [{}, {"shared_negatives": True}, {"user_weight": 1.0}, {"aggregation": "max"}])
def test_products_with_all_items_train_as_distances_of_rows(case, arguments, monkeypatch):
    weights = []
    for rows in (8192, 0):
        monkeypatch.setattr(AttRec, "whole_tables", rows)
        model = case.compiled(optimizer=replicas.OPTIMIZERS["sgd"](0.1), l2=0.01, **arguments)
        make = (
            shared_examples
            if arguments.get("shared_negatives")
            else lambda case, batch: case.examples(np.random.default_rng(3), batch)
        )
        for _ in range(3):
            model.train_step({name: tf.constant(value) for name, value in make(case, 9).items()})
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_shared_negatives_know_no_held_out_items():
    with pytest.raises(InputError, match="negatives_exclude_held_out 1: has no effect with shared_negatives 1"):
        AttRec(**SIZES, shared_negatives=True, negatives_exclude_held_out=True)
