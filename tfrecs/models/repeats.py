"""What users do with items they have had: one learned number added to the scores of all items of a history."""

import keras
import tensorflow as tf

from tfrecs import metrics

SCALE = 10.0  # the weight is this much smaller than the bias: optimizers step in units that suit vectors' entries


@keras.saving.register_keras_serializable("tfrecs")
class RepeatBias(keras.layers.Layer):
    """A scalar, learned, that every item of the history gets added to its score: far below 0 where nobody buys twice.

    Without it a model whose inputs and candidates share vectors ranks what was just bought among the first.

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

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.weight = self.add_weight(name="weight", shape=(), initializer="zeros", autocast=False)
        self.built = True

    @property
    def bias(self):
        """float32 scalar."""
        return SCALE * tf.convert_to_tensor(self.weight)

    def call(self, history, items):
        history, items = tf.cast(history, tf.int64), tf.cast(items, tf.int64)
        if len(items.shape) == 1:
            first, last = tf.reduce_min(items), tf.reduce_max(items)
            met = tf.gather(metrics.member(history, first, last - first + 1), items - first, axis=1)
        else:
            met = tf.reduce_any(items[:, :, None] == history[:, None], axis=2) & (items != 0)
        return tf.where(met, self.bias, 0.0)

    def parts(self, history, vectors, output):
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

    def of(self, rows, items):
        """The bias of one item for each row, float32 `[rows]`; `rows` as from `parts`, `[rows, time]`."""
        return tf.where(tf.reduce_any(items[:, None] == rows["met_item"], axis=1), self.bias, 0.0)

    def cross_entropy(self, rows, terms, targets, target_scores):
        """The softmax cross-entropy with the bias in it, from the one without; what items have is not its affair.

        Only the bias gets its gradient from here: all else learns from `terms`, as if there were no bias. On Beauty a
        model that is relieved of telling what was met from what comes next fits its training items sooner and finds
        fewer validation items (Recall@20 .166, NDCG@20 .083; with a bias learned beside it .174, .089).

        Args:
            rows: dict as from `parts`, `[rows, time]`.
            terms: float32 `[rows]`, cross-entropy over all items of the scores without the bias.
            targets: int64 `[rows]`.
            target_scores: float32 `[rows]`, without the bias.

        Returns:
            float32 `[rows]`.
        """
        share = tf.exp(tf.minimum(rows["met_score"] - (terms + target_scores)[:, None], 0.0))
        share = tf.stop_gradient(tf.reduce_sum(tf.where(rows["met_item"] != 0, share, 0.0), axis=1))
        shifted = tf.math.log1p(tf.math.expm1(self.bias) * tf.minimum(share, 1.0 - 1e-6))
        return terms + shifted - self.of(rows, targets)
