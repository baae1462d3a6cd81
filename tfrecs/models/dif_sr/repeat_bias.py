"""A learned bias for items that are already in the history: one number, added to the scores of all of them."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrecs import metrics

SCALE = 10.0  # the weight is this much smaller than the bias: optimizers step in units that suit vectors' entries


@keras.saving.register_keras_serializable("tfrecs")
class RepeatBias(keras.layers.Layer):
    """A learned scalar that is added to the score of every item of the history.

    It is for data in which users take some items again: a model whose inputs and candidates share vectors ranks what a
    user has just taken among the first, whether or not users repeat. Where nobody takes an item twice the bias falls
    far below 0, and does what leaving seen items out of the ranking does: under the protocol `recbole`, which keeps
    them, a model with this bias is not comparable with one without.

    Call arguments:
        history: int `[batch, time]`, padded with 0.
        items: int `[count]`, or `[batch, count]`.
        Returns float32 `[batch, count]`, the bias where the item is in the history, else 0.

    Example:
        >>> layer = RepeatBias()
        >>> _ = layer.weight.assign(-0.2)
        >>> layer(tf.constant([[3, 1, 0]]), tf.range(1, 4)).numpy().tolist()
        [[-2.0, 0.0, -2.0]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weight = self.add_weight(name="weight", shape=(), initializer="zeros", autocast=False)
        self.built = True

    @property
    def bias(self) -> tf.Tensor:
        """float32 scalar."""
        return SCALE * tf.convert_to_tensor(self.weight)

    def call(self, history: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        history, items = tf.cast(history, tf.int64), tf.cast(items, tf.int64)
        if len(items.shape) == 1:
            first, last = tf.reduce_min(items), tf.reduce_max(items)
            met = tf.gather(metrics.member(history, first, last - first + 1), items - first, axis=1)
        else:
            met = tf.reduce_any(items[:, :, None] == history[:, None], axis=2) & (items != 0)
        return tf.where(met, self.bias, 0.0)

    def loss_inputs(self, history: tf.Tensor, vectors: tf.Tensor, output: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the loss reads of each position: the items met so far, each once, and their scores without the bias.

        Args:
            history: int64 `[batch, time]`.
            vectors: float `[batch, time or more, dim]`, those of its items.
            output: float `[batch, positions, dim]`; `positions` is `time`, or 1 where all of `time` has been met.

        Returns:
            dict of tensors `[batch, positions, time]`: `met_item` int64, 0 where none, `met_score` float32.
        """
        time, positions = tf.shape(history)[1], tf.shape(output)[1]
        causal = tf.linalg.band_part(tf.ones([time, time], tf.bool), -1, 0)
        before = tf.linalg.set_diag(causal, tf.zeros([time], tf.bool))
        again = tf.reduce_any((history[:, :, None] == history[:, None]) & before, axis=2)
        met = tf.where(again, tf.zeros_like(history), history)[:, None] * tf.cast(causal, tf.int64)[time - positions :]
        return {
            "met_item": met,
            "met_score": tf.cast(tf.matmul(output, vectors[:, :time], transpose_b=True), tf.float32),
        }

    def of_items(self, rows: Mapping[str, tf.Tensor], items: tf.Tensor) -> tf.Tensor:
        """The bias of one item for each row, float32 `[rows]`; `rows` as from `loss_inputs`, `[rows, time]`."""
        return tf.where(tf.reduce_any(items[:, None] == rows["met_item"], axis=1), self.bias, 0.0)

    def cross_entropy(
        self, rows: Mapping[str, tf.Tensor], terms: tf.Tensor, targets: tf.Tensor, target_scores: tf.Tensor
    ) -> tf.Tensor:
        """Adjusts the cross-entropy without the bias to the scores with it; gradients reach only the bias.

        Everything else learns from `terms`, as if there were no bias: the same weights as without it. On Beauty, a
        model that trains on the shifted scores fits its training items sooner and finds fewer validation items
        (Recall@20 .166, NDCG@20 .083; with the bias trained apart .174, .089).

        Args:
            rows: dict as from `loss_inputs`, `[rows, time]`.
            terms: float32 `[rows]`, cross-entropy over all items of the scores without the bias.
            targets: int64 `[rows]`.
            target_scores: float32 `[rows]`, without the bias.

        Returns:
            float32 `[rows]`.
        """
        share = tf.exp(tf.minimum(rows["met_score"] - (terms + target_scores)[:, None], 0.0))
        share = tf.stop_gradient(tf.reduce_sum(tf.where(rows["met_item"] != 0, share, 0.0), axis=1))
        shifted = tf.math.log1p(tf.math.expm1(self.bias) * tf.minimum(share, 1.0 - 1e-6))
        return terms + shifted - self.of_items(rows, targets)
