"""Training batches from shards, in an order that depends on seed, epoch and step alone, so that runs resume exactly."""

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NoReturn

import numpy as np
import tensorflow as tf

from tfrecs.data import batching, negatives, records
from tfrecs.data.manifest import ATTRIBUTES_FILE, Manifest, file_path
from tfrecs.data.records import Sequences
from tfrecs.errors import InputError, nearest, option

SHUFFLE_BUFFER = 16384  # serialised users; a fixed bound, whatever the size of the data
TRAINING_SPLITS = {"train": 0, "train_valid": 1}  # which of a record's two boundaries ends training; `all`: none


class TrainingBatches:
    """Shuffled batches of training examples, epoch after epoch.

    Iterating reads one epoch: the first pass epoch 0, each later pass the next epoch, with other negatives and in
    another order. `len` is the number of batches of an epoch, counted when first asked for. `passes` gives one epoch a
    pass to Keras's `fit`.

    Args:
        data_dir: str, a prepared data directory.
        manifest: its `Manifest`.
        make_examples: `f(sequences, draw, seed)`, a model's `training_examples`: turns a batch of users
            (dict of `user` `[users]` and ragged fields `[users, (time)]`, cut to the training part) into a dict
            of tensors with one row per example; `draw` is a `negatives.Sampler`, `draw(rows, count, like)` gives
            negatives for the users in `rows`, with `kinds` of the same kind as the items `like`.
        weights: int array `[items + 1]`, the sampling weights of negatives, see `statistics.sampling_weights`; users
            who leave none to draw are left out. None for a model that draws none.
        batch_size: int, examples per step, unless `batch_tokens` is given.
        seed: int.
        split: `train`, or `train_valid` to train on the validation items as well, or `all`: whole sequences.
        fields: names of the per-interaction features that `make_examples` reads; `item` is among them.
        users_per_block: int, users whose examples are shuffled together.
        exclude_held_out: bool, also keep validation and test items out of the negatives. NOTE: a leak; only for
            parity with AttRec's `DataInput.py`.
        batch_tokens: int, items of histories per step: rows of like length share a batch, which is cut to its
            longest; 0 is off. See `batching.by_length`.
        padded_fields: names of the tensors `[rows, time]` to cut; the first one's items are counted.
        kinds: int array `[items + 1]`, the kind of each item, or None: negatives are of whatever kind.

    Attributes:
        epoch: int, the epoch that the next pass reads.

    Call arguments:
        first_epoch, end_epoch: ints, epochs from 0, the end exclusive.
        skip: int, batches of the first epoch to leave out, where a run goes on in its middle.
        Returns a `tf.data.Dataset` of dicts; besides the model's tensors, `epoch` int64 `[batch]` says which
        epoch a batch belongs to (no batch spans two). Seed, epoch and step determine every batch. One dataset
        serves all epochs, since starting one costs as much as reading 400,000 examples.

    Raises:
        InputError: an unknown split; when called, for a model that draws negatives without `weights`.
    """

    def __init__(
        self,
        data_dir: str,
        manifest: Manifest,
        make_examples: Callable[..., dict[str, tf.Tensor]],
        *,
        weights: np.ndarray | None,
        batch_size: int,
        seed: int,
        split: str = "train",
        fields: Sequence[str] = ("item",),
        users_per_block: int = 1024,
        exclude_held_out: bool = False,
        batch_tokens: int = 0,
        padded_fields: Sequence[str] = ("history",),
        kinds: np.ndarray | None = None,
    ) -> None:
        if split not in (*TRAINING_SPLITS, "all"):
            raise InputError(f"{option('split')}: unknown value {split!r}; {nearest(split, (*TRAINING_SPLITS, 'all'))}")
        self.data_dir, self.manifest, self.make_examples = data_dir, manifest, make_examples
        self.fields = fields
        self.batch_size, self.seed, self.users_per_block = batch_size, seed, users_per_block
        self.batch_tokens, self.padded_fields = batch_tokens, padded_fields
        self.split, self.exclude_held_out = split, exclude_held_out
        self.epoch = 0
        self.cumulative = None if weights is None else negatives.cumulative_weights(weights)
        self.within_kinds = None if weights is None or kinds is None else negatives.WithinKinds(kinds, weights)
        self._drew_without_weights = False
        # Traced once; a dataset's map only calls it.
        self._examples = tf.function(
            self._shuffled_block,
            input_signature=[
                tf.TensorSpec([], tf.int64),
                tf.TensorSpec([], tf.int64),
                tf.TensorSpec([None], tf.string),
            ],
        )

    def __call__(self, first_epoch: int = 0, end_epoch: int = 1, skip: int = 0) -> tf.data.Dataset:
        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            return self._one_epoch(epoch).skip(tf.where(epoch == first_epoch, tf.cast(skip, tf.int64), 0))

        with self._naming_weights():
            return tf.data.Dataset.range(first_epoch, end_epoch).flat_map(one_epoch).prefetch(4)

    def __iter__(self) -> Iterator[dict[str, tf.Tensor]]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return iter(self(epoch, epoch + 1))

    def __len__(self) -> int:
        return self._length

    def passes(self, current: Callable[[], int], steps: int | None = None) -> tf.data.Dataset:
        """What Keras's `fit` can read: one epoch a pass, each of `len(self)` batches.

        Where epochs differ in their number of batches (with `batch_tokens`, or items left out at random), longer ones
        are cut to that of epoch 0, and shorter ones start again from their first batch.

        Args:
            current: `f() -> int`, asked when a pass starts: the epoch to read, from 0.
            steps: int or None, batches a pass: pass e then reads the batches from `e * steps` on of the epochs one
                after another. Default an epoch.

        Returns:
            `tf.data.Dataset` of known cardinality.

        Raises:
            InputError: the data have no training examples.
        """
        length = len(self)
        if not length:
            raise InputError(
                f"{self.data_dir}: no training examples: every history is too short, or leaves no item as a negative"
            )
        steps = steps or length

        def one_pass(number: tf.Tensor) -> tf.data.Dataset:
            first = number * steps
            epochs = tf.data.Dataset.range(first // length, (first + steps - 1) // length + 1)
            batches = epochs.flat_map(lambda epoch: self._one_epoch(epoch).repeat().take(length))
            return batches.skip(first % length).take(steps)

        numbers = tf.data.Dataset.from_generator(lambda: [current()], output_signature=tf.TensorSpec([], tf.int64))
        with self._naming_weights():
            dataset = numbers.flat_map(one_pass)
        return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(4)

    @functools.cached_property
    def _length(self) -> int:
        zero = np.int64(0)
        if self.batch_tokens:
            return int(self().reduce(zero, lambda count, _: count + 1))
        # Of a block's examples only their number is read, and the graph is pruned to what that needs.
        with self._naming_weights():
            numbers = self._blocks(tf.constant(0, tf.int64)).map(
                lambda index, users: _rows(self._block(tf.constant(0, tf.int64), index, users)[0])
            )
        return -(-int(numbers.reduce(zero, tf.add)) // self.batch_size)

    def _one_epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        dataset = self._blocks(epoch).map(
            lambda index, serialized: self._examples(epoch, index, serialized),
            num_parallel_calls=2,
            deterministic=True,
        )
        if self.batch_tokens:
            return dataset.enumerate().flat_map(functools.partial(self._by_length, epoch))
        return dataset.rebatch(self.batch_size)

    def _blocks(self, epoch: tf.Tensor) -> tf.data.Dataset:
        users = _shuffled(self.data_dir, self.manifest, tf.stack([self.seed, epoch]))
        return users.rebatch(self.users_per_block).enumerate()

    @contextlib.contextmanager
    def _naming_weights(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            if self._drew_without_weights:  # TensorFlow makes an error of its own out of what is raised in a graph
                raise InputError(
                    "weights: None, but the model draws negatives: give those of statistics.sampling_weights"
                ) from None
            raise

    def _shuffled_block(self, epoch: tf.Tensor, index: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        examples, seed = self._block(epoch, index, serialized)
        size = tf.shape(next(iter(examples.values())))[0]
        order = tf.random.experimental.stateless_shuffle(tf.range(size), seed)
        examples["epoch"] = tf.fill([size], epoch)
        return {name: tf.gather(value, order) for name, value in examples.items()}

    def _block(self, epoch: tf.Tensor, index: tf.Tensor, users: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """A block's examples as they come, and the seed of their order."""
        sequences = records.parse(users, self.fields)
        seed = tf.random.experimental.stateless_fold_in(tf.stack([self.seed, epoch]), index)
        training = cut(sequences, self.fields, training_ends(sequences, self.split))
        fold_in = tf.random.experimental.stateless_fold_in
        draw: Callable[..., tf.Tensor] = self._refuse_to_draw
        if self.cumulative is not None:
            known = sequences["item"] if self.exclude_held_out else training["item"]
            excluded = negatives.sorted_unique(known, self.manifest.num_items + 1)
            # A user who has every item leaves nothing to draw: no examples are made of that user.
            drawable = negatives.remaining_weight(excluded, self.cumulative) > 0
            kept = tf.where(drawable)[:, 0]
            training = {name: tf.gather(value, kept) for name, value in training.items()}
            excluded = tf.gather(excluded, kept)
            draw = negatives.Sampler(excluded, self.cumulative, fold_in(seed, 1), self.within_kinds)
        return self.make_examples(training, draw, fold_in(seed, 2)), fold_in(seed, 3)

    def _refuse_to_draw(self, *_: object, **__: object) -> NoReturn:
        self._drew_without_weights = True
        raise InputError("weights: None")

    def _by_length(self, epoch: tf.Tensor, index: tf.Tensor, examples: Mapping[str, tf.Tensor]) -> tf.data.Dataset:
        seed = tf.random.experimental.stateless_fold_in(tf.stack([self.seed, epoch]), index)
        seed = tf.random.experimental.stateless_fold_in(seed, 4)
        return batching.by_length(examples, self.padded_fields, self.batch_tokens, seed)


def _rows(examples: Mapping[str, tf.Tensor]) -> tf.Tensor:
    return tf.shape(next(iter(examples.values())), tf.int64)[0]


def training_ends(sequences: Sequences, split: str) -> tf.Tensor:
    """Where the training part of each user ends, int64 `[users]`; `split` as for `TrainingBatches`."""
    if split == "all":
        return sequences["item"].row_lengths()
    return sequences["split"][:, TRAINING_SPLITS[split]]


def sequences(
    data_dir: str, manifest: Manifest, fields: Collection[str], batch_size: int = 1024
) -> Iterator[Sequences]:
    """All sequences in the order of the shards, parsed: dicts of `user`, `split` and the ragged `fields`."""
    dataset = serialized(data_dir, manifest).batch(batch_size)
    return dataset.map(lambda serialized: records.parse(serialized, fields))


def item_attributes(data_dir: str, manifest: Manifest) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The item attribute table: dict of name to `(values, row_splits)` int64 arrays, row i for item id i."""
    if not manifest.attributes:
        return {}
    with np.load(file_path(data_dir, ATTRIBUTES_FILE)) as table:
        return {name: (table[f"{name}/values"], table[f"{name}/row_splits"]) for name in manifest.attributes}


def _paths(data_dir: str, manifest: Manifest) -> list[str]:
    return [file_path(data_dir, shard.path) for shard in manifest.shards if shard.num_sequences]


def serialized(data_dir: str, manifest: Manifest) -> tf.data.Dataset:
    """The records in the order of the shards, unparsed, as a `tf.data.Dataset`."""
    return tf.data.TFRecordDataset(_paths(data_dir, manifest))


def _shuffled(data_dir: str, manifest: Manifest, seed: tf.Tensor) -> tf.data.Dataset:
    """Batches of serialised users: shards in random order, interleaved, then shuffled a buffer at a time.

    Everything is stateless: `Dataset.shuffle` would mix in the global seed.
    """
    paths = tf.random.experimental.stateless_shuffle(tf.constant(_paths(data_dir, manifest), tf.string), seed)
    dataset = tf.data.Dataset.from_tensor_slices(paths)
    dataset = dataset.interleave(
        tf.data.TFRecordDataset, cycle_length=8, block_length=16, num_parallel_calls=2, deterministic=True
    )
    return (
        dataset.batch(SHUFFLE_BUFFER)
        .enumerate()
        .map(
            lambda index, users: tf.random.experimental.stateless_shuffle(
                users, tf.random.experimental.stateless_fold_in(seed, index)
            )
        )
    )


def cut(sequences: Sequences, fields: Collection[str], ends: tf.Tensor) -> Sequences:
    """The first `ends[i]` interactions of each user.

    Args:
        sequences: dict of `user` and ragged fields, as from `records.parse`.
        fields: names of the fields to cut.
        ends: int64 `[users]`, exclusive.

    Returns:
        dict of `user` and the cut fields.
    """
    shortened = {"user": sequences["user"]}
    for name in fields:
        values = sequences[name]
        rows = values.value_rowids()
        position = tf.range(tf.size(values.flat_values, tf.int64)) - tf.gather(values.row_starts(), rows)
        shortened[name] = tf.RaggedTensor.from_row_lengths(
            tf.boolean_mask(values.flat_values, position < tf.gather(ends, rows)),
            tf.minimum(ends, values.row_lengths()),
        )
    return shortened
