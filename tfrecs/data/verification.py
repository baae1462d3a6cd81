"""Whether the files of a prepared data directory are those that its manifest describes, and hold what it says."""

import itertools
import os
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecs import files
from tfrecs.data import records
from tfrecs.data.manifest import ATTRIBUTES_FILE, FILE_NAME, Manifest, Shard, Vocabulary, digest, file_path
from tfrecs.data.schema import SEQUENCE_FIELDS
from tfrecs.errors import InputError

SEQUENCES_PER_BATCH = 4096
BLOCK_BYTES = 1 << 20
# What zipfile and numpy raise for archives that are damaged or forged.
READ_ERRORS = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)


def verify(data_dir: str, manifest: Manifest) -> None:
    """Compares every file with the manifest, and its content with the manifest's fields and counts.

    Nothing truncated, altered or mixed up passes, and nothing that would be read as other users or items: every user
    has one sequence with the fields that the manifest lists, ids are those of the vocabularies, the parts of a split
    follow each other within the sequence, and timestamps ascend.

    Args:
        data_dir: str.
        manifest: the `Manifest` that `tfrecs.data.manifest.load` returned.

    Raises:
        InputError: naming the first file that is missing, truncated or altered, or whose content is wrong.
    """
    for shard in manifest.shards:
        _check_shard_file(file_path(data_dir, shard.path), shard)
    for name, vocabulary in manifest.vocabularies.items():
        _check_vocabulary(file_path(data_dir, vocabulary.path), name, vocabulary)
    if manifest.attributes_sha256 is not None:
        _check_attributes(file_path(data_dir, ATTRIBUTES_FILE), manifest)
    _check_sequences(data_dir, manifest)


def _check_shard_file(path: str, shard: Shard) -> None:
    sha256, size = _digest(path)
    if size != shard.num_bytes:
        raise InputError(f"{path}: truncated or altered: {size} bytes, the manifest says {shard.num_bytes}")
    if sha256 != shard.sha256:
        raise InputError(f"{path}: altered: sha256 {sha256}, the manifest says {shard.sha256}")


def _digest(path: str) -> tuple[str, int]:
    if not os.path.exists(path):
        raise InputError(f"{path}: listed in the manifest but No such file or directory")
    return digest(path)


def _check_vocabulary(path: str, name: str, vocabulary: Vocabulary) -> None:
    sha256, _ = _digest(path)
    if sha256 != vocabulary.sha256:
        raise InputError(
            f"{path}: the {name} vocabulary does not match the shards: sha256 {sha256}, "
            f"the manifest says {vocabulary.sha256}"
        )
    with files.open_regular(path) as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK_BYTES), b""))
    if lines != vocabulary.size:
        raise InputError(f"{path}: {lines} lines, the manifest says {vocabulary.size}")
    _check_tokens(path)


def _check_tokens(path: str) -> None:
    """Tokens are UTF-8, not empty and differ from each other."""
    ascending = True
    with files.open_regular(path) as file:
        last = b""
        for line, token in enumerate(file, start=1):
            if token in (b"\n", b"\r\n") or not token.endswith(b"\n"):
                raise InputError(f"{path}:{line}: an empty token, or a last line without an end")
            ascending = ascending and last < token
            last = token
            if not token.isascii():
                _decode(path, line, token)
    if not ascending:  # as a program other than data_prep may write them; then all of them must be held
        with files.open_regular(path) as file:
            seen = set()
            for line, token in enumerate(file, start=1):
                if token in seen:
                    raise InputError(f"{path}:{line}: the token {token[:80]!r} occurs twice")
                seen.add(token)


def _decode(path: str, line: int, token: bytes) -> None:
    try:
        token.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}:{line}: not UTF-8: {token[:80]!r}") from None


def _check_sequences(data_dir: str, manifest: Manifest) -> None:
    seen = np.zeros(manifest.num_users + 1, bool)
    sizes = {"item": manifest.num_items}
    if "action" in manifest.fields:
        sizes["action"] = manifest.vocabularies["action"].size
    interactions = 0
    for shard in manifest.shards:
        path = file_path(data_dir, shard.path)
        count = 0
        for batch in _batches(path):
            users = batch["user"]
            _check_fields(path, batch, manifest.fields)
            _check_users(path, users, seen)
            _check_batch(path, batch, sizes)
            interactions += len(batch["item"][0])
            count += len(users)
        if count != shard.num_sequences:
            raise InputError(f"{path}: {count} sequences, the manifest says {shard.num_sequences}")
    if interactions != manifest.num_interactions:
        where = os.path.join(data_dir, FILE_NAME)
        raise InputError(
            f"{where}: the shards hold {interactions} interactions, num_interactions is {manifest.num_interactions}"
        )


