"""ATRank: self-attention over heterogeneous behaviours, read by attention from each candidate."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfrecs.data.manifest import Manifest
from tfrecs.data.negatives import Sampler
from tfrecs.data.records import Sequences
from tfrecs.layers.attributes import AttributeTable
from tfrecs.layers.masks import padding_mask
from tfrecs.models import ranges
from tfrecs.models.atrank import data, losses
from tfrecs.models.atrank.arguments import checked
from tfrecs.models.atrank.attention import LatentAttentionBlock
from tfrecs.models.atrank.behaviours import BehaviourEmbedding
from tfrecs.models.atrank.objects import ObjectEmbedding
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.models.train_step import sum_over_replicas


@keras.saving.register_keras_serializable("tfrecs")
class ATRank(SequentialRecommender):
    """ATRank: scores candidates by attention to a user's behaviours of all kinds.

    Zhou et al., AAAI 2018, "ATRank: An Attention-Based User Behavior Modeling Framework for Recommendation".

    A behaviour is an object, an action and a time. Its vector joins the item's, its attributes', the action's and that
    of the time bucket, and each group of behaviours projects it to one width. Blocks of self-attention in K latent
    spaces relate the behaviours of all groups; blocks of attention from the candidate read them into a user vector e;
    the score is `e . h + b`, h the candidate and b its bias. Loss: sigmoid cross-entropy of a positive and its
    negatives. A history is encoded once, for any number of candidates.

    Args:
        num_users, num_items: int, as in `SequentialRecommender`; users have no vectors.
        attribute_sizes: tuple of int, values of each attribute of the data.
        attribute_lengths: tuple of int, values of an item at most; 0 for an attribute that is a single token.
        num_actions: int, actions in the data; 0 where it has none.
        num_groups: int, groups of behaviours; 1 where nothing tells them apart.
        attributes: tuple of str, names of the item attributes to use; `all`, `none`, or `first`: `category` where there
            is one, else the first by name.
        attribute_values: int, read only this many values of an attribute, the first ones; 0 reads all. NOTE: 1 repeats
            `2_remap_id.py`, one category for each item.
        object_type: str, the item attribute with the kind of an object (item, query, coupon); groups are then the
            kinds. Empty: groups are the actions.
        history_kind: str, with `object_type`: read only behaviours of this kind, such as `item`; empty: all.
        target_kind: str, with `object_type`: learn to predict only objects of this kind; empty: all. NOTE: with both
            it is one model of one kind, `att-i2i` of `multi/train.py`; with `target_kind` alone, `att-a2i`.
        item_dim, attribute_dim: int, width of an item's own vector and of each attribute's.
        action_dim: int, width of an action's vector, shared by all groups, where the data has actions; 0 for none:
            with `object_type`, actions are not read then.
        time: the time feature: `embedding`, a vector for each bucket and group (paper); `one_hot`; `tanh`, a dense
            layer of the bucket's number is added instead of the projection; or `none`. NOTE: `one_hot` repeats
            `model.py:71`; `tanh` reproduces `model.py:75-78` but for the TypeError it raises as published.
        time_dim: int, width of a time bucket's vector.
        num_buckets: int, number of time buckets.
        time_unit: float, seconds in the first time bucket; each next bucket ends at twice the time.
        bucket_rule: how ages become buckets, see `behaviours.time_buckets`. NOTE: `calendar` reproduces
            `build_dataset.py:14-22`.
        hidden_units: int, the common width of behaviours and candidates; 0: the width of an item with its attributes.
        num_blocks: int, blocks of self-attention, and blocks of the candidate's attention.
        num_heads: int, K, number of latent spaces; it must divide the width.
        similarity, activation: see `LatentAttentionBlock`.
        candidate: `projected` by a layer of its own; `group`, by its kind's layer, action and time being zeros; or
            `raw`. NOTE: `raw` reproduces `model.py:59-62,97`, where an item's vectors are as wide as the behaviours';
            `group` reproduces `multi/model.py:113-136`.
        dropout, output_dropout: see `LatentAttentionBlock`.
        embedding_dropout: float in [0, 1), on the vectors of behaviours and candidates.
        activation_penalty: float, weight of `(|e|^2 + |h|^2) / 2`.
        sum_penalty: bool, the penalty is summed over the batch, not averaged. NOTE: True reproduces `model.py:110-119`.
        attend_padding: see `LatentAttentionBlock`: only for users without any history.
        max_history: int, behaviours that are read. NOTE: the code reads them all.
        num_negatives: int, per positive, of the same kind. NOTE: drawn anew each epoch; `build_dataset.py:30-34` draws
            one for all.
        split_pairs: bool, a positive and its negative are two examples, shuffled apart. NOTE: True reproduces
            `build_dataset.py:40-41,46`.
        initializer: str, initializer of tables and projections.
        negatives_exclude_held_out: bool. NOTE: True reproduces `build_dataset.py:30-33`, which never draws the
            validation and test items: a leak.
        loss_reduction, clip_unmerged_rows: see `SequentialRecommender`.

    Inputs:
        `history` int64 `[batch, time]`, oldest first, left-aligned, padded with 0; `bucket` int64 of the same shape,
        -1 where the time is not known; `action` likewise, 0 where not known, if the data has actions. `valid` bool
        may say which positions count, instead of the ids. Training examples add `targets` `[batch, candidates]` and
        `labels`, 1 or 0.

    Example:
        >>> model = ATRank(3, 9, (), (), 0, 1, item_dim=8, hidden_units=8, num_heads=2)
        >>> inputs = {"history": ops.convert_to_tensor([[3, 5, 0]]), "bucket": ops.convert_to_tensor([[2, 0, 0]])}
        >>> model.recommend(inputs, k=4)[0].shape
        TensorShape([1, 4])

    Source: https://arxiv.org/abs/1711.06632; https://github.com/jinze1994/ATRank `atrank/model.py`, `multi/model.py`
    (heterogeneous behaviours).
    """

    fallback_arguments = {"time": "none"}
    reads_users = False
    attention_reads = ("history", "candidate")
    candidate_chunk = 64
    minimal_sizes = {"num_users": 1, "num_items": 1, "attribute_sizes": (1,), "attribute_lengths": (0,)}
    minimal_sizes |= {"num_actions": 0, "num_groups": 1}

    @ranges.plain_arguments
    def __init__(
        self,
        num_users: int,
        num_items: int,
        attribute_sizes: Sequence[int],
        attribute_lengths: Sequence[int],
        num_actions: int,
        num_groups: int,
        attributes: Sequence[str] = ("all",),
        attribute_values: int = 0,
        object_type: str = "",
        history_kind: str = "",
        target_kind: str = "",
        item_dim: int = 64,
        attribute_dim: int = 64,
        action_dim: int = 16,
        time: str = "embedding",
        time_dim: int = 16,
        num_buckets: int = 22,
        time_unit: float = 60.0,
        bucket_rule: str = "doubling",
        hidden_units: int = 128,
        num_blocks: int = 1,
        num_heads: int = 8,
        similarity: str = "bilinear",
        activation: str = "relu",
        candidate: str = "projected",
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        activation_penalty: float = 0.0,
        sum_penalty: bool = False,
        attend_padding: bool = False,
        max_history: int = 50,
        num_negatives: int = 8,
        split_pairs: bool = False,
        initializer: str = "glorot_uniform",
        negatives_exclude_held_out: bool = False,
        loss_reduction: str = "mean",
        clip_unmerged_rows: bool = False,
        **kwargs: Any,
    ) -> None:
        arguments = checked(ranges.own(locals()))
        super().__init__(num_users, num_items, loss_reduction, clip_unmerged_rows, **kwargs)
        self._keep(arguments)
        self.kind_attribute, self.attention_heads = object_type, num_blocks * num_heads
        self.fields = ("item", *(["timestamp"] if time != "none" else []), *(["action"] if num_actions else []))
        self.request_fields = self.fields[1:]
        self.reads_actions = bool(num_actions and (action_dim or not object_type))
        self.padded_fields = ("history", *(["bucket"] if time != "none" else []), *(["action"] if num_actions else []))
        policy = self.dtype_policy
        lengths = [min(length, attribute_values or length) for length in self.attribute_lengths]
        self.objects = ObjectEmbedding(
            num_items, item_dim, self.attribute_sizes, lengths, attribute_dim, initializer, name="objects", dtype=policy
        )
        dim = hidden_units or self.objects.width
        features = (num_groups, num_actions, action_dim if num_actions else 0, time, time_dim, num_buckets)
        self.behaviours = BehaviourEmbedding(
            self.objects.width, dim, *features, initializer, name="behaviours", dtype=policy
        )
        if object_type:
            self.kinds = AttributeTable(num_items, 0, name="kinds")
        if candidate == "projected":
            self.candidates = keras.layers.Dense(dim, kernel_initializer=initializer, name="candidates", dtype=policy)
            self.candidates.build((None, self.objects.width))
        self.item_bias = self.add_weight(name="item_bias", shape=(num_items + 1,), initializer="zeros")
        self.embedding_dropout_layer = keras.layers.Dropout(embedding_dropout, dtype=policy)
        block = dict(dropout=dropout, output_dropout=output_dropout, attend_padding=attend_padding, dtype=policy)
        block |= dict(similarity=similarity, activation=activation, kernel_initializer=initializer)
        self.self_attention = [
            LatentAttentionBlock(dim, num_heads, name=f"self_attention_{i}", **block) for i in range(num_blocks)
        ]
        self.candidate_attention = [
            LatentAttentionBlock(dim, num_heads, name=f"candidate_attention_{i}", **block) for i in range(num_blocks)
        ]
        self.build()

    @classmethod
    def missing_columns(cls, manifest: Manifest, arguments: Mapping[str, Any]) -> list[str]:
        return data.missing_columns(manifest, arguments)

    @classmethod
    def data_arguments(
        cls, data_dir: str, manifest: Manifest, arguments: Mapping[str, Any], split: str = "train"
    ) -> dict[str, Any]:
        sizes = super().data_arguments(data_dir, manifest, arguments)
        return sizes | data.sizes(data_dir, manifest, arguments)

    def adapt(self, data_dir: str, manifest: Manifest, split: str) -> None:
        """Fills the tables of the items' attributes and kinds."""
        data.fill_tables(self, data_dir, manifest)

    def training_examples(self, sequences: Sequences, draw: Sampler, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Every prefix with the item after it and its negatives; see `data.training_batches.TrainingBatches`."""
        return data.training_examples(self, sequences, draw)

    def history_inputs(self, sequences: Sequences) -> dict[str, tf.Tensor]:
        """The last behaviours of each history, their times seen from `now`."""
        return data.history_inputs(self, sequences)

    def count_examples(self, lengths: np.ndarray) -> tuple[int, int]:
        return data.count_examples(self, lengths)

    def encode(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> dict[str, Any]:
        return self.encode_with_weights(inputs, training)[0]

    def encode_with_weights(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False
    ) -> tuple[dict[str, Any], list[tf.Tensor]]:
        """What `encode` gives, and a list of the blocks' attention weights `[batch, K, time, time]`."""
        history = inputs["history"]
        data.require_inputs(self, inputs, {"bucket": self.time != "none", "action": self.reads_actions})
        valid = inputs["valid"] if "valid" in inputs else padding_mask(history)
        action = inputs.get("action", ops.zeros_like(history))
        groups = self.kind_of(history) if self.object_type or not self.num_actions else ops.maximum(action, 1)
        bucket = inputs.get("bucket", -ops.ones_like(history))
        behaviours = self.behaviours(self.objects(history), groups, action, bucket)
        behaviours, weights = self.embedding_dropout_layer(behaviours, training=training), []
        for block in self.self_attention:
            behaviours, found = block(behaviours, block.memorize(behaviours), valid, valid, training=training)
            weights.append(found)
        memories = [block.memorize(behaviours) for block in self.candidate_attention]
        return {"memories": memories, "valid": valid}, weights

    def kind_of(self, items: tf.Tensor) -> tf.Tensor:
        """The kind of each item, an id from 1; all are of one kind without `object_type`."""
        return self.kinds(items)[..., 0] if self.object_type else ops.ones_like(items)

    def match(
        self, query: Mapping[str, Any], items: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Candidates against histories.

        Args:
            query: as from `encode`.
            items: int `[count]` or `[batch, count]`.
            training: bool.

        Returns:
            scores float32 `[batch, count]`, user vectors e float32 `[batch, count, dim]`, candidates h, and a list of
            the blocks' attention weights `[batch, K, count, time]`.
        """
        h = self.objects(items)
        if self.candidate == "projected":
            h = self.candidates(h)
        elif self.candidate == "group":
            h = self.behaviours(h, self.kind_of(items), ops.zeros_like(items), -ops.ones_like(items))
        h = self.embedding_dropout_layer(h, training=training)
        e, weights = h, []
        for block, memory in zip(self.candidate_attention, query["memories"], strict=True):
            e, found = block(e, memory, query["valid"], training=training)
            weights.append(found)
        e, h = ops.cast(e, "float32"), ops.cast(h, "float32")
        return ops.sum(e * h, axis=-1) + ops.take(self.item_bias, items, axis=0), e, h, weights

    def attention_maps(self, inputs: Mapping[str, tf.Tensor], candidate: tf.Tensor | None) -> Iterator[tuple[Any, ...]]:
        """From behaviours to behaviours; with candidates, also from these to the behaviours."""
        query, related = self.encode_with_weights(inputs)
        history = ops.where(query["valid"], inputs["history"], 0)
        targets = None if candidate is None else candidate[:, None]
        read = [] if targets is None else self.match(query, targets)[3]
        for i, weights in enumerate(related):
            yield f"self_attention_{i}", weights, "history", history, "history", history
        for i, weights in enumerate(read):
            yield f"candidate_attention_{i}", weights, "candidate", targets, "history", history

    def score_items(self, query: Mapping[str, Any], items: tf.Tensor) -> tf.Tensor:
        return self.match(query, items)[0]

    def item_vectors(self) -> tf.Tensor:
        """The items' own vectors and their attributes'; see `SequentialRecommender.item_vectors`."""
        return ops.cast(self.objects(ops.arange(1, self.num_items + 1, dtype="int64")), "float32")

    def pair_loss(self, scores: tf.Tensor) -> tf.Tensor:
        """See `losses.pair_loss`; the penalty is left out."""
        return losses.pair_loss(scores)

    def loss_terms(self, examples: Mapping[str, tf.Tensor], training: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
        query = self.encode(examples, training=training)
        scores, e, h, _ = self.match(query, examples["targets"], training=training)
        terms = ops.binary_crossentropy(ops.cast(examples["labels"], "float32"), scores, from_logits=True)
        weights = ops.ones_like(terms)
        if self.activation_penalty:
            squares = ops.sum(ops.square(e), axis=-1) + ops.sum(ops.square(h), axis=-1)
            penalty = self.activation_penalty * squares / 2
            if self.sum_penalty and self.loss_reduction == "mean":  # so many terms the mean divides by
                penalty *= sum_over_replicas(ops.sum(weights))
            terms += penalty
        return terms, weights
