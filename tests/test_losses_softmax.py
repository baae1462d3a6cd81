"""Losses over all items and over attributes, against TensorFlow's own."""

import numpy as np
import tensorflow as tf

from tfrecs import losses

RANDOM = np.random.default_rng(0)


def test_softmax_cross_entropy_and_its_gradients():
    queries, items = (tf.constant(RANDOM.normal(0, 3, shape), tf.float32) for shape in ((9, 4), (7, 4)))
    targets, upstream = tf.constant([0, 6, 6, 3, 1, 1, 1, 5, 2]), tf.constant(RANDOM.normal(size=9), tf.float32)
    found = []
    for loss in (
        losses.softmax_cross_entropy,
        lambda q, v, t: tf.nn.sparse_softmax_cross_entropy_with_logits(t, tf.matmul(q, v, transpose_b=True)),
    ):
        with tf.GradientTape() as tape:
            tape.watch([queries, items])
            value = loss(queries, items, targets)
        found.append([value, *tape.gradient(value, [queries, items], upstream)])
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, tf.convert_to_tensor(theirs), atol=2e-5)


def test_softmax_cross_entropy_of_far_logits_is_finite():
    value = losses.softmax_cross_entropy(tf.constant([[1e4]]), tf.constant([[1.0], [-1.0]]), tf.constant([1]))
    np.testing.assert_allclose(value, [2e4])


def test_multi_label_cross_entropy():
    logits, labels = tf.constant(RANDOM.normal(size=(3, 6)), tf.float32), np.array([[2, 5, 0], [0, 0, 0], [1, 0, 0]])
    truth = np.zeros((3, 6), np.float32)
    for row, classes in enumerate(labels):
        truth[row, classes] = 1
    expected = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits).numpy()[:, 1:].mean(axis=1)
    np.testing.assert_allclose(losses.multi_label_cross_entropy(logits, labels), expected, atol=1e-6)