def _batches(path: str) -> Iterator[dict[str, Any]]:
    """Yields a shard's records, in numpy: dict of `user`, `split`, and `(values, row_splits)` of every known field."""
    dataset = tf.data.TFRecordDataset(path).batch(SEQUENCES_PER_BATCH).prefetch(1)
    try:
        for serialized in dataset:
            parsed = records.parse(serialized, SEQUENCE_FIELDS)
            batch = {name: parsed[name].numpy() for name in ("user", "split")}
            ragged = {name: parsed[name] for name in SEQUENCE_FIELDS}
            yield batch | {name: (field.values.numpy(), field.row_splits.numpy()) for name, field in ragged.items()}
    except tf.errors.OpError as error:
        reason = (error.message or "").splitlines()[:1]
        raise InputError(f"{path}: not a shard of these fields: {''.join(reason)[:200]}") from None


def _check_fields(path: str, batch: dict[str, Any], fields: tuple[str, ...]) -> None:
    """Drops the fields that the manifest does not list, which must have no values."""
    for name in [name for name in SEQUENCE_FIELDS if name not in fields]:
        if len(batch.pop(name)[0]):
            raise InputError(f"{path}: the records have the field {name}, the manifest says {', '.join(fields)}")


def _check_users(path: str, users: np.ndarray, seen: np.ndarray) -> None:
    """Ids are in range and new; they are marked as seen."""
    _require_range(path, "user", users, len(seen) - 1)
    unique, counts = np.unique(users, return_counts=True)
    twice = unique[(counts > 1) | seen[unique]]
    if len(twice):
        raise InputError(f"{path}: user {twice[0]} has two sequences")
    seen[users] = True


def _check_batch(path: str, batch: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    users, row_splits = batch["user"], batch["item"][1]
    lengths = np.diff(row_splits)
    for name in batch:
        if name not in ("user", "split") and not np.array_equal(batch[name][1], row_splits):
            raise InputError(f"{path}: {name} and item differ in length")
    for name, size in sizes.items():
        _require_range(path, name, batch[name][0], size)
    train_end, valid_end = batch["split"].T
    wrong = np.flatnonzero((train_end < 0) | (valid_end < train_end) | (lengths < valid_end))
    if len(wrong):
        row = wrong[0]
        parts = f"[{train_end[row]}, {valid_end[row]}]"
        raise InputError(f"{path}: user {users[row]}: split {parts} of {lengths[row]} interactions")
    if "timestamp" in batch:
        times = batch["timestamp"][0]
        descends = times[1:] < times[:-1]
        starts = row_splits[1:-1]
        descends[starts[(starts > 0) & (starts < len(times))] - 1] = False
        if descends.any():
            row = np.searchsorted(row_splits, np.flatnonzero(descends)[0], side="right") - 1
            raise InputError(f"{path}: user {users[row]}: timestamps that do not ascend")
    if "rating" in batch and not np.isfinite(batch["rating"][0]).all():
        raise InputError(f"{path}: a rating that is no finite number")


def _require_range(path: str, name: str, ids: np.ndarray, size: int) -> None:
    wrong = ids[(ids < 1) | (ids > size)]
    if len(wrong):
        raise InputError(f"{path}: {name} id {wrong[0]}, expected 1 to {size}")


def _check_attributes(path: str, manifest: Manifest) -> None:
    sha256, _ = _digest(path)
    if sha256 != manifest.attributes_sha256:
        raise InputError(f"{path}: altered: sha256 {sha256}, the manifest says {manifest.attributes_sha256}")
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
        expected = [f"{name}/{part}.npy" for name, part in _parts(manifest)]
        # What is not packed cannot take more memory than the file has bytes.
        if packed or sorted(names) != sorted(expected):
            raise ValueError(f"expected the arrays {', '.join(expected)}, not compressed, found {', '.join(names)}")
        with np.load(path) as table:
            for name in manifest.attributes:
                values, row_splits = table[f"{name}/values"], table[f"{name}/row_splits"]
                _check_table(name, values, row_splits, manifest)
    except READ_ERRORS as error:
        raise InputError(f"{path}: not a table of item attributes: {str(error)[:300]}") from None


def _parts(manifest: Manifest) -> Iterable[tuple[str, str]]:
    return itertools.product(manifest.attributes, ("values", "row_splits"))


def _check_table(name: str, values: np.ndarray, row_splits: np.ndarray, manifest: Manifest) -> None:
    for array in (values, row_splits):
        if array.dtype != np.int64 or array.ndim != 1:
            raise ValueError(f"{name}: expected arrays of int64 with one axis")
    if len(row_splits) != manifest.num_items + 2:
        raise ValueError(f"{name}: {len(row_splits) - 2} rows of items, the manifest says {manifest.num_items}")
    if row_splits[1] != 0 or row_splits[0] != 0 or row_splits[-1] != len(values) or (np.diff(row_splits) < 0).any():
        raise ValueError(f"{name}: rows that do not follow each other")
    size = manifest.vocabularies[name].size
    wrong = values[(values < 1) | (values > size)]
    if len(wrong):
        raise ValueError(f"{name}: value id {wrong[0]}, expected 1 to {size}")
    if manifest.attributes[name] == "token" and (np.diff(row_splits) > 1).any():
        raise ValueError(f"{name}: an item with two values of an attribute of one token")
