"""From shards to batches. The order of everything is a pure function of (seed, epoch, step), so that a killed
run can skip to where it was; users are read in blocks, so that memory does not grow with the data."""

import os

import numpy as np
import tensorflow as tf

from tfrecs.data import negatives, records, windows
from tfrecs.data.manifest import ATTRIBUTES_FILE
from tfrecs.data.schema import PAD

SHUFFLE_BUFFER = 16384  # serialised users; a fixed bound, whatever the size of the data
TRAINING_SPLITS = {"train": 0, "train_valid": 1}  # which of a record's two boundaries ends training
HELD_OUT_SPLITS = {"valid": 0, "test": 1}  # which boundary the held-out item follows


class TrainingBatches:
    """Shuffled batches of training examples, epoch after epoch.

    Args:
        data_dir: str, a prepared data directory.
        manifest: its `Manifest`.
        make_examples: `f(sequences, draw, seed)`, a model's `training_examples`: turns a batch of users
            (dict of `user` `[users]` and ragged fields `[users, (time)]`, cut to the training part) into a dict
            of tensors with one row per example; `draw(rows, count)` gives negatives for the users in `rows`.
        weights: int array `[items + 1]`, the sampling weights of negatives; see `statistics.sampling_weights`.
        batch_size: int, examples per step.
        seed: int.
        split: `train`, or `train_valid` to train on the validation items as well.
        fields: names of the per-interaction features that `make_examples` reads; `item` is among them.
        users_per_block: int, users whose examples are shuffled together.
        exclude_held_out: bool, also keep validation and test items out of the negatives. NOTE: a leak; only for
            parity with AttRec's `DataInput.py`.

    Call arguments:
        first_epoch, end_epoch: ints, epochs from 0, the end exclusive.
        skip: int, batches of the first epoch to leave out, where a run goes on in its middle.
        Returns a `tf.data.Dataset` of dicts; besides the model's tensors, `epoch` int64 `[batch]` says which
        epoch a batch belongs to (no batch spans two). Seed, epoch and step determine every batch. One dataset
        serves all epochs, since starting one costs as much as reading 400,000 examples.
    """

    def __init__(
        self,
        data_dir,
        manifest,
        make_examples,
        weights,
        batch_size,
        seed,
        split="train",
        fields=("item",),
        users_per_block=1024,
        exclude_held_out=False,
    ):
        self.data_dir, self.manifest, self.make_examples = data_dir, manifest, make_examples
        self.fields = fields
        self.batch_size, self.seed, self.users_per_block = batch_size, seed, users_per_block
        self.boundary, self.exclude_held_out = TRAINING_SPLITS[split], exclude_held_out
        self.cumulative = negatives.cumulative_weights(weights)
        # Traced once; a dataset's map only calls it.
        self._examples = tf.function(
            self._block,
            input_signature=[
                tf.TensorSpec([], tf.int64),
                tf.TensorSpec([], tf.int64),
                tf.TensorSpec([None], tf.string),
            ],
        )

    def __call__(self, first_epoch=0, end_epoch=1, skip=0):
        def one_epoch(epoch):
            users = _shuffled(self.data_dir, self.manifest, tf.stack([self.seed, epoch]))
            dataset = users.rebatch(self.users_per_block).enumerate()
            dataset = dataset.map(
                lambda index, serialized: self._examples(epoch, index, serialized),
                num_parallel_calls=2,
                deterministic=True,
            )
            return dataset.rebatch(self.batch_size).skip(tf.where(epoch == first_epoch, tf.cast(skip, tf.int64), 0))

        return tf.data.Dataset.range(first_epoch, end_epoch).flat_map(one_epoch).prefetch(4)

    def _block(self, epoch, index, serialized):
        sequences = records.parse(serialized, self.fields)
        seed = tf.random.experimental.stateless_fold_in(tf.stack([self.seed, epoch]), index)
        training = cut(sequences, self.fields, sequences["split"][:, self.boundary])
        known = sequences["item"] if self.exclude_held_out else training["item"]
        excluded = negatives.sorted_unique(known, self.manifest.num_items + 1)
        # A user who has every item leaves nothing to draw: no examples are made of that user.
        drawable = negatives.remaining_weight(excluded, self.cumulative) > 0
        kept = tf.where(drawable)[:, 0]
        training = {name: tf.gather(value, kept) for name, value in training.items()}
        excluded = tf.gather(excluded, kept)

        def draw(rows, count):
            draw_seed = tf.random.experimental.stateless_fold_in(seed, 1)
            return negatives.draw(excluded, rows, count, self.cumulative, draw_seed)

        examples = self.make_examples(training, draw, tf.random.experimental.stateless_fold_in(seed, 2))
        size = tf.shape(next(iter(examples.values())))[0]
        shuffle_seed = tf.random.experimental.stateless_fold_in(seed, 3)
        order = tf.random.experimental.stateless_shuffle(tf.range(size), shuffle_seed)
        examples["epoch"] = tf.fill([size], epoch)
        return {name: tf.gather(value, order) for name, value in examples.items()}


