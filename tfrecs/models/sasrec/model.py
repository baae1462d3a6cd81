"""SASRec: causal self-attention over the items of a history; every position predicts the next item."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrecs.data import windows
from tfrecs.data.negatives import Sampler
from tfrecs.data.records import Sequences
from tfrecs.layers.attributes import ItemTable
from tfrecs.layers.masks import last_valid, padding_mask
from tfrecs.losses import softmax_cross_entropy
from tfrecs.models import catalogue, ranges, train_step
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.models.sasrec import data, losses
from tfrecs.models.sasrec.arguments import checked
from tfrecs.models.sasrec.encoder import CausalEncoder


@keras.saving.register_keras_serializable("tfrecs")
class SASRec(SequentialRecommender):
    """SASRec (Kang and McAuley, ICDM 2018, "Self-Attentive Sequential Recommendation").

    Items and learned positions are added and pass through blocks of causal self-attention and feed-forward layers. The
    score of an item is its vector, the same as in the input, times the output at the last position. Every position of a
    window is trained to predict the item after it.

    Args:
        num_users, num_items: int, as in `SequentialRecommender`; users do not matter, only their histories.
        max_history: int, items that the attention reads.
        num_layers: int, layers of the encoder.
        num_heads: int, heads of the attention.
        dim: int, width of items and positions, a multiple of `num_heads`.
        inner_dim: int, width within the feed-forward layers.
        dropout: float in [0, 1), on the input and on the output of each sublayer.
        attention_dropout: float in [0, 1), on the attention weights.
        activation: `gelu`, `relu`, `swish`, `tanh` or `sigmoid`, of the feed-forward layers.
        normalization: `post` (as in BERT), `pre` (paper) or `pre_residual`, see `encoder.CausalSelfAttention`. NOTE:
            `pre_residual` reproduces `model.py` and `modules.py`: the residual is the normalised input, and keys and
            values are not normalised.
        positions_from: `start` or `end` of a window; counted from its end, the next item always follows the same
            position. NOTE: `end` reproduces the published code, which pads on the left.
        scale_items: bool, item vectors are multiplied by `sqrt(dim)` in the input. NOTE: True reproduces `modules.py`
            (`embedding`).
        output_projection: bool, a dense layer mixes the heads, with dropout on its output. NOTE: False repeats
            `modules.py` (`multihead_attention`), which has neither.
        inner_dropout: bool, dropout also follows the activation of feed-forward layers. NOTE: True reproduces
            `modules.py` (`feedforward`).
        item_loss: `ce`, the softmax over all items; `sampled_softmax`, over items drawn for the batch, corrected by the
            logarithm of their probability; `gbce`, binary cross-entropy whose targets' probability is raised to a power
            that makes up for the sampling; or `bce` (paper), binary cross-entropy with one unseen item for each target.
        num_negatives: int, items drawn for each window: `gbce` draws unseen items, which serve all positions of the
            window; `sampled_softmax` draws from all items, which serve all windows of the batch.
        calibration: float t in [0, 1], of `gbce`, see `losses.calibration_power`.
        last_window: bool, train the last `max_history` positions of a user only. NOTE: True reproduces `sampler.py`.
            False: longer histories are cut into overlapping windows.
        initializer_range: float, standard deviation of the initial weights; 0 is Glorot's uniform distribution.
        loss_reduction, clip_unmerged_rows: see `SequentialRecommender`.

    Inputs:
        `user` int64 `[batch]`, not read; `history` int64 `[batch, max_history or fewer]`, oldest first, left-aligned,
        padded with 0. Training examples add `targets` of the same shape, the item after each position or 0, and what
        the loss reads of `negatives` and `negative_log_probability`, see `data.training_examples`.

    Example:
        >>> model = SASRec(4, 9, dim=8, num_heads=2)
        >>> model.recommend({"history": tf.constant([[3, 5, 0, 0]])}, k=3)[0].shape
        TensorShape([1, 3])

    Source: https://arxiv.org/abs/1808.09781; https://github.com/kang205/SASRec `model.py`, `modules.py`, `sampler.py`.
    gBCE: Petrov and Macdonald, RecSys 2023, https://arxiv.org/abs/2308.07192.
    """

    reads_users = False
    attention_reads = ("history",)

    @ranges.plain_arguments
    def __init__(
        self,
        num_users: int,
        num_items: int,
        max_history: int = 50,
        num_layers: int = 2,
        num_heads: int = 4,
        dim: int = 128,
        inner_dim: int = 256,
        dropout: float = 0.5,
        attention_dropout: float = 0.3,
        activation: str = "gelu",
        normalization: str = "post",
        positions_from: str = "start",
        scale_items: bool = False,
        output_projection: bool = True,
        inner_dropout: bool = False,
        item_loss: str = "ce",
        num_negatives: int = 64,
        calibration: float = 0.75,
        last_window: bool = False,
        initializer_range: float = 0.02,
        loss_reduction: str = "mean",
        clip_unmerged_rows: bool = False,
        **kwargs: Any,
    ) -> None:
        arguments = checked(ranges.own(locals()))
        super().__init__(num_users, num_items, loss_reduction, clip_unmerged_rows, **kwargs)
        self._keep(arguments)
        self.draws_negatives, self.attention_heads = item_loss != "ce", num_layers * num_heads
        self.padded_fields = ("history", "targets", *(("negatives",) if item_loss == "bce" else ()))
        policy, small = self.dtype_policy, keras.initializers.RandomNormal(stddev=initializer_range)
        initializer = small if initializer_range else keras.initializers.GlorotUniform()
        self.items = ItemTable(num_items, dim, embeddings_initializer=initializer.clone(), name="items", dtype=policy)
        self.positions = keras.layers.Embedding(max_history, dim, initializer.clone(), name="positions", dtype=policy)
        self.positions.build((None, None))
        self.encoder = CausalEncoder(
            num_layers,
            dim,
            num_heads,
            inner_dim,
            activation,
            normalization,
            output_projection,
            dropout,
            attention_dropout,
            inner_dropout,
            initializer.clone(),
            name="encoder",
            dtype=policy,
        )
        self.build()

    def training_examples(self, sequences: Sequences, draw: Sampler, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Windows of histories with their next items; see `data.training_batches.TrainingBatches`."""
        return data.training_examples(
            sequences["item"], draw, self.max_history, self.last_window, self.item_loss, self.num_negatives
        )

    def history_inputs(self, sequences: Sequences) -> dict[str, tf.Tensor]:
        """The last items of each history."""
        return {"user": sequences["user"], "history": windows.last_items(sequences["item"], self.max_history)}

    def count_examples(self, lengths: np.ndarray) -> tuple[int, int]:
        return data.count_examples(self, lengths)

    def hidden(self, history: tf.Tensor, vectors: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The encoder's output at each position.

        Args:
            history: int64 `[batch, time]`.
            vectors: float `[batch, time, dim]`, the items' vectors.

        Returns:
            float `[batch, time, dim]`.
        """
        return self.encoder(self._located(history, vectors), training=training)

    def _located(self, history: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
        """The encoder's input: the items' vectors at their positions."""
        position = tf.range(tf.shape(history)[1])[None]
        if self.positions_from == "end":
            length = tf.reduce_sum(tf.cast(padding_mask(history), tf.int32), axis=1, keepdims=True)
            position = tf.minimum(self.max_history - length + position, self.max_history - 1)
        if self.scale_items:
            vectors = vectors * tf.cast(self.dim**0.5, vectors.dtype)
        return vectors + self.positions(position)

    def attention_maps(self, inputs: Mapping[str, tf.Tensor], candidate: tf.Tensor | None) -> Iterator[tuple[Any, ...]]:
        """Of each block: what a position reads of itself and the earlier ones."""
        history = inputs["history"]
        _, weights = self.encoder(self._located(history, self.items(history)), return_weights=True)
        for i, found in enumerate(weights):
            yield f"attention_{i}", found, "history", history, "history", history

    def encode(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> dict[str, Any]:
        history = inputs["history"]
        output = self.hidden(history, self.items(history), training)
        return {"vector": tf.cast(last_valid(output, padding_mask(history)), tf.float32)}

    def score_items(self, query: Mapping[str, Any], items: tf.Tensor) -> tf.Tensor:
        vectors = tf.cast(self.items(items), tf.float32)
        if len(items.shape) == 1:
            return tf.matmul(query["vector"], vectors, transpose_b=True)
        return tf.einsum("bd,bnd->bn", query["vector"], vectors)

    def catalogue(self) -> catalogue.Catalogue:
        return catalogue.of_vectors(self.items.matrix())

    def item_vectors(self) -> tf.Tensor:
        """See `SequentialRecommender.item_vectors`."""
        return tf.cast(self.items(tf.range(1, self.num_items + 1, dtype=tf.int64)), tf.float32)

    def loss_terms(self, examples: Mapping[str, tf.Tensor], training: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
        history, targets = examples["history"], examples["targets"]
        if self.item_loss == "ce":
            matrix = self.items.matrix()
            vectors = tf.cast(tf.gather(matrix, history), self.compute_dtype)
        else:
            vectors = self.items(history)
        hidden, real = self.hidden(history, vectors, training), padding_mask(targets)
        if self.item_loss in ("bce", "gbce"):
            return self._binary_terms(hidden, examples), tf.cast(real, tf.float32)
        # Logits of real positions only: the product with many items is most of the work. XLA knows no shape that
        # depends on values: it computes what does not count, too.
        if self.under_xla:
            hidden, target = tf.reshape(hidden, [-1, self.dim]), tf.reshape(targets, [-1])
        else:
            hidden, target = hidden[real], targets[real]
        if self.item_loss == "ce":
            items = tf.cast(matrix[1:], self.compute_dtype)
            terms = softmax_cross_entropy(hidden, items, tf.maximum(target - 1, 0))
        else:
            terms = self._sampled_softmax_terms(hidden, target, examples)
        return terms, tf.cast(padding_mask(target), tf.float32)

    def _binary_terms(self, hidden: tf.Tensor, examples: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Losses `[batch, time]`."""
        hidden = tf.cast(hidden, tf.float32)
        positive = tf.reduce_sum(hidden * tf.cast(self.items(examples["targets"]), tf.float32), axis=2)
        vectors = tf.cast(self.items(examples["negatives"]), tf.float32)
        if self.item_loss == "bce":
            return losses.binary_cross_entropy(positive, tf.reduce_sum(hidden * vectors, axis=2, keepdims=True))
        power = losses.calibration_power(self.num_negatives, self.num_items, self.calibration)
        terms = losses.binary_cross_entropy(positive, tf.matmul(hidden, vectors, transpose_b=True), power)
        return terms / (self.num_negatives + 1)

    def _sampled_softmax_terms(
        self, hidden: tf.Tensor, target: tf.Tensor, examples: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """Losses `[rows]` against the negatives of all rows of the global batch, so that replicas do not matter."""
        negatives = train_step.gather_over_replicas(examples["negatives"])
        log_count = tf.math.log(tf.cast(tf.size(negatives), tf.float32))
        log_expected_count = log_count + train_step.gather_over_replicas(examples["negative_log_probability"])
        positive = tf.reduce_sum(tf.cast(hidden, tf.float32) * tf.cast(self.items(target), tf.float32), axis=1)
        negative = tf.cast(tf.matmul(hidden, self.items(negatives), transpose_b=True), tf.float32)
        is_target = target[:, None] == negatives[None]
        return losses.sampled_softmax_cross_entropy(positive, negative, log_expected_count, is_target)
