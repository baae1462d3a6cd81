"""DIF-SR: self-attention over items whose scores also weigh side information, kept apart from the items' values."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrecs.data import windows
from tfrecs.data.manifest import Manifest
from tfrecs.data.negatives import Sampler
from tfrecs.data.records import Sequences
from tfrecs.layers.attributes import AttributeTable, ItemTable, PooledEmbedding
from tfrecs.layers.masks import last_valid, padding_mask
from tfrecs.losses import softmax_cross_entropy
from tfrecs.models import catalogue, item_attributes, ranges
from tfrecs.models.dif_sr import data
from tfrecs.models.dif_sr.arguments import checked, per_attribute
from tfrecs.models.dif_sr.encoder import DecoupledEncoder
from tfrecs.models.dif_sr.losses import bayesian_ranking, flat_rows, multi_label_cross_entropy
from tfrecs.models.dif_sr.predictors import AttributePredictor
from tfrecs.models.dif_sr.repeat_bias import RepeatBias
from tfrecs.models.item_attributes import ALL, NONE
from tfrecs.models.recommender import SequentialRecommender


@keras.saving.register_keras_serializable("tfrecs")
class DIFSR(SequentialRecommender):
    """DIF-SR (Xie, Zhou and Kim, SIGIR 2022, "Decoupled Side Information Fusion for Sequential Recommendation").

    Transformer layers over the items of a history; in each, a head's attention scores are fused from those of items,
    of positions and of each attribute (`attention.DecoupledAttention`), while values are items only. The score
    of an item is its vector's product with the output at the last position. Besides the next item, the output
    predicts that item's attributes. Without attributes this is self-attention as in SASRec, with decoupled positions.

    Args:
        num_users, num_items: int, as in `SequentialRecommender`; users do not matter, only their histories.
        attribute_sizes: tuple of int, values of each attribute that is read.
        attribute_lengths: tuple of int, values an item has at most; 0 for an attribute that is a single token.
        attributes: tuple of str, names of the item attributes to read; `all` in the data, or `none`.
        max_history: int, items that the attention reads.
        num_layers, num_heads: int, layers of the encoder and attention heads in each.
        dim: int, width of items and positions, a multiple of `num_heads`.
        inner_dim: int, width within the feed-forward layers.
        attribute_dim: tuple of int, width of each attribute in the attention, or one for all.
        dropout: float in [0, 1), on hidden states.
        attention_dropout: float in [0, 1), on attention weights.
        item_dropout: float in [0, 1), each item of a history is left out of training at this rate, anew in each epoch;
            what remains is trained as if it were the history. NOTE: our addition; no part of the paper.
        activation: `gelu`, `relu`, `swish`, `tanh` or `sigmoid`, of the feed-forward layers.
        fusion: how the scores of items, positions and attributes are fused, see `attention.ScoreFusion`.
        pooling: `mean`, `sum` or `max` over the values of an attribute.
        attribute_predictor: `linear`, `mlp` or `none`. NOTE: the published `MLP` (`sasrecd.py:81-90`) raises a
            TypeError; here it is one hidden layer with layer normalisation in place of batch normalisation.
        attribute_weight: tuple of float, weight of each attribute's loss, or one for all (lambda of equation 12).
        item_loss: `ce`, the softmax over all items, or `bpr`. NOTE: `bpr` takes one unseen item a target and, as
            in `sasrecd.py:186-193`, leaves the attributes' losses out.
        initializer_range: float, standard deviation of the initial weights.
        layer_norm_epsilon: float, added to the variance in every layer normalisation.
        attributes_in_items: bool, add the vectors of its attribute values to an item's. NOTE: ours, not in the paper.
        all_positions: bool, train every position of a history at once; a history longer than `max_history` is cut
            into overlapping windows. NOTE: False trains one prefix per example, as RecBole's augmentation gives them.
        causal_fusion: bool. NOTE: False reproduces `layers.py:495-504`, see `attention.ScoreFusion`; the output
            then depends on padding, and histories are always padded to `max_history`.
        additive_mask: bool. NOTE: True reproduces `sasrecd.py:138`, see `attention.DecoupledAttention`.
        train_attributes: bool, learn the attributes' embeddings. NOTE: False reproduces `layers.py:769-772`: they are
            in plain dicts, where the optimizer does not find them, and stay N(0, 1).
        mask_attributes: bool. NOTE: False reproduces `layers.py:849-910`, see `layers.attributes.PooledEmbedding`.
        repeated_attributes: bool. NOTE: True reproduces `sasrecd.py:203-206`: a value an item names twice counts twice,
            in pooling and as a label of 2. False: once.
        repeat_bias: bool, the score of an item that the history holds is shifted by one number, learned, see
            `repeat_bias.RepeatBias`; for data in which users take items again. NOTE: our addition, not in the paper.
            Where nobody takes an item twice it excludes seen items: compare such a row with `full_ranking`, never with
            published figures under `recbole`.
        pad_class: bool. NOTE: True reproduces `sasrecd.py:195-197`: PAD, row 0, is a trained class of the softmax.
        loss_reduction, clip_unmerged_rows: see `SequentialRecommender`.

    Inputs:
        `user` int64 `[batch]`, not read; `history` int64 `[batch, max_history or fewer]`, oldest first, left-aligned,
        padded with 0. Training examples add `targets` of the same shape, the item after each position or 0 (`[batch,
        1]`, the item after the history, where `all_positions` is False), and `negatives`, of that shape, for `bpr`.

    Example:
        >>> model = DIFSR(4, 9, attribute_sizes=(), attribute_lengths=(), dim=8, num_heads=2)
        >>> model.recommend({"history": tf.constant([[3, 5, 0, 0]])}, k=3)[0].shape
        TensorShape([1, 3])

    Source: https://arxiv.org/abs/2204.11046; https://github.com/AIM-SE/DIF-SR `layers.py`, `sasrecd.py`.
    """

    fallback_arguments = {"attributes": NONE}
    reads_users = False
    attention_reads = ("history",)
    minimal_sizes = {"num_users": 1, "num_items": 1, "attribute_sizes": (), "attribute_lengths": ()}

    @ranges.plain_arguments
    def __init__(
        self,
        num_users: int,
        num_items: int,
        attribute_sizes: Sequence[int],
        attribute_lengths: Sequence[int],
        attributes: Sequence[str] = ALL,
        max_history: int = 50,
        num_layers: int = 2,
        num_heads: int = 4,
        dim: int = 128,
        inner_dim: int = 256,
        attribute_dim: Sequence[int] = (64,),
        dropout: float = 0.5,
        attention_dropout: float = 0.3,
        item_dropout: float = 0.0,
        activation: str = "gelu",
        fusion: str = "sum",
        pooling: str = "sum",
        attribute_predictor: str = "none",
        attribute_weight: Sequence[float] = (10.0,),
        item_loss: str = "ce",
        initializer_range: float = 0.02,
        layer_norm_epsilon: float = 1e-12,
        attributes_in_items: bool = True,
        all_positions: bool = True,
        causal_fusion: bool = True,
        additive_mask: bool = False,
        train_attributes: bool = True,
        mask_attributes: bool = True,
        repeated_attributes: bool = False,
        repeat_bias: bool = False,
        pad_class: bool = False,
        loss_reduction: str = "mean",
        clip_unmerged_rows: bool = False,
        **kwargs: Any,
    ) -> None:
        arguments = checked(ranges.own(locals()))
        super().__init__(num_users, num_items, loss_reduction, clip_unmerged_rows, **kwargs)
        self._keep(arguments)
        self.draws_negatives, self.attention_heads = item_loss == "bpr", num_layers * num_heads
        self.padded_fields = ("history", *(("targets",) if all_positions else ()))
        self.padded_fields += ("negatives",) if all_positions and self.draws_negatives else ()
        policy, sizes = self.dtype_policy, self.attribute_sizes
        dims = per_attribute(self.attribute_dim, len(sizes))
        self.label_weights = per_attribute(self.attribute_weight, len(sizes))
        small = functools.partial(keras.initializers.RandomNormal, stddev=initializer_range)
        tables, embeddings, predictors = [], [], []
        for i, (size, longest) in enumerate(zip(sizes, self.attribute_lengths)):
            tables.append(AttributeTable(num_items, longest, name=f"table_{i}", dtype=policy))
            initial = small() if train_attributes else small(stddev=1.0)
            pooled = (size, dims[i], pooling, not longest, mask_attributes, initial)
            embeddings.append(PooledEmbedding(*pooled, trainable=train_attributes, name=f"attribute_{i}", dtype=policy))
            if attribute_predictor != "none":
                head = (dim, size + 1, attribute_predictor, small())
                predictors.append(AttributePredictor(*head, name=f"predictor_{i}", dtype=policy))
        # Made before the items and listed after them: initial draws and checkpoints depend on these orders.
        sizes_of_layers = (num_layers, dim, num_heads, dims, max_history, inner_dim)
        attention = (activation, fusion, causal_fusion, additive_mask, dropout, attention_dropout)
        initial = (small(), layer_norm_epsilon)
        encoder = DecoupledEncoder(*sizes_of_layers, *attention, *initial, name="encoder", dtype=policy)
        self.tables, self.embeddings, self.predictors = tables, embeddings, predictors
        self.items = ItemTable(num_items, dim, sizes * attributes_in_items, small(), name="items", dtype=policy)
        self.encoder = encoder
        self.repeat_bias_layer = RepeatBias(name="repeats") if repeat_bias else None
        if item_loss == "ce" and self.predictors:
            self.part_names = ("item_loss", *(f"attribute_{i}_loss" for i in range(len(self.predictors))))
            self.loss_parts = [keras.metrics.Mean(name=name) for name in self.part_names]
        self.build()

    @classmethod
    def missing_columns(cls, manifest: Manifest, arguments: Mapping[str, Any]) -> list[str]:
        return item_attributes.missing(arguments.get("attributes", ALL), manifest)

    @classmethod
    def data_arguments(
        cls, data_dir: str, manifest: Manifest, arguments: Mapping[str, Any], split: str = "train"
    ) -> dict[str, Any]:
        names = arguments.get("attributes", ALL)
        return super().data_arguments(data_dir, manifest, arguments) | item_attributes.sizes(names, data_dir, manifest)

    def adapt(self, data_dir: str, manifest: Manifest, split: str) -> None:
        """Fills the tables of items' attributes."""
        names = data.fill_tables(self, data_dir, manifest)
        self.part_names = ("item_loss", *(f"{name}_loss" for name in names))[: len(self.loss_parts)]

    def training_examples(self, sequences: Sequences, draw: Sampler, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Windows or prefixes of histories with their next items; see `data.training_batches.TrainingBatches`."""
        return data.training_examples(self, sequences["item"], draw, seed)

    def history_inputs(self, sequences: Sequences) -> dict[str, tf.Tensor]:
        """The last items of each history."""
        return {"user": sequences["user"], "history": windows.last_items(sequences["item"], self.max_history)}

    def count_examples(self, lengths: np.ndarray) -> tuple[int, int]:
        return data.count_examples(self, lengths)

    def hidden(self, history: tf.Tensor, vectors: tf.Tensor, training: bool = False) -> list[dict[str, tf.Tensor]]:
        """The layers' outputs of each position.

        Args:
            history: int64 `[batch, time]`.
            vectors: float `[batch, time, dim]`, the items' vectors.

        Returns:
            list of dicts, see `DecoupledEncoder.layer_outputs`.
        """
        time = tf.shape(history)[1]
        mask = tf.linalg.band_part(tf.ones([time, time], tf.bool), -1, 0)
        if self.additive_mask:
            # Left-aligned rows need no mask of padded keys: they come after every item. Only padded positions, which
            # nothing reads, differ; the published code masks them, and a comparison with it sees that.
            mask = mask & padding_mask(history)[:, None, None, :]
        attributes = [embedding(table(history)) for table, embedding in zip(self.tables, self.embeddings)]
        return self.encoder.layer_outputs(vectors, attributes, mask, training)

    @property
    def _padding_matters(self) -> bool:
        return not self.causal_fusion and self.fusion != "sum"

    def _padded(self, history: tf.Tensor) -> tf.Tensor:
        if not self._padding_matters:
            return history
        return tf.pad(history, [[0, 0], [0, self.max_history - tf.shape(history)[1]]])

    def _vectors(self, items: tf.Tensor) -> tf.Tensor:
        return self.items(items, [table(items) for table in self.tables])

    def attention_maps(self, inputs: Mapping[str, tf.Tensor], candidate: tf.Tensor | None) -> Iterator[tuple[Any, ...]]:
        """Of each layer, the fused scores' softmax: what a position reads of itself and the earlier ones."""
        history = self._padded(inputs["history"])
        for i, layer in enumerate(self.hidden(history, self._vectors(history))):
            yield f"attention_{i}", layer["weights"], "history", history, "history", history

    def encode(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> dict[str, Any]:
        history = self._padded(inputs["history"])
        output = self.hidden(history, self._vectors(history), training)[-1]["output"]
        query = {"vector": tf.cast(last_valid(output, padding_mask(history)), tf.float32)}
        return query | {"history": history} if self.repeat_bias else query

    def score_items(self, query: Mapping[str, Any], items: tf.Tensor) -> tf.Tensor:
        vectors = tf.cast(self._vectors(items), tf.float32)
        if len(items.shape) == 1:
            scores = tf.matmul(query["vector"], vectors, transpose_b=True)
        else:
            scores = tf.einsum("bd,bnd->bn", query["vector"], vectors)
        return scores + self.repeat_bias_layer(query["history"], items) if self.repeat_bias_layer else scores

    def catalogue(self) -> catalogue.Catalogue | None:
        if self.repeat_bias:  # which depends on the history, not on the item alone
            return None
        return catalogue.of_vectors(self.items.matrix([table.values for table in self.tables], self.under_xla))

    def item_vectors(self) -> tf.Tensor:
        """The items' vectors, those of their attributes added; see `SequentialRecommender.item_vectors`."""
        return tf.cast(self._vectors(tf.range(1, self.num_items + 1, dtype=tf.int64)), tf.float32)

    def loss_terms(self, examples: Mapping[str, tf.Tensor], training: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
        history, targets = self._padded(examples["history"]), examples["targets"]
        matrix = self.items.matrix([table.values for table in self.tables], self.under_xla)
        vectors = tf.cast(tf.gather(matrix, history), self.compute_dtype)
        if self._padding_matters:  # PyTorch's padding_idx: what is read at padding gives PAD's row no gradient
            vectors = tf.where(padding_mask(history)[:, :, None], vectors, tf.stop_gradient(vectors))
        output = self.hidden(history, vectors, training)[-1]["output"]
        if self.all_positions:
            output = output[:, : tf.shape(targets)[1]]  # without what `_padded` added
        else:
            output = last_valid(output, padding_mask(history))[:, None]
        real, parts = padding_mask(targets), {"hidden": output, "target": targets}
        if self.repeat_bias_layer:
            parts |= self.repeat_bias_layer.loss_inputs(examples["history"], vectors, output)
        if self.item_loss == "bpr":
            parts["negative"] = examples["negatives"]
        # Logits of real positions only: the product with all items is most of the work. XLA knows no shape that
        # depends on values: it computes what does not count, too.
        rows = {name: flat_rows(part) if self.under_xla else part[real] for name, part in parts.items()}
        hidden, target = rows["hidden"], rows["target"]

        def scores(of: str) -> tf.Tensor:
            return tf.reduce_sum(tf.cast(hidden, tf.float32) * tf.gather(matrix, rows[of]), axis=1)

        if self.item_loss == "bpr":
            positive, negative = scores("target"), scores("negative")
            if self.repeat_bias_layer:
                positive += self.repeat_bias_layer.of_items(rows, target)
                negative += self.repeat_bias_layer.of_items(rows, rows["negative"])
            terms = bayesian_ranking(positive, negative)
        else:
            first = 0 if self.pad_class else 1
            items = tf.cast(matrix[first:], self.compute_dtype)
            terms = softmax_cross_entropy(hidden, items, tf.maximum(target - first, 0))
            if self.repeat_bias_layer:
                terms = self.repeat_bias_layer.cross_entropy(rows, terms, target, scores("target"))
            summands = [terms]
            for table, predictor, weight in zip(self.tables, self.predictors, self.label_weights):
                logits = tf.cast(predictor(hidden), tf.float32)
                summands.append(weight * multi_label_cross_entropy(logits, table(target)))
            terms = tf.add_n(summands)
            for mean, part in zip(self.loss_parts, summands):
                mean.update_state(part, sample_weight=tf.cast(padding_mask(target), tf.float32))
        return terms, tf.cast(padding_mask(target), tf.float32)