class EvaluationBatches:
    """Batches that hold each user with a held-out item exactly once, in a fixed order.

    The target is the first item after the boundary; the history is everything before it.

    Args:
        data_dir, manifest: as for `TrainingBatches`.
        make_inputs: `f(sequences)`, a model's `history_inputs`.
        batch_size: int, users read per step; those without a held-out item leave a batch smaller.
        split: `valid` or `test`.
        max_users: int or None, only the first so many users of the shards (a quick look, not a result).
        fields: names of the per-interaction features that `make_inputs` reads; `item` is among them.

    Iterating gives dicts: the model's inputs, `target` int64 `[batch]`, and `seen` int64
    `[batch, (longest history)]`, the whole history padded with PAD.
    """

    def __init__(self, data_dir, manifest, make_inputs, batch_size, split, max_users=None, fields=("item",)):
        self.fields, self.make_inputs, self.boundary = fields, make_inputs, HELD_OUT_SPLITS[split]
        users = _serialized(data_dir, manifest)
        self._users = (users if max_users is None else users.take(max_users)).batch(batch_size)
        self._inputs = tf.function(self._make, input_signature=[tf.TensorSpec([None], tf.string)])

    def __iter__(self):
        # Neither `map` nor optimisers nor threads: to start an iterator with them takes longer than to rank
        # thousands of users.
        plain = tf.data.Options()
        plain.autotune.enabled = False
        plain.experimental_optimization.apply_default_optimizations = False
        for serialized in self._users.with_options(plain):
            batch = self._inputs(serialized)
            if batch["target"].shape[0]:
                yield batch

    @property
    def element_spec(self):
        """Shapes and types of a batch, for tracing once what every batch fits; as of a `tf.data.Dataset`."""
        outputs = self._inputs.get_concrete_function().structured_outputs
        return {name: tf.TensorSpec(output.shape, output.dtype) for name, output in outputs.items()}

    def dataset(self):
        """The same as a `tf.data.Dataset`, for `Model.evaluate` and for several replicas."""
        dataset = self._users.map(self._inputs, num_parallel_calls=2, deterministic=True)
        return dataset.filter(lambda batch: tf.shape(batch["target"])[0] > 0).prefetch(2)

    def _make(self, serialized):
        sequences = records.parse(serialized, self.fields)
        start = sequences["split"][:, self.boundary]
        end = sequences["item"].row_lengths() if self.boundary else sequences["split"][:, 1]
        rows = tf.where(end > start)[:, 0]
        history = {name: tf.gather(value, rows) for name, value in cut(sequences, self.fields, start).items()}
        target = windows.items_from(sequences["item"], rows, tf.gather(start, rows), 1)
        batch = self.make_inputs(history)
        batch["target"] = target[:, 0]
        batch["seen"] = history["item"].to_tensor(PAD)
        return batch


def sequences(data_dir, manifest, fields, batch_size=1024):
    """All sequences as they lie in the shards, parsed: dicts of `user`, `split` and the ragged `fields`."""
    dataset = _serialized(data_dir, manifest).batch(batch_size)
    return dataset.map(lambda serialized: records.parse(serialized, fields))


def item_attributes(data_dir, manifest):
    """The item attribute table: dict of name to `(values, row_splits)` int64 arrays, row i for item id i."""
    if not manifest.attributes:
        return {}
    with np.load(os.path.join(data_dir, ATTRIBUTES_FILE)) as table:
        return {name: (table[f"{name}/values"], table[f"{name}/row_splits"]) for name in manifest.attributes}


def _paths(data_dir, manifest):
    return [os.path.join(data_dir, shard.path) for shard in manifest.shards if shard.num_sequences]


def _serialized(data_dir, manifest):
    return tf.data.TFRecordDataset(_paths(data_dir, manifest))


def _shuffled(data_dir, manifest, seed):
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


def cut(sequences, fields, ends):
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
