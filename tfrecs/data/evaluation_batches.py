"""Held-out items with the histories before them: what evaluation reads."""

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfrecs.data import negatives, records, windows
from tfrecs.data.manifest import Manifest
from tfrecs.data.records import Sequences
from tfrecs.data.schema import PAD
from tfrecs.data.training_batches import cut, serialized

HELD_OUT_SPLITS = {"valid": 0, "test": 1}  # which boundary the held-out item follows
PAIRS = 2**22  # of positions that the users of a batch attend from and to: an eighth of a gigabyte with eight heads
BATCHES_PER_BLOCK = 16  # users of so many batches are sorted by length, so that a batch holds like lengths


class EvaluationBatches:
    """Batches that hold each user with a held-out item exactly once, in a fixed order.

    The target is the first item after the boundary; the history is everything before it.

    Args:
        data_dir, manifest: as for `TrainingBatches`.
        make_inputs: `f(sequences)`, a model's `history_inputs`.
        batch_size: int, users per batch at most; fewer where histories are long, so that memory is bounded.
        split: `valid` or `test`.
        max_users: int or None, only the first so many users of the shards (a quick look, not a result).
        fields: names of the per-interaction features that `make_inputs` reads; `item` is among them.
        num_negatives: int, unseen items to draw per user, the same at every reading; 0 is off.
        kinds: int array `[items + 1]`, the kind of each item, or None; negatives are of the target's kind.
        max_history: int or None, items of a history that the model reads; None: all.

    Iterating gives dicts: the model's inputs, `target` int64 `[batch]`, and `seen` int64
    `[batch, (longest history)]`, the whole history padded with PAD; with negatives, `negatives` int64
    `[batch, num_negatives]`, which no user has anywhere in the sequence, and PAD throughout for a user who has every
    item. Where `timestamp` is among the fields, `make_inputs` is given `now` too, the target's timestamp.
    """

    def __init__(
        self,
        data_dir: str,
        manifest: Manifest,
        make_inputs: Callable[[Sequences], dict[str, tf.Tensor]],
        batch_size: int,
        split: str,
        *,
        max_users: int | None = None,
        fields: Sequence[str] = ("item",),
        num_negatives: int = 0,
        kinds: np.ndarray | None = None,
        max_history: int | None = None,
    ) -> None:
        self.fields, self.make_inputs, self.boundary = fields, make_inputs, HELD_OUT_SPLITS[split]
        self.num_items, self.num_negatives = manifest.num_items, num_negatives
        weights = [0] + [1] * manifest.num_items
        self._cumulative = negatives.cumulative_weights(weights)
        self._within_kinds = None if kinds is None else negatives.WithinKinds(kinds, weights)
        users = serialized(data_dir, manifest)
        self.batch_size, self.max_history = batch_size, max_history
        self._blocks = (users if max_users is None else users.take(max_users)).batch(batch_size * BATCHES_PER_BLOCK)
        self._block = tf.function(self._read, input_signature=[tf.TensorSpec([None], tf.string)])
        block = self._blocks.map(self._block).element_spec
        places = tf.TensorSpec([], tf.int64)
        self._batch = tf.function(self._make, input_signature=[block, places, places])
        self._bounds = tf.function(self._cut_into_batches, input_signature=[block["item"]])

    def __iter__(self) -> Iterator[dict[str, tf.Tensor]]:
        # Neither `map` nor optimisers nor threads: to start an iterator with them takes longer than to rank
        # thousands of users.
        plain = tf.data.Options()
        plain.autotune.enabled = False
        plain.experimental_optimization.apply_default_optimizations = False
        for users in self._blocks.with_options(plain):
            block = self._block(users)
            bounds = self._bounds(block["item"])
            for first, last in zip(bounds[:-1], bounds[1:]):
                yield self._batch(block, first, last)

    def __len__(self) -> int:
        return self._length

    @functools.cached_property
    def _length(self) -> int:
        counts = self._blocks.map(lambda users: tf.size(self._bounds(self._read(users)["item"]), tf.int64) - 1)
        return int(counts.reduce(np.int64(0), tf.add))

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """Shapes and types of a batch, for tracing once what every batch fits; as of a `tf.data.Dataset`."""
        outputs = self._batch.get_concrete_function().structured_outputs
        return {name: tf.TensorSpec(output.shape, output.dtype) for name, output in outputs.items()}

    def dataset(self) -> tf.data.Dataset:
        """The same as a `tf.data.Dataset` of known cardinality, for several replicas and for Keras."""

        def batches(block: Sequences) -> tf.data.Dataset:
            bounds = self._bounds(block["item"])
            places = tf.data.Dataset.from_tensor_slices((bounds[:-1], bounds[1:]))
            return places.map(lambda first, last: self._batch(block, first, last))

        dataset = self._blocks.map(self._block, num_parallel_calls=2, deterministic=True).flat_map(batches)
        return dataset.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(2)

    def _read(self, users: tf.Tensor) -> Sequences:
        """The users that have a held-out item, shortest histories first: ragged histories and the items held out."""
        sequences = records.parse(users, self.fields)
        start = sequences["split"][:, self.boundary]
        end = sequences["item"].row_lengths() if self.boundary else sequences["split"][:, 1]
        rows = tf.where(end > start)[:, 0]
        rows = tf.gather(rows, tf.argsort(tf.gather(start, rows), stable=True))
        first = tf.gather(start, rows)
        block = {name: tf.gather(value, rows) for name, value in cut(sequences, self.fields, start).items()}
        block["target"] = windows.items_from(sequences["item"], rows, first, 1)[:, 0]
        if "timestamp" in self.fields:
            block["now"] = windows.items_from(sequences["timestamp"], rows, first, 1)[:, 0]
        if self.num_negatives:
            block["negatives"] = self._negatives(sequences["user"], sequences["item"], rows, block["target"])
        return block

    def _cut_into_batches(self, items: tf.RaggedTensor) -> tf.Tensor:
        """Where batches begin and end among users of ascending length, int64 `[batches + 1]`."""
        lengths = tf.maximum(items.row_lengths(), 1)
        lengths = lengths if self.max_history is None else tf.minimum(lengths, self.max_history)
        users = tf.size(lengths, tf.int64)

        def step(bounds: tf.Tensor) -> tuple[tf.Tensor]:
            ahead = lengths[bounds[-1] : bounds[-1] + self.batch_size]
            # The longest history of so many users is the last one's.
            fits = tf.range(1, tf.size(ahead, tf.int64) + 1) * ahead**2 <= PAIRS
            count = tf.maximum(tf.reduce_sum(tf.cast(fits, tf.int64)), 1)
            return (tf.concat([bounds, [bounds[-1] + count]], 0),)

        start = tf.zeros([1], tf.int64)
        shape = tf.TensorShape([None])
        (bounds,) = tf.while_loop(lambda bounds: bounds[-1] < users, step, (start,), shape_invariants=(shape,))
        return bounds

    def _make(self, block: Sequences, first: tf.Tensor, last: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = {name: value[first:last] for name, value in block.items()}
        kept = {name: rows.pop(name) for name in ("target", "negatives") if name in rows}
        return self.make_inputs(rows) | kept | {"seen": rows["item"].to_tensor(PAD)}

    def _negatives(self, user: tf.Tensor, items: tf.RaggedTensor, rows: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        if self._within_kinds is not None:
            uniform = negatives.hashed_uniform(tf.gather(user, rows), self.num_negatives)
            return self._within_kinds.pick(items, rows, target, uniform)
        excluded = negatives.sorted_unique(items, self.num_items + 1)
        drawable = tf.gather(negatives.remaining_weight(excluded, self._cumulative), rows) > 0
        uniform = negatives.hashed_uniform(tf.gather(user, rows), self.num_negatives)
        drawn = negatives.pick(excluded, rows, uniform, self._cumulative)
        return tf.where(drawable[:, tf.newaxis], drawn, PAD)
