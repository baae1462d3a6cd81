"""Losses over all items and over attributes, against TensorFlow's own."""

import numpy as np
import tensorflow as tf

from tfrecs.losses import softmax_cross_entropy
from tfrecs.models.dif_sr.losses import multi_label_cross_entropy
from tfrecs.models.sasrec import losses

RANDOM = np.random.default_rng(0)


def test_softmax_cross_entropy_and_its_gradients():
    queries, items = (tf.constant(RANDOM.normal(0, 3, shape), tf.float32) for shape in ((9, 4), (7, 4)))
    targets, upstream = tf.constant([0, 6, 6, 3, 1, 1, 1, 5, 2]), tf.constant(RANDOM.normal(size=9), tf.float32)
    found = []
    for loss in (
        softmax_cross_entropy,
        lambda q, v, t: tf.nn.sparse_softmax_cross_entropy_with_logits(t, tf.matmul(q, v, transpose_b=True)),
    ):
        with tf.GradientTape() as tape:
            tape.watch([queries, items])
            value = loss(queries, items, targets)
        found.append([value, *tape.gradient(value, [queries, items], upstream)])
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, tf.convert_to_tensor(theirs), atol=2e-5)


def test_softmax_cross_entropy_of_far_logits_is_finite():
    value = softmax_cross_entropy(tf.constant([[1e4]]), tf.constant([[1.0], [-1.0]]), tf.constant([1]))
    np.testing.assert_allclose(value, [2e4])


def test_multi_label_cross_entropy():
    logits, labels = tf.constant(RANDOM.normal(size=(3, 6)), tf.float32), np.array([[2, 5, 0], [0, 0, 0], [1, 0, 0]])
    truth = np.zeros((3, 6), np.float32)
    for row, classes in enumerate(labels):
        truth[row, classes] = 1
    expected = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits).numpy()[:, 1:].mean(axis=1)
    np.testing.assert_allclose(multi_label_cross_entropy(logits, labels), expected, atol=1e-6)


def test_sampled_softmax_with_every_item_once_is_the_full_softmax():
    logits, targets = tf.constant(RANDOM.normal(0, 2, (5, 8)), tf.float32), np.array([0, 7, 3, 3, 5])
    found = losses.sampled_softmax_cross_entropy(
        tf.gather(logits, targets, batch_dims=1), logits, np.zeros(8, np.float32), targets[:, None] == np.arange(8)
    )
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_sampled_softmax_by_hand():
    """The sum is 1 + 8 / 2 + 6 / 3 = 7; what was drawn of the target itself, 1000, does not count."""
    found = losses.sampled_softmax_cross_entropy(
        np.log([1.0]), np.log([[8.0, 1000.0, 6.0]]), np.log([2.0, 1.0, 3.0]), np.array([[False, True, False]])
    )
    np.testing.assert_allclose(found, [np.log(7)], rtol=1e-5)


def test_the_correction_makes_the_sum_unbiased():
    """Over many draws by popularity, `exp(loss + target's score)` is on average the sum over all items."""
    logits, probability, draws, count = RANDOM.normal(0, 1, 6), np.array([0.4, 0.3, 0.15, 0.1, 0.03, 0.02]), 200_000, 4
    drawn = RANDOM.choice(6, (draws, count), p=probability)
    sums = {}
    for name, log_expected in (("corrected", np.log(count * probability)), ("as drawn", np.zeros(6))):
        # One row a draw: the expected counts differ by row, so they are subtracted here.
        negative = (logits - log_expected)[drawn].astype(np.float32)
        positive = np.full(draws, logits[1], np.float32)
        terms = losses.sampled_softmax_cross_entropy(positive, negative, np.zeros(count, np.float32), drawn == 1)
        sums[name] = np.exp(np.asarray(terms, np.float64) + logits[1])
    error = sums["corrected"].std() / draws**0.5
    assert abs(sums["corrected"].mean() - np.exp(logits).sum()) < 4 * error < 0.05 * np.exp(logits).sum()
    assert abs(sums["as drawn"].mean() - np.exp(logits).sum()) > 20 * error


def test_binary_cross_entropy_against_tensorflows():
    positive, negative = RANDOM.normal(0, 3, (4, 5)), RANDOM.normal(0, 3, (4, 5, 3))
    of_logits = tf.nn.sigmoid_cross_entropy_with_logits
    of_positive = of_logits(np.ones_like(positive), positive).numpy()
    of_negative = of_logits(np.zeros_like(negative), negative).numpy().sum(axis=-1)
    for power in (1.0, 0.25):
        expected = power * of_positive + of_negative
        np.testing.assert_allclose(losses.binary_cross_entropy(positive, negative, power), expected, rtol=1e-5)


def test_calibration_power_by_hand():
    """alpha = 256 / 1024 = 1/4: t 0 gives 1, t 1 gives alpha, t 3/4 gives 1/4 (3/4 (1 - 4) + 4) = 7/16."""
    for calibration, expected in ((0.0, 1.0), (1.0, 1 / 4), (0.75, 7 / 16)):
        assert losses.calibration_power(256, 1025, calibration) == expected
    assert losses.calibration_power(50, 11, 0.75) == 1.0  # more draws than items: as if each were drawn
    assert losses.calibration_power(1, 1, 0.5) == 1.0
