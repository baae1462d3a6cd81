"""ARERec: predicts a user's rating of an item from the users who rated it earlier."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrecs.data.manifest import Manifest
from tfrecs.data.negatives import Sampler
from tfrecs.data.records import Sequences
from tfrecs.errors import InputError
from tfrecs.models import ranges
from tfrecs.models.arerec import data
from tfrecs.models.arerec.arguments import CLASSES, DROPOUT, MAX_SEQ, checked
from tfrecs.models.arerec.attention import NeighbourAttention
from tfrecs.models.arerec.neighbour_lists import NeighbourLists
from tfrecs.models.arerec.random_split import random_split as create_split
from tfrecs.models.arerec.region_embedding import RegionEmbedding
from tfrecs.models.arerec.region_pooling import highest
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.models.scoring import in_blocks

BLOCK = 16384  # numbers per user that scoring keeps at a time: bounds memory


@keras.saving.register_keras_serializable("tfrecs")
class ARERec(SequentialRecommender):
    """ARERec: predicts the class of a rating from the users who rated the item before.

    Padungkiatwattana et al., "ARERec: Attentive Local Interaction Model for Sequential Recommendation", IEEE Access 10
    (2022), https://doi.org/10.1109/ACCESS.2022.3160466.

    The neighbours of a user and an item are the first users who rated the item. Attention from the user weighs their
    embeddings, `NeighbourAttention`; `RegionEmbedding` lets item and neighbours meet in local context units, one per
    item and place in its list, and keeps the best meeting; a softmax over rating classes follows. The score of an item
    is its expected rating. No order of the user's own history is used.

    Expected ratings say how much a user would like an item, not whether he takes it: as a ranking of all items they are
    weak (ml-100k, leave-one-out, seed 0: HR@10 .047, popularity's .084). The protocol that fits is `rated_list`.

    Each item's list is a fixed table: the first `max_seq` users in time. What was known before a moment is a prefix of
    it, so examples hold no lists and a place keeps its local context unit.

    Args:
        num_users, num_items: int, as in `SequentialRecommender`.
        num_units: int, local context units, unit 0 for padding: 1 + all places of all items' lists in what is trained
            on.
        embedding_dim: int, width of users and items, a multiple of `num_heads`.
        region_size: int, dimensions of the region space.
        num_heads: int, heads of the attention.
        use_attention: bool, weight neighbours by attention; False: all count equally.
        max_seq: int, the largest number of neighbours per item; the earliest are kept.
        rating_classes: floats, the possible ratings, in increasing order.
        dropout: nine floats, rates for user, neighbour, item, the units for the item and for the user, neighbour
            profile, item profile, rating, rating vector.
        l2: five floats, weights of the squared kernels of query, key, value, concat and the classes, without 1/2.
        neighbours: `earlier`, training interactions strictly before the moment of the rating, never the user's own;
            or `all`. NOTE: `all` reproduces `dataset.py:311-325`: the list holds every interaction, also later ones,
            held-out ones and the very one to be predicted: a leak.
        padding_floor: bool, NOTE: True reproduces `model.py:66-70`: padding rates 0 before the maximum, so that the
            vector of a short list is never negative. False leaves padding out.
        random_split: float, this share of all interactions, at random, is held out of training; 0 is off. NOTE: 0.2
            reproduces `dataset.py:332`, but drawn by a hash of user and item; train on split `all` then.
        random_split_seed: int, seed of the random split.
        probability_floor: float, probabilities are clipped to it and to 1 less it in the loss; 0 is off. NOTE: 1e-7
            reproduces `run.py:368`: Keras clips probabilities, and then no gradient passes.
        loss_reduction, clip_unmerged_rows: see `SequentialRecommender`.

    Inputs:
        `user` int64 `[batch]`, 0 for an unknown one, whose row is never trained; `now` int64 `[batch]`, seconds, only
        earlier neighbours count; without it all in the table do. Training examples add `item` and `label`, the rating's
        class from 0, int64 `[batch]`. `neighbours` and `units` int64 `[batch, any]`, padded with 0, may replace what
        the tables list. An item without neighbours has rating vector 0: the classes' biases decide.

    Example:
        >>> model = ARERec(num_users=4, num_items=3, num_units=3, embedding_dim=8)
        >>> model.lists.fill(users=[2, 4], times=[10, 20], starts=[0, 0, 2, 2, 2])  # `adapt` does so from data
        >>> model.score({"user": tf.constant([1])}, tf.range(1, 4)).shape
        TensorShape([1, 3])

    Source: https://doi.org/10.1109/ACCESS.2022.3160466; https://github.com/umapornp/ARERec `model.py`,
    `preprocess.py`, `run.py`.
    """

    reads_history = False
    attention_reads = ("user", "candidate")
    draws_negatives = False
    fields = ("item", "timestamp", "rating")
    minimal_sizes = {"num_users": 1, "num_items": 1, "num_units": 1}

    @ranges.plain_arguments
    def __init__(
        self,
        num_users: int,
        num_items: int,
        num_units: int,
        embedding_dim: int = 16,
        region_size: int = 7,
        num_heads: int = 2,
        use_attention: bool = True,
        max_seq: int = MAX_SEQ,
        rating_classes: Sequence[float] = CLASSES,
        dropout: Sequence[float] = DROPOUT,
        l2: Sequence[float] = (0.0,) * 5,
        neighbours: str = "earlier",
        padding_floor: bool = False,
        random_split: float = 0.0,
        random_split_seed: int = 0,
        probability_floor: float = 0.0,
        loss_reduction: str = "mean",
        clip_unmerged_rows: bool = False,
        **kwargs: Any,
    ) -> None:
        arguments = checked(ranges.own(locals()))
        super().__init__(num_users, num_items, loss_reduction, clip_unmerged_rows, **kwargs)
        self._keep(arguments)
        self.own_split = create_split(random_split, random_split_seed)
        d, policy, rates = embedding_dim, self.dtype_policy, arguments["dropout"]
        uniform = keras.initializers.RandomUniform(-0.05, 0.05)
        self.users = self.add_weight(name="users", shape=(num_users + 1, d), initializer=uniform)
        self.items = self.add_weight(name="items", shape=(num_items + 1, d), initializer=uniform)
        if use_attention:
            self.attention = NeighbourAttention(d, num_heads, arguments["l2"][:4], name="attention", dtype=policy)
        self.region = RegionEmbedding(
            num_units, region_size, d, padding_floor, rates[3:], name="region_embedding", dtype=policy
        )
        amount = arguments["l2"][4]
        regularizer = keras.regularizers.L2(amount) if amount else None
        count = len(arguments["rating_classes"])
        # In float32 whatever the policy: expected ratings lie close together, and rounded ones would tie.
        self.classes = keras.layers.Dense(count, kernel_regularizer=regularizer, name="classes", dtype="float32")
        self.classes.build((None, region_size))
        self.lists = NeighbourLists(num_items, num_units, max_seq, name="lists")
        self.seeds = keras.random.SeedGenerator(name="seed_generator")
        self.build()

    @classmethod
    def data_arguments(
        cls, data_dir: str, manifest: Manifest, arguments: Mapping[str, Any], split: str = "train"
    ) -> dict[str, Any]:
        sizes = super().data_arguments(data_dir, manifest, arguments)
        return sizes | {"num_units": data.num_units(data_dir, manifest, arguments, split)}

    def adapt(self, data_dir: str, manifest: Manifest, split: str) -> None:
        """Fills the neighbour lists."""
        data.fill_lists(self, data_dir, manifest, split)

    def training_examples(self, sequences: Sequences, draw: Sampler, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """One example for each rating of the training part that the random split leaves."""
        return data.training_examples(sequences, self.rating_classes, self.own_split)

    def history_inputs(self, sequences: Sequences) -> dict[str, tf.Tensor]:
        """User and moment."""
        return {name: sequences[name] for name in ("user", "now") if name in sequences}

    def encode(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> dict[str, Any]:
        query = {name: tf.cast(inputs[name], tf.int64) for name in ("user", "now") if name in inputs}
        return query | (self.attention.probe(self._read(self.users, query["user"])) if self.use_attention else {})

    def score_items(self, query: Mapping[str, Any], items: tf.Tensor) -> tf.Tensor:
        items = tf.cast(items, tf.int64)
        # A user's own candidates read units of their own; shared ones are read once for all users.
        per_item = self.max_seq * self.region_size * (1 if items.shape.rank == 1 else self.embedding_dim)
        return in_blocks(functools.partial(self._expected, query), items, max(1, BLOCK // per_item))

    def item_vectors(self) -> tf.Tensor:
        """See `SequentialRecommender.item_vectors`."""
        return tf.cast(self.items[1:], tf.float32)

    def rate(self, inputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Predicts ratings.

        Args:
            inputs: dict of `user`, `item` and, unless all neighbours count, `now`, int64 `[batch]`.

        Returns:
            float32 `[batch]` twice: the expected rating, and the most likely one.
        """
        probabilities = tf.nn.softmax(self.logits(inputs))
        classes = tf.constant(self.rating_classes, tf.float32)
        return tf.linalg.matvec(probabilities, classes), tf.gather(classes, tf.argmax(probabilities, axis=-1))

    def logits(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Of the rating classes, float32 `[batch, classes]`; inputs as for `rate`."""
        return self._logits(self.rating_vector(inputs, training))

    def rating_vector(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """What the classes are predicted from, float `[batch, region_size]`; inputs as for `rate`."""
        user, item = tf.cast(inputs["user"], tf.int64), tf.cast(inputs["item"], tf.int64)
        if "neighbours" in inputs:
            units, neighbours = inputs["units"], inputs["neighbours"]
            valid = neighbours != 0
        else:
            units, neighbours, valid = self._list(item, {**inputs, "user": user}, 1)
        vectors = embedded = self._read(self.users, neighbours)
        if self.use_attention:
            weights = self._weights(user, embedded, valid, training)
            vectors = self.attention.combine(weights, embedded)
        kept = self._drop(tf.ones_like(vectors), 1, training) if training and self.dropout[1] else None

        def vectors_of(places: tf.Tensor) -> tf.Tensor:
            found = tf.gather(embedded, places, batch_dims=1)
            if self.use_attention:
                found = self.attention.combine(tf.gather(weights, places, axis=2, batch_dims=1), found)
            return found if kept is None else found * tf.gather(kept, places, batch_dims=1)

        vectors = vectors if kept is None else vectors * kept
        target = self._drop(self._read(self.items, item), 2, training)
        options = {"vectors_of": vectors_of, "share_ties": not self.under_xla, "training": training}
        return self.region(units, vectors, target, valid, **options)

    def loss_terms(self, examples: Mapping[str, tf.Tensor], training: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
        logits, labels = self.logits(examples, training), examples["label"]
        if not self.probability_floor:
            terms = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        else:
            probabilities = tf.gather(tf.nn.softmax(logits), labels, batch_dims=1)
            terms = -tf.math.log(tf.clip_by_value(probabilities, self.probability_floor, 1 - self.probability_floor))
        return terms, tf.ones_like(terms)

    def _expected(self, query: Mapping[str, Any], items: tf.Tensor) -> tf.Tensor:
        return tf.linalg.matvec(self.probabilities(query, items), tf.constant(self.rating_classes, tf.float32))

    def probabilities(self, query: Mapping[str, Any], items: tf.Tensor) -> tf.Tensor:
        """Of the rating classes, float32 `[batch, count, classes]`; arguments as for `score_items`."""
        units, neighbours, valid = self._list(items, query, 2)
        embedded, target = self._read(self.users, neighbours), self._read(self.items, items)
        parts = self.attention.values(embedded) if self.use_attention else embedded[..., None, :]
        # The attention only adds up, so each item's neighbours meet it once, not once per user.
        parts = self.region.profiles(units, parts, target)
        ratings = parts[..., -1, :]
        if self.use_attention:
            weights = self.attention.attend(query, embedded, valid)[..., None]
            for head in range(self.num_heads):
                ratings += weights[:, head] * parts[..., head, :]
        return tf.nn.softmax(self._logits(highest(ratings, valid, self.padding_floor)))

    def attention_maps(self, inputs: Mapping[str, tf.Tensor], candidate: tf.Tensor) -> Iterator[tuple[Any, ...]]:
        """From the user to the candidate's neighbours: how much a head makes of each neighbour's own vector.

        Their maximum follows, not their sum: a large weight need not decide.
        """
        if not self.use_attention:
            raise InputError("use_attention=False: this ARERec has no attention weights")
        query, items = self.encode(inputs), candidate[:, None]
        _, neighbours, valid = self._list(items, query, 2)
        weights = self.attention.attend(query, self._read(self.users, neighbours), valid)[:, :, 0]
        neighbours, valid = tf.where(valid, neighbours, 0)[:, 0], valid[:, 0]
        weights = tf.where(valid[:, None], weights, 0)  # of a list without neighbours, all would weigh the same
        yield "attention", weights[:, :, None], "user", query["user"][:, None], "neighbours", neighbours

    def attend(self, user: tf.Tensor, neighbours: tf.Tensor, valid: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Attention weights `[batch, heads, neighbours]` and the neighbours' vectors `[batch, neighbours, dim]`."""
        embedded = self._read(self.users, neighbours)
        weights = self._weights(user, embedded, valid)
        return weights, self.attention.combine(weights, embedded)

    def _weights(self, user: tf.Tensor, embedded: tf.Tensor, valid: tf.Tensor, training: bool = False) -> tf.Tensor:
        probe = self.attention.probe(self._drop(self._read(self.users, user), 0, training))
        return self.attention.attend(probe, embedded[:, None], valid[:, None])[:, :, 0]

    def _list(
        self, items: tf.Tensor, inputs: Mapping[str, tf.Tensor], axes: int
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Units, neighbours and which of them count for the users of `inputs`, whose shape grows by `axes`."""
        units, neighbours, times = self.lists(items)
        user, now = (_grown(inputs[name], axes) if name in inputs else None for name in ("user", "now"))
        valid = tf.logical_and(neighbours != 0, tf.ones_like(user, tf.bool))
        if self.neighbours == "all":
            return units, neighbours, valid
        valid = tf.logical_and(valid, neighbours != user)
        return units, neighbours, valid if now is None else tf.logical_and(valid, times < now)

    def _logits(self, vector: tf.Tensor) -> tf.Tensor:
        return self.classes(tf.cast(vector, tf.float32))

    def _read(self, table: keras.Variable, ids: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(table.value, ids), self.compute_dtype)

    def _drop(self, values: tf.Tensor, index: int, training: bool) -> tf.Tensor:
        rate = self.dropout[index] if training else 0.0
        return keras.random.dropout(values, rate, seed=self.seeds) if rate else values


def _grown(values: tf.Tensor, axes: int) -> tf.Tensor:
    return tf.reshape(tf.cast(values, tf.int64), [-1] + [1] * axes)
