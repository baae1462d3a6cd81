"""The promise of a model: what a subclass implements, and what it gets: training, ranking and recommendation."""

import keras
import tensorflow as tf

from tfrecs import losses, metrics
from tfrecs.errors import NotFiniteError
from tfrecs.models import attention_maps, catalogue, kinds, ranges, requests, train_step
from tfrecs.models.scoring import best_items, not_finite, require_sound
from tfrecs.models.tables import require_filled


class SequentialRecommender(keras.Model):
    """Base of the models. A model contributes equations, never a loop.

    A subclass implements

    - `training_examples(sequences, draw, seed)`: a batch of users to a dict of example tensors;
    - `history_inputs(sequences)`: a batch of users to what the model reads when it is asked to rank;
    - `loss_terms(examples, training)`: losses and weights of one shape, `[batch]` or `[batch, time]`; a penalty on
      variables is a Keras regularizer of theirs;
    - `encode(inputs, training)`: what candidates are compared with, a nest of `[batch, ...]` tensors;
    - `score_items(query, items)`: higher is better; `items` `[count]` gives `[batch, count]`, `items`
      `[batch, count]` gives each row its own candidates;
    - `attention_maps(inputs, candidate)`: the fields of each `AttentionMap`, where it has any, see `attention_reads`;

    and, where it reads more of the data than users and items, says so in the attributes below, `missing_columns`,
    `data_arguments` and `adapt`. Constructor arguments without a default are sizes that the data decides; all others
    are flags of the command line.

    Args:
        num_users: int, ids are 1 to `num_users`; 0 stands for an unknown user.
        num_items: int, ids are 1 to `num_items`; 0 is PAD.
        loss_reduction: `mean` over the real examples of the global batch, or `sum`.
        clip_unmerged_rows: bool, the norm that `global_clipnorm` compares counts a repeated embedding row once per
            repeat. NOTE: True reproduces `tf.clip_by_global_norm` of TF 1 on IndexedSlices.

    The base works with plain `compile / fit / evaluate / predict`. In `compile`, `global_clipnorm` of the optimizer is
    honoured after the sum over replicas; `clipnorm` and `clipvalue` are not supported on several replicas.
    """

    cutoffs = metrics.CUTOFFS
    fields = ("item",)  # what a record must hold, and what `training_examples` and `history_inputs` are given
    request_fields = ()  # of `timestamp` and `action`: what a served request holds besides user and history
    padded_fields = ("history",)  # example tensors `[rows, time]`, cut to the longest row of a batch made by tokens
    fallback_arguments = {}  # arguments under which the model runs on data without the optional columns
    reads_users = True  # whether the user's own id matters, not only the history
    reads_history = True  # whether the items of the history matter, not only the user
    candidate_chunk = 65536  # candidates scored at a time: bounds memory
    minimal_sizes = {
        "num_users": 1,
        "num_items": 1,
    }  # of the arguments without a default, to check the others with
    kind_attribute = ""  # the item attribute that tells kinds of objects apart, where an argument names it
    kind_names = ()  # the kinds' names, which `adapt` reads; kind k is called `kind_names[k - 1]`
    attention_reads = ()  # of `history`, `user` and `candidate`: what its attention weights depend on
    draws_negatives = True  # whether training examples hold items drawn at random
    own_split = None  # `f(users, items) -> bool`, what the model itself holds out instead of the data's split
    # Quirks of originals, which a model may turn into arguments.
    negatives_include_pad = False
    negatives_exclude_held_out = False
    rank_pad = False

    def __init__(self, num_users, num_items, loss_reduction="mean", clip_unmerged_rows=False, **kwargs):
        ranges.check(
            {"num_users": num_users, "num_items": num_items, "loss_reduction": loss_reduction},
            {"num_users": ranges.SIZE, "num_items": ranges.SIZE, "loss_reduction": losses.REDUCTIONS},
        )
        super().__init__(**kwargs)
        self.num_users, self.num_items = num_users, num_items
        self.loss_reduction, self.clip_unmerged_rows = loss_reduction, clip_unmerged_rows
        self._arguments = {}
        self.weight_decay = 0.0  # so much of a weight is added to its gradient, after clipping
        self.loss_parts = []  # `keras.metrics.Mean` of what the loss is a sum of, in the order of `part_names`
        self.part_names = ()
        self.under_xla = False  # whether XLA compiles the training step, which then has to know all shapes
        self._tables_filled = False  # whether they were seen to be
        self.loss_mean = keras.metrics.Mean(name="loss")
        names = metrics.of_rank(tf.ones([1], tf.int64), self.cutoffs)
        self.ranking_means = {name: keras.metrics.Mean(name=name) for name in names}
        self.unsound_rows, self.ranked_rows = (keras.metrics.Sum(name=name) for name in ("unsound_rows", "ranked_rows"))

    def get_config(self):
        return super().get_config() | {
            "num_users": self.num_users,
            "num_items": self.num_items,
            "loss_reduction": self.loss_reduction,
            "clip_unmerged_rows": self.clip_unmerged_rows,
            **self._arguments,
        }

    def _keep(self, arguments):
        """Makes a subclass's own arguments attributes and entries of `get_config`."""
        self._arguments = arguments
        for name, value in arguments.items():
            setattr(self, name, value)

    def compile(self, *args, **kwargs):
        """As Keras's."""
        super().compile(*args, **kwargs)
        self.under_xla = bool(self.jit_compile)

    @classmethod
    def missing_columns(cls, manifest, arguments):
        """What the data lacks for this model.

        Args:
            manifest: `data.manifest.Manifest`.
            arguments: dict, constructor arguments that were chosen.

        Returns:
            list of str, names of columns; empty where the model can train.
        """
        return [name for name in cls.fields if name not in manifest.fields]

    @classmethod
    def data_arguments(cls, data_dir, manifest, arguments, split="train"):
        """The constructor arguments without a default; this method's own are as for `missing_columns` and `adapt`."""
        return {"num_users": manifest.num_users, "num_items": manifest.num_items}

    def adapt(self, data_dir, manifest, split):
        """Fills tables that are not trained from the training parts of prepared data; the base has none.

        Args:
            data_dir: str.
            manifest: its `Manifest`.
            split: `train` or `train_valid`, what the model is about to train on.
        """

    def require_tables(self):
        """See `tables.require_filled`; within a graph it cannot look."""
        if not self._tables_filled and tf.executing_eagerly():
            require_filled(self)
            self._tables_filled = True

    def make_train_function(self, force=False):
        self.require_tables()
        return super().make_train_function(force)

    def make_test_function(self, force=False):
        self.require_tables()
        return super().make_test_function(force)

    def make_predict_function(self, force=False):
        self.require_tables()
        return super().make_predict_function(force)

    def build(self, input_shape=None):
        """Nothing is left to build: constructors create every variable, since all sizes are arguments."""
        self.built = True

    @property
    def metrics(self):
        return [self.loss_mean, *self.loss_parts, *self.ranking_means.values(), self.unsound_rows, self.ranked_rows]

    def call(self, inputs, training=False):
        """Scores of `inputs["candidates"]` `[batch, count]` where given, else of items 1 to `num_items`, in order."""
        self.require_tables()
        query = self.encode(inputs, training=training)
        if "candidates" in inputs:
            return self.score_items(query, inputs["candidates"])
        return self.score_items(query, tf.range(1, self.num_items + 1, dtype=tf.int64))

    def train_step(self, data):
        """One update, see `train_step.update`; called by `fit` and by the training loop of a run."""
        self.require_tables()
        examples, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        terms, weights = train_step.update(self, examples)
        self.loss_mean.update_state(terms, sample_weight=weights)
        return {"loss": self.loss_mean.result()}

    def test_step(self, data):
        """Ranks each row's `target` among all items, `seen` left out; a row of weight 0 counts nothing."""
        inputs, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        rank, sound = self.checked_rank(inputs, inputs["target"], inputs["seen"])
        self.unsound_rows.update_state(1 - tf.cast(sound, tf.int32), sample_weight=sample_weight)
        self.ranked_rows.update_state(tf.ones_like(rank), sample_weight=sample_weight)
        for name, value in metrics.of_rank(rank, self.cutoffs).items():
            self.ranking_means[name].update_state(value, sample_weight=sample_weight)
        return {name: mean.result() for name, mean in self.ranking_means.items()}

    def evaluate(self, *args, **kwargs):
        """As Keras's; raises `NotFiniteError` where scores are NaN or infinite, naming for how many users."""
        results = super().evaluate(*args, **kwargs)
        bad, count = int(self.unsound_rows.result()), int(self.ranked_rows.result())
        if bad:
            raise NotFiniteError(not_finite(type(self).__name__, bad, count))
        return results

    def rank(self, inputs, target, excluded):
        """The pessimistic rank of each target.

        Args:
            inputs: the model's inputs, as from `history_inputs`.
            target: int64 `[batch]`.
            excluded: int64 `[batch, any]`, items left out of the ranking, padded with 0.

        Returns:
            int64 `[batch]`, from 1; where scores are NaN, as if they were the worst.
        """
        return self.checked_rank(inputs, target, excluded)[0]

    def catalogue(self):
        """Where scores are products of queries with a table, that table; it changes when the weights do.

        Returns:
            `catalogue.Catalogue`, or None: then `score_items` scores candidates a few at a time.
        """

    def catalogue_query(self, query):
        """What to multiply the catalogue with, float32 `[batch, width]`; `query` as from `encode`."""
        return query["vector"]

    def checked_rank(self, inputs, target, excluded, table=None):
        """Arguments as for `rank`; also whether all scores of a row can be ranked, see `metrics.checked_rank`.

        `table` is what `catalogue` gave, where it is asked for once for many batches.
        """
        self.require_tables()
        query = self.encode(inputs)
        table = self.catalogue() if table is None else table
        if table is not None:
            first = 0 if self.rank_pad else 1
            return catalogue.checked_rank(self.catalogue_query(query), table, target, excluded, first)
        return metrics.checked_rank(
            lambda items: self.score_items(query, items),
            target,
            excluded,
            self.num_items,
            first_item=0 if self.rank_pad else 1,
            chunk_size=self.candidate_chunk,
        )

    def score(self, inputs, items):
        """Scores of candidates, float32 `[batch, count]`, higher is better; all candidates at once.

        Args:
            inputs: the model's inputs.
            items: int64 `[count]`, the same for every row, or `[batch, count]`.
        """
        self.require_tables()
        inputs, items = requests.read(self, inputs, items=items)
        return self.score_items(self.encode(inputs), items)

    def item_vectors(self):
        """The vectors that items are compared by, float32 `[num_items, dim]`; row 0 is item 1."""
        raise NotImplementedError(f"{type(self).__name__} has no vectors of items")

    def attention_weights(self, inputs, candidate=None):
        """What the model attends to, from the same layers as its scores.

        Args:
            inputs: the model's inputs.
            candidate: int64 `[batch]`, the item that is scored, for a model that attends from it.

        Returns:
            list of `attention_maps.AttentionMap`, one for each attention, in the order in which they are computed.
        """
        return attention_maps.attention_weights(self, inputs, candidate)

    def recommend(self, inputs, k=10, excluded=None, chunk_size=None, kind=None, allowed=None, table=None):
        """The best items, best first; equal scores in order of id.

        Args:
            inputs: the model's inputs; of a history longer than `max_history`, its latest items are read.
            k: int, how many; fewer where the catalogue is smaller.
            excluded: int64 `[batch, any]` padded with 0, items never to return; default none.
            chunk_size: int, candidates scored at a time; default `candidate_chunk`.
            kind: only items of this kind, for a model that tells kinds apart: its name, or its id, or int64 `[batch]`
                ids, one for each row, 0 for any kind. Default any.
            allowed: int64 `[batch or 1, any]` padded with 0, the only items to return; default all.
            table: what `catalogue` gave, where it is asked for once for many requests.

        Returns:
            `(items int64 [batch, k], scores float32 [batch, k])`; where fewer than k items are left, id 0 with
            score -inf fills up.

        Raises:
            InputError: no such kind, or the model knows none; ids that are none.
            NotFiniteError: a score is NaN or infinite. In a graph, `tf.errors.InvalidArgumentError` when it runs.
        """
        self.require_tables()
        inputs, excluded, allowed = requests.read(self, inputs, excluded=excluded, allowed=allowed)
        query, k = self.encode(inputs), min(requests.count("k", k), self.num_items)
        wanted = _conditions(None if kind is None else kinds.of_kind(self, kind), allowed)
        table = self.catalogue() if table is None else table
        if table is not None:
            found = catalogue.best_items(self.catalogue_query(query), table, k, excluded, wanted, chunk_size)
        else:
            chunk_size = chunk_size or self.candidate_chunk
            found = best_items(
                lambda ids: self.score_items(query, ids), self.num_items, k, excluded, chunk_size, wanted
            )
        items, scores, sound = found
        require_sound(sound, type(self).__name__)
        return items, scores


def _conditions(of_kind, allowed):
    """What `best_items` takes as `wanted`: both conditions where both are given."""
    if allowed is None:
        return of_kind

    def wanted(ids):
        is_allowed = metrics.member(allowed, ids[0], tf.size(ids))
        return is_allowed if of_kind is None else tf.logical_and(is_allowed, of_kind(ids))

    return wanted
