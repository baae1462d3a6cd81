"""Held-out items with the histories before them: what evaluation reads."""

import tensorflow as tf

from tfrecs.data import negatives, records, windows
from tfrecs.data.pipeline import cut, serialized
from tfrecs.data.schema import PAD

HELD_OUT_SPLITS = {"valid": 0, "test": 1}  # which boundary the held-out item follows


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
        num_negatives: int, unseen items to draw per user, the same at every reading; 0 is off.

    Iterating gives dicts: the model's inputs, `target` int64 `[batch]`, and `seen` int64
    `[batch, (longest history)]`, the whole history padded with PAD; with negatives, `negatives` int64
    `[batch, num_negatives]`, which no user has anywhere in the sequence, and PAD throughout for a user who has every
    item. Where `timestamp` is among the fields, `make_inputs` is given `now` too, the target's timestamp.
    """

    def __init__(
        self, data_dir, manifest, make_inputs, batch_size, split, max_users=None, fields=("item",), num_negatives=0
    ):
        self.fields, self.make_inputs, self.boundary = fields, make_inputs, HELD_OUT_SPLITS[split]
        self.num_items, self.num_negatives = manifest.num_items, num_negatives
        self._cumulative = negatives.cumulative_weights([0] + [1] * manifest.num_items)
        users = serialized(data_dir, manifest)
        self._users = (users if max_users is None else users.take(max_users)).batch(batch_size)
        self._inputs = tf.function(self._make, input_signature=[tf.TensorSpec([None], tf.string)])

    def __iter__(self):
        # Neither `map` nor optimisers nor threads: to start an iterator with them takes longer than to rank
        # thousands of users.
        plain = tf.data.Options()
        plain.autotune.enabled = False
        plain.experimental_optimization.apply_default_optimizations = False
        for users in self._users.with_options(plain):
            batch = self._inputs(users)
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

    def _make(self, users):
        sequences = records.parse(users, self.fields)
        start = sequences["split"][:, self.boundary]
        end = sequences["item"].row_lengths() if self.boundary else sequences["split"][:, 1]
        rows = tf.where(end > start)[:, 0]
        history = {name: tf.gather(value, rows) for name, value in cut(sequences, self.fields, start).items()}
        target = windows.items_from(sequences["item"], rows, tf.gather(start, rows), 1)
        if "timestamp" in self.fields:
            history["now"] = windows.items_from(sequences["timestamp"], rows, tf.gather(start, rows), 1)[:, 0]
        batch = self.make_inputs(history)
        batch["target"] = target[:, 0]
        batch["seen"] = history["item"].to_tensor(PAD)
        if self.num_negatives:
            batch["negatives"] = self._negatives(sequences["user"], sequences["item"], rows)
        return batch

    def _negatives(self, user, items, rows):
        excluded = negatives.sorted_unique(items, self.num_items + 1)
        drawable = tf.gather(negatives.remaining_weight(excluded, self._cumulative), rows) > 0
        uniform = negatives.hashed_uniform(tf.gather(user, rows), self.num_negatives)
        drawn = negatives.pick(excluded, rows, uniform, self._cumulative)
        return tf.where(drawable[:, tf.newaxis], drawn, PAD)
