"""The promise of a model: what a subclass implements, and what it gets: training, ranking and recommendation."""

from collections.abc import Mapping
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from tfrecs import losses, metrics
from tfrecs.data.dataset import Dataset
from tfrecs.data.manifest import Manifest
from tfrecs.data.statistics import HeldOut
from tfrecs.data.training_batches import TRAINING_SPLITS
from tfrecs.errors import InputError, nearest
from tfrecs.models import construction, ranges, requests, train_step
from tfrecs.models.ranker import Ranker
from tfrecs.models.saving import Saved
from tfrecs.models.trainer import Trainer

Model = TypeVar("Model", bound="SequentialRecommender")


class SequentialRecommender(Saved, Trainer, Ranker, keras.Model):
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
    - `count_examples(lengths)`, where examples are no prefixes: a run that cannot fit into memory is refused by it;

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
    fields: tuple[str, ...] = ("item",)  # what a record must hold; `training_examples` and `history_inputs` read it
    request_fields: tuple[str, ...] = ()  # of `timestamp` and `action`: what a request holds besides user and history
    input_names: tuple[str, ...] = requests.INPUTS  # what may be asked of it; a subclass that reads more adds that
    padded_fields: tuple[str, ...] = ("history",)  # tensors `[rows, time]`, cut to the longest row of a batch by tokens
    fallback_arguments: dict[str, Any] = {}  # arguments under which the model runs on data without the optional columns
    made_for: tuple[str, ...] | None = None  # `Manifest.digests` of the data that it was made for, where that is known
    max_history = 0  # items of a history that are read at most; an argument of models that read any
    reads_users = True  # whether the user's own id matters, not only the history
    reads_history = True  # whether the items of the history matter, not only the user
    candidate_chunk = 65536  # candidates scored at a time: bounds memory
    minimal_sizes: dict[str, Any] = {
        "num_users": 1,
        "num_items": 1,
    }  # of the arguments without a default, to check the others with
    kind_attribute = ""  # the item attribute that tells kinds of objects apart, where an argument names it
    kind_names: tuple[str, ...] = ()  # the kinds' names, which `adapt` reads; kind k is called `kind_names[k - 1]`
    attention_reads: tuple[str, ...] = ()  # of `history`, `user`, `candidate`: what its attention weights depend on
    attention_heads = 0  # in all layers, those that attend from each item of the history to each
    draws_negatives = True  # whether training examples hold items drawn at random
    own_split: HeldOut | None = (
        None  # `f(users, items) -> bool`, what the model itself holds out instead of the data's split
    )
    # Quirks of originals, which a model may turn into arguments.
    negatives_include_pad = False
    negatives_exclude_held_out = False
    rank_pad = False

    def __init__(
        self,
        num_users: int,
        num_items: int,
        loss_reduction: str = "mean",
        clip_unmerged_rows: bool = False,
        **kwargs: Any,
    ) -> None:
        ranges.check(
            {"num_users": num_users, "num_items": num_items, "loss_reduction": loss_reduction},
            {"num_users": ranges.SIZE, "num_items": ranges.SIZE, "loss_reduction": losses.REDUCTIONS},
        )
        super().__init__(**kwargs)
        self.num_users, self.num_items = num_users, num_items
        self.loss_reduction, self.clip_unmerged_rows = loss_reduction, clip_unmerged_rows
        self._arguments: dict[str, Any] = {}
        self.weight_decay = 0.0  # so much of a weight is added to its gradient, after clipping
        self.loss_parts: list[
            keras.metrics.Mean
        ] = []  # `keras.metrics.Mean` of what the loss is a sum of, in the order of `part_names`
        self.part_names: tuple[str, ...] = ()
        self.auto_scale_loss = True  # whether `compile` wrapped the optimizer where the policy is `mixed_float16`
        self.under_xla = False  # whether XLA compiles the training step, which then has to know all shapes
        self._tables_filled = False  # whether they were seen to be
        self.loss_mean = keras.metrics.Mean(name="loss")
        names = metrics.of_rank(tf.ones([1], tf.int64), self.cutoffs)
        self.ranking_means = {name: keras.metrics.Mean(name=name) for name in names}
        for mean in self.ranking_means.values():
            mean._direction = "up"  # Keras's name for it, which `fit` tells the callbacks
        self.unsound_rows, self.ranked_rows = (keras.metrics.Sum(name=name) for name in ("unsound_rows", "ranked_rows"))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_users": self.num_users,
            "num_items": self.num_items,
            "loss_reduction": self.loss_reduction,
            "clip_unmerged_rows": self.clip_unmerged_rows,
            **self._arguments,
        }

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Makes a subclass's own arguments attributes and entries of `get_config`."""
        self._arguments = arguments
        for name, value in arguments.items():
            setattr(self, name, value)

    @classmethod
    def from_preset(cls: type[Model], preset: str, data: Dataset, *, split: str = "train", **overrides: Any) -> Model:
        """A model for prepared data: sizes read off the data, tables of items filled.

        Args:
            preset: str, a named set of constructor arguments: `recommended`, `original`, ...; of its training
                arguments, which `tfrecs.train` reads, none are used.
            data: `tfrecs.Dataset`.
            split: str, what the model will be trained on: `train`, `train_valid` or `all`, as for
                `Dataset.training_batches`.
            **overrides: constructor arguments, which replace the preset's; and Keras's `dtype` and `name`.

        Returns:
            the model, not compiled.

        Raises:
            InputError: an unknown preset or argument, with the nearest one; a value out of its range; data that lack
                what the model reads.
        """
        arguments = construction.checked_arguments(cls, preset, overrides)
        if not isinstance(data, Dataset):
            raise InputError(f"data: expected a tfrecs.Dataset, got a {type(data).__name__}")
        if split not in (*TRAINING_SPLITS, "all"):
            raise InputError(f"split: unknown value {split!r}; {nearest(split, (*TRAINING_SPLITS, 'all'))}")
        construction.require_columns(cls, arguments, data.data_dir, data.manifest)
        return construction.create(cls, arguments, data.data_dir, data.manifest, split)

    @classmethod
    def missing_columns(cls, manifest: Manifest, arguments: Mapping[str, Any]) -> list[str]:
        """What the data lacks for this model.

        Args:
            manifest: `data.manifest.Manifest`.
            arguments: dict, constructor arguments that were chosen.

        Returns:
            list of str, names of columns; empty where the model can train.
        """
        return [name for name in cls.fields if name not in manifest.fields]

    @classmethod
    def data_arguments(
        cls, data_dir: str, manifest: Manifest, arguments: Mapping[str, Any], split: str = "train"
    ) -> dict[str, Any]:
        """The constructor arguments without a default; this method's own are as for `missing_columns` and `adapt`."""
        return {"num_users": manifest.num_users, "num_items": manifest.num_items}

    def adapt(self, data_dir: str, manifest: Manifest, split: str) -> None:
        """Fills tables that are not trained from the training parts of prepared data; the base has none.

        Args:
            data_dir: str.
            manifest: its `Manifest`.
            split: `train` or `train_valid`, what the model is about to train on.
        """

    def count_examples(self, lengths: np.ndarray) -> tuple[int, int]:
        """How many training examples sequences make, and how many ids are in each; here, every prefix is one.

        Args:
            lengths: int array `[users]`, items that are trained on.

        Returns:
            `(examples, ids)`.
        """
        return int(np.maximum(lengths - 1, 0).sum()), len(self.padded_fields) * self.max_history

    def build(self, input_shape: Any = None) -> None:
        """Nothing is left to build: constructors create every variable, since all sizes are arguments."""
        self.built = True

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_mean, *self.loss_parts, *self.ranking_means.values(), self.unsound_rows, self.ranked_rows]

    def __call__(self, inputs: Mapping[str, tf.Tensor], *args: Any, **kwargs: Any) -> tf.Tensor:
        """As `call`, with what `requests.read` checks and converts; from within `call`, Keras garbles its messages."""
        return super().__call__(*requests.read(self, inputs), *args, **kwargs)

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Scores of `inputs["candidates"]` `[batch, count]` where given, else of items 1 to `num_items`, in order."""
        self.require_tables()
        query = self.encode(inputs, training=training)
        if "candidates" in inputs:
            return self.score_items(query, inputs["candidates"])
        return self.score_items(query, tf.range(1, self.num_items + 1, dtype=tf.int64))

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One update, see `train_step.update`; called by `fit` and by the training loop of a run."""
        self.require_tables()
        examples, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self._refuse(y=y, sample_weight=sample_weight)
        with requests.reading(self, "x", examples):
            terms, weights = train_step.update(self, examples)
        self.loss_mean.update_state(terms, sample_weight=weights)
        return {"loss": self.loss_mean.result()}

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Ranks each row's `target` among all items, `seen` left out; a row of weight 0 counts nothing."""
        inputs, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with requests.reading(self, "validation_data, or x of evaluate", inputs):
            rank, sound = self.checked_rank(inputs, inputs["target"], inputs["seen"])
        self.unsound_rows.update_state(1 - tf.cast(sound, tf.int32), sample_weight=sample_weight)
        self.ranked_rows.update_state(tf.ones_like(rank), sample_weight=sample_weight)
        for name, value in metrics.of_rank(rank, self.cutoffs).items():
            self.ranking_means[name].update_state(value, sample_weight=sample_weight)
        return {name: mean.result() for name, mean in self.ranking_means.items()}
