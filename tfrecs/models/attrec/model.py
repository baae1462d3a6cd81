"""AttRec: metric learning from a user's long-term taste and self-attention over the last few items."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfrecs.data.negatives import Sampler
from tfrecs.data.records import Sequences
from tfrecs.layers.masks import padding_mask
from tfrecs.models import catalogue, ranges
from tfrecs.models.attrec import data, sparse_products
from tfrecs.models.attrec.aggregation import LINEAR, aggregate, history_mask
from tfrecs.models.attrec.arguments import checked
from tfrecs.models.attrec.attention import IdentityValueAttention
from tfrecs.models.attrec.embeddings import BoundedEmbedding, clip_norm, time_signal, unit_norm
from tfrecs.models.attrec.metric_learning import item_factors, pairwise_hinge, query_factors, weighted_squared_distance
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.models.train_step import gather_over_replicas

FAR = 1e9  # a distance that no pair of the hinge loss counts


@keras.saving.register_keras_serializable("tfrecs")
class AttRec(SequentialRecommender):
    """AttRec (Zhang et al., 2018, "Next Item Recommendation with Self-Attention").

    The distance of item i to user u is `y_i = w |U_u - V_i|^2 + (1 - w) |m - X_i|^2`, where m aggregates
    self-attention over the last L items (`attention.IdentityValueAttention`); the score is `-y`.
    Training takes the next T items against N negatives:
    `sum_ij max(0, y_i + margin - y_j)` (equation 15), plus L2 on all parameters.

    Args:
        num_users, num_items: int, as in `SequentialRecommender`.
        embedding_dim: int, d, width of X, U and V.
        max_history: int, L, items that the attention reads.
        num_targets: int, T, items that a window predicts.
        num_negatives: int, N, negatives per window, shared by its targets.
        shared_negatives: bool, one set of N negatives for all windows of a batch, so that their distances are one
            product; drawn from all items, where those of the window itself do not count. N should be in the hundreds
            then, and no larger than a batch, whose first N windows draw one each. NOTE: not in the paper.
        user_weight: float in [0, 1], w, weight of the long-term distance against the short-term one.
        margin: float, gamma, margin between squared distances.
        dropout: float in [0, 1), on the query and key projections.
        l2: float, weight of the squared parameters.
        aggregation: `mean`, `sum`, `max` or `min` of the attention's output over time.
        prediction_aggregation: another aggregation outside training. NOTE: `max` reproduces the 2024 port, which
            trains with the mean.
        shared_projection, diagonal, mask_padding: see `IdentityValueAttention`.
        signal_exponent: float, factor of the exponent in the time signal. NOTE: 2.0 reproduces `model_AttRec.py:130`.
        norm_bound: `constraint` (paper: rows stay in the unit ball) or `lookup`. NOTE: `lookup` repeats
            `model_AttRec.py:37-70`: stored rows grow, only what is read is clipped.
        unit_user_in_training: bool. NOTE: True reproduces `model_AttRec.py:56,149`: training normalises the user's
            vector, prediction takes it as stored, without bound.
        partial_windows: bool, also train on histories shorter than L and on fewer than T targets. NOTE: False
            reproduces `make_datasets.py`.
        pair_reduction: `sum` (paper) or `mean` over the pairs of a window. NOTE: `mean` reproduces the code.
        initializer: str, initializer of tables and projections.
        negatives_include_pad, negatives_exclude_held_out: bool. NOTE: True reproduces `DataInput.py:64`, which may draw
            PAD as a negative and never draws validation and test items: a leak.
        rank_pad: bool, PAD competes in rankings (it is never recommended). NOTE: True reproduces `predict`.
        loss_reduction, clip_unmerged_rows: see `SequentialRecommender`.

    Inputs:
        `user` int64 `[batch]` (0: unknown, only the short-term part counts then) and `history` int64
        `[batch, L or fewer]`, oldest first, left-aligned, padded with 0. Training examples add `targets` `[batch, T]`
        (padded) and `negatives` `[batch, N]`.

    Example:
        >>> model = AttRec(num_users=4, num_items=9, embedding_dim=8)
        >>> inputs = {"user": ops.convert_to_tensor([1]), "history": ops.convert_to_tensor([[3, 5, 0, 0, 0]])}
        >>> model.recommend(inputs, k=3)[0].shape
        TensorShape([1, 3])

    Source: https://arxiv.org/abs/1808.06414; https://github.com/slientGe/AttRec `model_AttRec.py`; the 2024 port
    https://github.com/LeeIsBadK/AttRec-implement-project `attrec.py` (separate query and key kernels).
    """

    attention_reads = ("history",)
    whole_tables = 8192  # rows of tables up to which training multiplies with factors of all items

    @ranges.plain_arguments
    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 100,
        max_history: int = 5,
        num_targets: int = 3,
        num_negatives: int = 10,
        shared_negatives: bool = False,
        user_weight: float = 0.3,
        margin: float = 0.5,
        dropout: float = 0.2,
        l2: float = 1e-5,
        aggregation: str = "mean",
        prediction_aggregation: str | None = None,
        shared_projection: bool = True,
        diagonal: str = "masked",
        mask_padding: bool = True,
        signal_exponent: float = 1.0,
        norm_bound: str = "constraint",
        unit_user_in_training: bool = False,
        partial_windows: bool = True,
        pair_reduction: str = "sum",
        initializer: str = "he_normal",
        negatives_include_pad: bool = False,
        negatives_exclude_held_out: bool = False,
        rank_pad: bool = False,
        loss_reduction: str = "mean",
        clip_unmerged_rows: bool = False,
        **kwargs: Any,
    ) -> None:
        arguments = checked(ranges.own(locals()))
        super().__init__(num_users, num_items, loss_reduction, clip_unmerged_rows, **kwargs)
        self._keep(arguments)
        self.attention_heads = 1
        d, policy = embedding_dim, self.dtype_policy
        table = dict(dim=d, bound=norm_bound, embeddings_initializer=initializer, dtype=policy)
        self.items_short = BoundedEmbedding(num_items + 1, name="items_short", **table)  # X
        self.items_long = BoundedEmbedding(num_items + 1, name="items_long", **table)  # V
        self.users = BoundedEmbedding(num_users + 1, name="users", **table)  # U
        self.attention = IdentityValueAttention(
            d, shared_projection, diagonal, mask_padding, dropout, initializer, name="attention", dtype=policy
        )
        if l2:
            for variable in self.trainable_variables:
                variable.regularizer = keras.regularizers.L2(l2)
        self.build()

    @functools.cached_property
    def signal(self) -> tf.Tensor:
        """The position signal, float32 `[L, d]`; made when first asked for, so that a model can be sized up without."""
        return time_signal(self.max_history, self.embedding_dim, self.signal_exponent)

    def training_examples(self, sequences: Sequences, draw: Sampler, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Sliding windows: L items, the T after them, N negatives; see `data.training_batches.TrainingBatches`."""
        return data.training_examples(self, sequences, draw)

    def history_inputs(self, sequences: Sequences) -> dict[str, tf.Tensor]:
        """The last L items of each history."""
        return data.history_inputs(self, sequences)

    def count_examples(self, lengths: np.ndarray) -> tuple[int, int]:
        return data.count_examples(self, lengths)

    def attend(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The vectors of the histories' items, and what `IdentityValueAttention` gives for them."""
        history, valid = inputs["history"], history_mask(inputs)
        if self._by_whole_tables():
            values = sparse_products.rows_at(tf.convert_to_tensor(self.items_short.embeddings), history)
        else:
            values = self.items_short(history)
        values *= ops.cast(valid, self.compute_dtype)[:, :, None]
        signal = ops.convert_to_tensor(self.signal)[: ops.shape(history)[1]]
        return values, *self.attention(values, signal, valid, training=training)

    def attention_maps(self, inputs: Mapping[str, tf.Tensor], candidate: tf.Tensor | None) -> Iterator[tuple[Any, ...]]:
        """One head: which items of the history each of them is a mean of."""
        history = inputs["history"]
        yield "attention", self.attend(inputs)[2][:, None], "history", history, "history", history

    def encode(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> dict[str, Any]:
        values, attended, weights = self.attend(inputs, training)
        aggregation = (not training and self.prediction_aggregation) or self.aggregation
        valid = history_mask(inputs)
        if aggregation in LINEAR:  # the same, without the attention's output at each position
            shares = aggregate(weights, valid, aggregation, self.mask_padding)
            intent = ops.matmul(shares[:, None, :], values)[:, 0]
        else:
            intent = aggregate(attended, valid, aggregation, self.mask_padding)
        user = self.users.stored(inputs["user"])
        if self.unit_user_in_training:
            user = clip_norm(unit_norm(user), 1.0) if training else user
        else:
            user = self.users.read(user)
        # The published code knows no unknown user: there, row 0 is a user like any other.
        known = ops.cast(ops.not_equal(inputs["user"], 0), "float32")
        known = ops.ones_like(known) if self.unit_user_in_training else known
        return {"intent": ops.cast(intent, "float32"), "user": ops.cast(user, "float32"), "known": known}

    def score_items(self, query: Mapping[str, Any], items: tf.Tensor) -> tf.Tensor:
        short = ops.cast(self.items_short(items), "float32")
        long = ops.cast(self.items_long(items), "float32")
        (user_weight, user), (intent_weight, intent) = self._weighted(query)
        return -weighted_squared_distance([(user_weight, user, long), (intent_weight, intent, short)])

    def _weighted(self, query: Mapping[str, Any]) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """The user's vector, compared with V, and the intent, compared with X, each with its weight `[batch, 1]`."""
        known = query["known"][:, None]
        weights = self.user_weight * known, (1 - self.user_weight) * ops.ones_like(known)
        return list(zip(weights, (query["user"], query["intent"])))

    def _by_whole_tables(self) -> bool:
        """Whether a step takes products with the factors of all items: less work where the items are few."""
        as_stored = self.norm_bound == "constraint" and self.compute_dtype == "float32"
        few = self.num_items < self.whole_tables and not self.clip_unmerged_rows
        return as_stored and few and not self.under_xla and sparse_products.are_fast()

    def catalogue(self) -> catalogue.Catalogue:
        items = ops.arange(self.num_items + 1, dtype="int64")
        return catalogue.of_vectors(
            item_factors([ops.cast(self.items_long(items), "float32"), ops.cast(self.items_short(items), "float32")])
        )

    def catalogue_query(self, query: Mapping[str, Any]) -> tf.Tensor:
        return -query_factors(self._weighted(query))

    def item_vectors(self) -> tf.Tensor:
        """Each item's vectors of both parts, X then V; see `SequentialRecommender.item_vectors`."""
        items = ops.arange(1, self.num_items + 1, dtype="int64")
        return ops.cast(ops.concatenate([self.items_short(items), self.items_long(items)], axis=1), "float32")

    def loss_terms(self, examples: Mapping[str, tf.Tensor], training: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
        query = self.encode(examples, training=training)
        targets, negatives = examples["targets"], examples["negatives"]
        if self.shared_negatives:
            negatives = gather_over_replicas(negatives)[: self.num_negatives]
            positive, negative = self._distances(query, targets), self._distances(query, negatives)
            own = ops.concatenate([examples["history"], targets], axis=1)[:, :, None] == negatives
            negative = tf.where(tf.reduce_any(own, axis=1), FAR, negative)
        else:
            distance = self._distances(query, ops.concatenate([targets, negatives], axis=1))
            positive, negative = distance[:, : self.num_targets], distance[:, self.num_targets :]
        # Whole windows hold no padding: there id 0 is an item like any other, as in the published code.
        real = padding_mask(targets) if self.partial_windows else ops.ones_like(positive)
        terms = pairwise_hinge(positive, negative, self.margin, real, self.pair_reduction)
        return terms, ops.ones_like(terms)

    def _distances(self, query: Mapping[str, Any], items: tf.Tensor) -> tf.Tensor:
        """What `score_items` gives, its sign changed, with fast gradients."""
        if not self._by_whole_tables():
            return -self.score_items(query, items)
        tables = [tf.convert_to_tensor(table.embeddings) for table in (self.items_long, self.items_short)]
        left, right = query_factors(self._weighted(query)), item_factors(tables)
        if len(items.shape) == 1:
            return tf.matmul(left, sparse_products.rows_at(right, items), transpose_b=True)
        return sparse_products.products_at(left, right, items)
