"""TFRecord shards: encoding sequences, writing them deterministically, parsing batches of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfrecs.data import examples, schema
from tfrecs.data.manifest import Shard, digest
from tfrecs.errors import InputError

# Of a batch of users: `user`, maybe `split`, and ragged fields `[users, (time)]`.
Sequences = dict[str, tf.Tensor | tf.RaggedTensor]


def encode(user: int, split: tuple[int, int], sequence: Mapping[str, ArrayLike]) -> bytes:
    """Serialises one user's sequence.

    Args:
        user: int, user id from 1.
        split: pair of ints, `(train_end, valid_end)` as in `tfrecs.data.schema`.
        sequence: dict of field name to a 1-D array; every array has the same length.

    Returns:
        bytes, a serialised `tf.train.Example`; equal input gives equal bytes.

    Example:
        >>> len(encode(1, (1, 2), {"item": [5, 6, 7]})) > 0
        True
    """
    feature = {
        "user": tf.train.Feature(int64_list=tf.train.Int64List(value=[user])),
        "split": tf.train.Feature(int64_list=tf.train.Int64List(value=split)),
    }
    for name, values in sequence.items():
        if schema.SEQUENCE_FIELDS[name].is_floating:
            values = np.asarray(values, np.float32)
            feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            values = np.asarray(values, np.int64)
            feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def parse(serialized: tf.Tensor, fields: Iterable[str]) -> Sequences:
    """Parses a batch of records.

    Args:
        serialized: string tensor `[batch]`.
        fields: names of the per-interaction features the records hold.

    Returns:
        dict: `user` int64 `[batch]`, `split` int64 `[batch, 2]`, and one ragged tensor
        `[batch, (time)]` per field.
    """
    return tf.io.parse_example(serialized, schema.feature_spec(fields))


def shard_name(index: int, count: int) -> str:
    """File name of shard `index` of `count`, `sequences-00000-of-00008.tfrecord`."""
    return f"sequences-{index:05d}-of-{count:05d}.tfrecord"


class ShardWriter:
    """Writes sequences into `count` shards of a directory; user `u` goes to shard `(u - 1) % count`.

    Args:
        directory: str, where the shards go; it must exist.
        count: int, number of shards.

    Raises:
        InputError: the disk is full, or the directory cannot be written.

    Example:
        >>> import tempfile
        >>> with ShardWriter(tempfile.mkdtemp(), 1) as writer:
        ...     writer.write(1, (1, 2), {"item": [5, 6, 7]})
        >>> writer.shards[0].num_sequences
        1
    """

    def __init__(self, directory: str, count: int) -> None:
        self.directory = directory
        self.count = count
        self.shards: tuple[Shard, ...] = ()
        self._sequences = [0] * count

    def __enter__(self) -> ShardWriter:
        self._writers = []
        with self._failures_named():
            for index in range(self.count):
                path = os.path.join(self.directory, shard_name(index, self.count))
                self._writers.append(tf.io.TFRecordWriter(path))
        return self

    def write(self, user: int, split: tuple[int, int], sequence: Mapping[str, ArrayLike]) -> None:
        """Appends one user's sequence; arguments as in `encode`."""
        index = (int(user) - 1) % self.count
        with self._failures_named():
            self._writers[index].write(encode(user, split, sequence))
        self._sequences[index] += 1

    def write_block(
        self, users: np.ndarray, splits: np.ndarray, row_splits: np.ndarray, sequences: Mapping[str, np.ndarray]
    ) -> None:
        """Appends the sequences of many users at once, the bytes that `write` appends.

        Args:
            users: int array `[users]`, ids from 1.
            splits: int array `[users, 2]`, `(train_end, valid_end)` of each.
            row_splits: int array `[users + 1]`; user n of the block has rows `row_splits[n]` to `row_splits[n + 1]`.
            sequences: dict of field name to a 1-D array of all rows.
        """
        features = {
            "user": (users, np.arange(len(users) + 1)),
            "split": (splits.ravel(), np.arange(0, 2 * len(users) + 1, 2)),
        }
        for name, values in sequences.items():
            kind = np.float32 if schema.SEQUENCE_FIELDS[name].is_floating else np.int64
            features[name] = (np.asarray(values, kind), row_splits)
        data, ends = examples.serialize(features)
        shards = (users - 1) % self.count
        bounds = ends.tolist()
        with self._failures_named():
            for index, begin, end in zip(shards.tolist(), bounds[:-1], bounds[1:], strict=True):
                self._writers[index].write(data[begin:end])
        for index, number in enumerate(np.bincount(shards, minlength=self.count).tolist()):
            self._sequences[index] += number

    def __exit__(self, *failure: object) -> None:
        for writer in self._writers:
            # After another failure, that one is what is told.
            with contextlib.suppress(tf.errors.OpError) if failure[0] else self._failures_named():
                writer.close()
        if failure[0] is None:
            self.shards = tuple(
                Shard(name, *digest(os.path.join(self.directory, name)), self._sequences[index])
                for index, name in enumerate(shard_name(i, self.count) for i in range(self.count))
            )

    @contextlib.contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            raise InputError(f"{self.directory}: cannot be written: {error.message}") from None
