import numpy as np
import pytest
import tensorflow as tf

from tfrecs.evaluation.rating_baselines import ItemMean, MatrixFactorisation

CLASSES = (1.0, 2.0, 3.0, 4.0, 5.0)


def test_an_item_is_drawn_towards_the_mean():
    """Mean 3; item 1 has 5 and 3: 3 + (2 + 0) / (2 + 2); item 2 has 1; item 3 nothing."""
    baseline = ItemMean(np.array([1, 2, 2]), np.array([1, 1, 2]), np.array([5.0, 3.0, 1.0]), 3, CLASSES, 2.0)
    expected, likely = baseline.rate({"item": tf.constant([1, 2, 3, 0])})
    np.testing.assert_allclose(expected, [3.5, 3 - 2 / 3, 3.0, 3.0], rtol=1e-6)
    np.testing.assert_array_equal(likely, [3.0, 2.0, 3.0, 3.0])
    constant = ItemMean(np.array([1, 2]), np.array([1, 1]), np.array([5.0, 2.0]), 2, CLASSES, np.inf)
    np.testing.assert_allclose(constant.rate({"item": tf.constant([1, 2])})[0], 3.5)


def test_factors_are_found():
    """Planted biases and factors come back; nobody and nothing known give the mean and what is known."""
    random = np.random.default_rng(0)
    users, items = (ids.ravel() + 1 for ids in np.meshgrid(np.arange(40), np.arange(30)))
    truth = 3 + random.normal(size=41)[users] * 0.5 + random.normal(size=31)[items] * 0.5
    truth += (random.normal(size=(41, 2))[users] * random.normal(size=(31, 2))[items]).sum(axis=1) * 0.5
    seen = random.random(len(users)) < 0.6
    known = users[seen], items[seen], truth[seen]
    model = MatrixFactorisation(*known, num_items=31, rating_classes=CLASSES, num_users=41, dim=2, l2=1e-4, sweeps=60)
    unseen = {"user": tf.constant(users[~seen]), "item": tf.constant(items[~seen])}
    error = model.rate(unseen)[0] - truth[~seen]
    assert np.sqrt(np.mean(np.square(error))) < 0.1 < truth.std()
    nobody = model.rate({"user": tf.constant([41, 0, 41]), "item": tf.constant([31, 0, 1])})[0].numpy()
    assert nobody[:2] == pytest.approx(truth[seen].mean(), abs=1e-5)
    assert nobody[2] == pytest.approx(truth[seen].mean() + model.sides[1].numpy()[1, 1], abs=1e-5)
