"""What SASRec trains on: each loss against its equation, on replicas, and the examples that each reads."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models import replicas
from tests.models.sasrec.test_sasrec import ITEMS, SASRecCase
from tfrecs.data import negatives
from tfrecs.models.sasrec import data


@pytest.fixture(scope="module")
def case():
    return SASRecCase()


HISTORY, TARGETS = np.array([[3, 5, 9, 2], [1, 12, 0, 0]]), np.array([[5, 9, 0, 7], [12, 4, 0, 0]])
REAL = [(row, end) for row in range(2) for end in range(4) if TARGETS[row, end]]


def terms_of(model, **examples):
    """The losses of real positions, by row and position."""
    examples = {"history": HISTORY, "targets": TARGETS} | examples
    terms, weights = model.loss_terms({name: tf.constant(value) for name, value in examples.items()})
    return terms.numpy()[weights.numpy() > 0]


def prefix_scores(model):
    """Scores of all items after each prefix that has a next item, from `score`, item 0 included as 0."""
    rows = [model.score({"history": HISTORY[row : row + 1, : end + 1]}, ITEMS).numpy()[0] for row, end in REAL]
    return np.pad(np.array(rows, np.float64), [(0, 0), (1, 0)])


def test_cross_entropy_is_that_of_each_prefix(case):
    model = case.make()
    expected = [np.log(np.exp(s[1:]).sum()) - s[TARGETS[at]] for s, at in zip(prefix_scores(model), REAL)]
    np.testing.assert_allclose(terms_of(model), expected, atol=2e-5)


def test_sampled_softmax_with_every_item_is_cross_entropy(case):
    """Each item once among the negatives of the batch, drawn uniformly: 13 draws of probability 1/13 each."""
    model, full = case.make(item_loss="sampled_softmax"), case.make()
    full.set_weights(model.get_weights())
    drawn = {"negatives": np.pad(ITEMS, (0, 1), constant_values=1).reshape(2, 7)[:, :7]}
    log_probability = np.full((2, 7), -np.log(14.0), np.float32)
    log_probability[0, 0] = log_probability[1, 6] = -np.log(7.0)  # item 1 is drawn twice: it counts half each time
    found = terms_of(model, **drawn, negative_log_probability=log_probability)
    np.testing.assert_allclose(found, terms_of(full), atol=2e-5)


def test_bce_takes_one_negative_a_position(case):
    model = case.make(item_loss="bce")
    drawn = np.array([[7, 1, 6, 13], [2, 8, 3, 3]])
    expected = [
        np.log1p(np.exp(-s[TARGETS[at]])) + np.log1p(np.exp(s[drawn[at]])) for s, at in zip(prefix_scores(model), REAL)
    ]
    np.testing.assert_allclose(terms_of(model, negatives=drawn), expected, atol=2e-5)


@pytest.mark.parametrize("calibration, power", [(0.0, 1.0), (1.0, 3 / 12), (0.5, 0.625)])
def test_gbce_takes_a_rows_negatives_at_each_position(case, calibration, power):
    """3 of 12 possible negatives: beta = 1/4 (t (1 - 4) + 4) = 1 - 3/4 t."""
    model = case.make(item_loss="gbce", calibration=calibration)
    drawn = np.array([[7, 1, 6], [2, 8, 2]])
    expected = [
        (power * np.log1p(np.exp(-s[TARGETS[at]])) + np.log1p(np.exp(s[drawn[at[0]]])).sum()) / 4
        for s, at in zip(prefix_scores(model), REAL)
    ]
    np.testing.assert_allclose(terms_of(model, negatives=drawn), expected, atol=2e-5)


def test_pad_is_no_class(case):
    """Whatever lies in row 0, losses and scores do not change."""
    for item_loss in ("ce", "sampled_softmax", "gbce", "bce"):
        model = case.make(item_loss=item_loss)
        batch = case.examples(np.random.default_rng(0), 2)
        batch["negatives"] = np.array([[7, 1, 6, 13], [2, 8, 3, 3]])[:, : 4 if item_loss == "bce" else 3]
        batch = {name: tf.constant(value) for name, value in batch.items()}
        found = []
        for value in (0.0, 1.0):
            row = tf.fill([1, 8], value)
            model.items.embeddings.assign(tf.tensor_scatter_nd_update(model.items.embeddings.value, [[0]], row))
            terms, weights = model.loss_terms(batch)
            found.append(((terms * weights).numpy(), model.score(batch, ITEMS).numpy()))
        for before, after in zip(*found):
            np.testing.assert_allclose(after, before, atol=1e-6)


LOSSES = ("ce", "sampled_softmax", "gbce", "bce")


def examples_for(item_loss, case, count):
    examples = case.examples(np.random.default_rng(1), count)
    if item_loss == "bce":
        examples["negatives"] = np.random.default_rng(2).integers(1, 14, (count, 4))
    return examples


@pytest.mark.parametrize(
    "item_loss", ["sampled_softmax", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ce", "gbce", "bce"))]
)
def test_two_replicas_equal_one_device(case, item_loss):
    """`sampled_softmax` too, whose negatives are those of the whole batch."""
    examples = examples_for(item_loss, case, 17)
    options = {"steps": 8, "batch_size": 7, "optimizer": "sgd", "learning_rate": 0.5}
    one, two = (
        replicas.train(lambda: case.make(item_loss=item_loss), examples, strategy=strategy, **options)
        for strategy in (None, replicas.mirrored())
    )
    moved = [np.abs(single - start).max() for single, start in zip(one, case.make().get_weights())]
    assert sum(move > 1e-3 for move in moved) > 0.9 * len(moved)  # all but the keys' biases
    for single, double in zip(one, two):
        np.testing.assert_allclose(double, single, rtol=0, atol=1e-5)


@pytest.mark.parametrize("item_loss", ["gbce", "bce"])
def test_binary_losses_learn(case, item_loss):
    model = case.compiled(item_loss=item_loss)
    dataset = tf.data.Dataset.from_tensor_slices(examples_for(item_loss, case, 12)).batch(4)
    found = model.fit(dataset, epochs=4, verbose=0).history["loss"]
    assert np.isfinite(found).all() and found[-1] < found[0]


@pytest.mark.slow
@pytest.mark.parametrize("item_loss", LOSSES[1:])
def test_xla_trains_other_losses_alike(case, item_loss):
    weights = []
    for jit_compile in (False, True):
        model = case.compiled(jit_compile, item_loss=item_loss)
        examples = examples_for(item_loss, case, 8)
        model.fit(tf.data.Dataset.from_tensor_slices(examples).batch(4), epochs=2, verbose=0)
        weights.append(model.get_weights())
    for plain, compiled in zip(*weights, strict=True):
        np.testing.assert_allclose(plain, compiled, atol=1e-4)


def test_training_examples_of_each_loss():
    sequences = [[1, 2, 3, 4, 5, 6], [7], [8, 9]]
    items = tf.ragged.constant(sequences, tf.int64, row_splits_dtype=tf.int64)
    known, cumulative = negatives.sorted_unique(items, 10), negatives.cumulative_weights([0, *[1] * 8, 4])
    found = {}
    for item_loss in LOSSES:
        draw = negatives.Sampler(known, cumulative, [0, 1])
        found[item_loss] = {
            name: value.numpy() for name, value in data.training_examples(items, draw, 4, False, item_loss, 50).items()
        }
        assert found[item_loss]["history"].tolist() == [[1, 2, 3, 0], [2, 3, 4, 5], [8, 0, 0, 0]]
        assert found[item_loss]["targets"].tolist() == [[2, 3, 4, 0], [0, 0, 5, 6], [9, 0, 0, 0]]
    assert found["ce"].keys() == {"history", "targets"}
    for item_loss, width in (("bce", 4), ("gbce", 50)):
        drawn = found[item_loss]["negatives"]
        assert drawn.shape == (3, width) and not set(drawn[:2].ravel()) & {1, 2, 3, 4, 5, 6}
        assert not set(drawn[2]) & {8, 9}
    drawn, log_q = (found["sampled_softmax"][name] for name in ("negatives", "negative_log_probability"))
    assert set(drawn.ravel()) == set(range(1, 10))  # what a user has met, too: one distribution for all
    np.testing.assert_allclose(log_q, np.log(np.where(drawn == 9, 4, 1) / 12), rtol=1e-5)


def test_the_last_window_alone():
    items = tf.ragged.constant([[1, 2, 3, 4, 5, 6], [7], [8, 9]], tf.int64, row_splits_dtype=tf.int64)
    rows, history, targets = data.last_windows(items, 3)
    assert rows.numpy().tolist() == [0, 2]
    assert history.numpy().tolist() == [[3, 4, 5], [8, 0, 0]] and targets.numpy().tolist() == [[4, 5, 6], [9, 0, 0]]
