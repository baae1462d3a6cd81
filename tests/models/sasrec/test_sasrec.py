"""SASRec in the shared harness, and what is its own."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.harness import NextItemsCase, variant
from tfrecs.errors import InputError
from tfrecs.models.presets import PRESETS
from tfrecs.models.sasrec import SASRec

SIZES = {
    "num_users": 7,
    "num_items": 13,
    "max_history": 6,
    "num_layers": 2,
    "num_heads": 2,
    "dim": 8,
    "inner_dim": 12,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "initializer_range": 0.3,
}
ORIGINAL = PRESETS["sasrec"]["original"]["model"] | {
    name: SIZES[name] for name in ("max_history", "dim", "inner_dim", "dropout", "attention_dropout")
}
ITEMS = np.arange(1, 14)


class SASRecCase(NextItemsCase):
    cls = SASRec
    arguments = SIZES

    def make(self, seed=0, **arguments):
        if arguments.get("item_loss") in ("sampled_softmax", "gbce"):
            arguments = {"num_negatives": 3} | arguments
        return self.move(super().make(seed, **arguments), np.random.default_rng(5))

    without_dropout = {"dropout": 0.0, "attention_dropout": 0.0}

    def layer_inputs(self, model):
        return model.encoder, [np.random.default_rng(0).normal(size=(2, 3, 8)).astype(np.float32)]

    def examples(self, random, batch):
        width = 4 if self.arguments.get("item_loss") == "bce" else 3
        return self.targets(random, batch) | {
            "negatives": random.integers(1, 14, (batch, width)),
            "negative_log_probability": np.full((batch, width), -np.log(13), np.float32),
        }


class TestSASRec(SASRecCase):
    pass


@variant
@pytest.mark.slow  # its outputs are tested against the published equations
class TestOriginal(SASRecCase):
    arguments = SIZES | ORIGINAL


@pytest.fixture(scope="module")
def case():
    return TestSASRec()


def hidden(model, history):
    return model.hidden(tf.constant(history), model.items(tf.constant(history))).numpy()


@pytest.mark.parametrize("normalization", ["post", "pre", "pre_residual"])
@pytest.mark.parametrize("positions_from", ["start", "end"])
def test_nothing_comes_from_the_future(case, normalization, positions_from):
    model = case.make(normalization=normalization, positions_from=positions_from)
    history = np.array([[3, 5, 9, 2, 7], [1, 2, 3, 12, 4]])
    changed = history.copy()
    changed[:, 3:] = [[11, 1], [6, 8]]
    before, after = hidden(model, history), hidden(model, changed)
    np.testing.assert_allclose(after[:, :3], before[:, :3], atol=2e-6)
    assert np.abs(after[:, 3:] - before[:, 3:]).min(axis=-1).max() > 1e-2
    assert np.abs(hidden(model, np.array([[3, 5, 9]])) - hidden(model, np.array([[4, 5, 9]])))[0, 2].max() > 1e-2


def test_positions_are_counted_from_either_end(case):
    """From the start, the same items at the same places; from the end, the last of a row is at the last place."""
    histories = np.array([[3, 3, 3, 3, 0, 0], [3, 3, 0, 0, 0, 0]])
    for positions_from, places in (("start", [[0, 1, 2, 3], [0, 1]]), ("end", [[2, 3, 4, 5], [4, 5]])):
        model = case.make(positions_from=positions_from, num_layers=1)
        model.encoder = lambda values, training: values
        found, item = hidden(model, histories), model.items.embeddings.numpy()[3]
        for row, expected in enumerate(places):
            vectors = item + model.positions.embeddings.numpy()[expected]
            np.testing.assert_allclose(found[row, : len(expected)], vectors, atol=1e-6)


def published(weights, history, dim):
    """kang205/SASRec's outputs for one history without dropout, from its equations: padded on the left, one head."""
    items, positions, last_gain, last_shift, *rest = weights
    blocks = [rest[start : start + 14] for start in range(0, len(rest), 14)]

    def norm(x, gain, shift):
        centred = x - x.mean(axis=-1, keepdims=True)
        return gain * centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-8) + shift

    ids = np.zeros(len(positions), int)
    ids[len(ids) - len(history) :] = history
    real = (ids > 0)[:, None]
    x = (items[ids] * np.sqrt(dim) + positions) * real
    for wq, bq, wk, bk, wv, bv, gain, shift, w1, b1, w2, b2, inner_gain, inner_shift in blocks:
        queries = norm(x, gain, shift)
        scores = (queries @ wq + bq) @ (x @ wk + bk).T / np.sqrt(dim)
        scores = np.where(np.tril(np.ones(scores.shape, bool)) & real.T, scores, -(2.0**32) + 1)
        share = np.exp(scores - scores.max(axis=-1, keepdims=True))
        x = share / share.sum(axis=-1, keepdims=True) @ (x @ wv + bv) + queries
        inputs = norm(x, inner_gain, inner_shift)
        x = (np.maximum(inputs @ w1 + b1, 0) @ w2 + b2 + inputs) * real
    return norm(x, last_gain, last_shift)[len(ids) - len(history) :]


def test_original_gives_the_outputs_of_the_published_equations(case):
    model = case.make(**ORIGINAL)
    assert model.num_heads == 1
    for history in ([3, 5, 9, 2, 7, 1], [12, 4, 4], [8]):
        expected = published(model.get_weights(), history, model.dim)
        np.testing.assert_allclose(hidden(model, np.array([history]))[0], expected, atol=2e-5)
        padded = np.array([history + [0] * (6 - len(history))])
        scores = expected[-1] @ model.items.embeddings.numpy()[1:].T
        np.testing.assert_allclose(model.score({"history": padded}, ITEMS)[0], scores, atol=2e-5)


def test_an_empty_history_scores_every_item_alike(case):
    scores = case.make().score({"user": np.array([0]), "history": np.zeros((1, 4), np.int64)}, ITEMS).numpy()
    assert not scores.any()


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("dim", 9, "expected a multiple of num_heads 2, got 9"),
        ("num_heads", 0, "expected an integer of at least 1, got 0"),
        ("max_history", True, "expected an integer of at least 1, got True"),
        ("num_negatives", 0, "expected an integer of at least 1, got 0"),
        ("calibration", 1.5, "expected a number in [0, 1], got 1.5"),
        ("dropout", 1.0, "expected a number in [0, 1), got 1.0"),
        ("initializer_range", -1, "expected a number of at least 0, got -1"),
        ("normalization", "prae", "unknown value 'prae'; did you mean 'pre'?"),
        ("positions_from", "ends", "unknown value 'ends'; did you mean 'end'?"),
        ("activation", "gleu", "unknown value 'gleu'; did you mean 'gelu'?"),
        ("item_loss", "bpr", "unknown value 'bpr'; choose from bce, ce, gbce, sampled_softmax"),
    ],
)
def test_bad_arguments(name, value, expected):
    with pytest.raises(InputError) as caught:
        SASRec(**SIZES | {name: value})
    assert str(caught.value) == f"{name}: {expected}"


@pytest.mark.parametrize("preset", sorted(PRESETS["sasrec"]))
def test_presets(preset):
    arguments = PRESETS["sasrec"][preset]["model"]
    config = SASRec(**SASRec.minimal_sizes | arguments).get_config()
    assert config | arguments == config


def test_the_constructors_defaults_are_the_recommended_preset():
    assert PRESETS["sasrec"]["recommended"]["model"] == {}
