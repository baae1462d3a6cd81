import dataclasses
import os
import time

import numpy as np
import pytest
import tensorflow as tf

from tests.prepared import write
from tfrecs.data import manifest as manifests
from tfrecs.data import records, verification
from tfrecs.errors import InputError

FIELDS = ("item", "timestamp", "rating", "action")


def user(items, split=(1, 2), **changes):
    count = len(items)
    values = {"item": items, "timestamp": list(range(5, 5 + count)), "rating": [3.5] * count, "action": [1] * count}
    return split, values | changes


SOUND = {1: user([1, 2, 3]), 2: user([3, 3]), 3: user([2, 1, 3], (0, 3)), 4: user([], (0, 0)), 5: user([2], (1, 1))}


def forge(directory, sequences=SOUND, shards=None, fields=FIELDS):
    """Prepared data with sound checksums; `shards` are lists of `(user, split, values)` that replace those written."""
    write(directory, sequences, 3, ("item",))
    path = os.path.join(directory, "vocab", "action.txt")
    with open(path, "w") as file:
        file.write("click\n")
    manifest = manifests.load(directory)
    actions = {"action": manifests.Vocabulary("vocab/action.txt", manifests.digest(path)[0], 1)}
    entries = manifest.shards
    if shards is not None:
        entries = tuple(_shard(directory, entry.path, rows) for entry, rows in zip(entries, shards, strict=True))
    manifest = dataclasses.replace(
        manifest, fields=fields, vocabularies=manifest.vocabularies | actions, shards=entries
    )
    manifests.save(directory, manifest)
    return manifests.load(directory)


def _shard(directory, name, rows):
    path = os.path.join(directory, name)
    with tf.io.TFRecordWriter(path) as writer:
        for row in rows:
            writer.write(row if isinstance(row, bytes) else records.encode(*row))
    sha256, size = manifests.digest(path)
    return manifests.Shard(name, sha256, size, len(rows))


def rejects(directory, manifest, *parts):
    with pytest.raises(InputError) as caught:
        verification.verify(directory, manifest)
    for part in (directory, *parts):
        assert part in str(caught.value)


def rows(**changes):
    """The sound rows in two shards, some changed: `user_3=...`; `(split, values)`, and maybe another user."""
    found = {number: (number, *row) for number, row in SOUND.items()}
    found |= {int(name[5:]): row if isinstance(row, bytes) else (int(name[5:]), *row) for name, row in changes.items()}
    return [[found[1], found[3], found[5]], [found[2], found[4]]]


def test_sound_data_pass(tmp_path):
    directory = str(tmp_path / "data")
    verification.verify(directory, forge(directory, shards=rows()))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"user_3": user([2, 4, 3])}, "item id 4, expected 1 to 3"),
        ({"user_3": user([2, 0, 3])}, "item id 0, expected 1 to 3"),
        ({"user_3": user([2, -1, 3])}, "item id -1, expected 1 to 3"),
        ({"user_3": user([2, 2**62, 3])}, "item id 4611686018427387904"),
        ({"user_3": user([2, 1, 3], (2, 4))}, "user 3: split [2, 4] of 3 interactions"),
        ({"user_3": user([2, 1, 3], (2, 1))}, "user 3: split [2, 1] of 3 interactions"),
        ({"user_3": user([2, 1, 3], (-1, 1))}, "user 3: split [-1, 1] of 3 interactions"),
        ({"user_3": user([2, 1, 3], timestamp=[1, 3, 2])}, "user 3: timestamps that do not ascend"),
        ({"user_5": user([2, 1, 3], timestamp=[3, 3, 2])}, "user 5: timestamps that do not ascend"),
        ({"user_3": user([2, 1, 3], timestamp=[1, 3])}, "timestamp and item differ in length"),
        ({"user_3": user([2, 1, 3], rating=[])}, "rating and item differ in length"),
        ({"user_3": user([2, 1, 3], rating=[1, float("nan"), 2])}, "a rating that is no finite number"),
        ({"user_3": user([2, 1, 3], action=[1, 2, 1])}, "action id 2, expected 1 to 1"),
        ({"user_3": (user([2, 1, 3])[0], {"item": [1, 1, 1]})}, "differ in length"),
        ({"user_3": b"no example"}, "not a shard of these fields"),
        ({"user_3": user([2, 1])}, "the shards hold 8 interactions, num_interactions is 9"),
    ],
)
def test_forged_sequences_with_sound_checksums(tmp_path, changes, message):
    directory = str(tmp_path / "data")
    rejects(directory, forge(directory, shards=rows(**changes)), message)


@pytest.mark.parametrize(
    "fields, message",
    [
        (("item", "timestamp", "action"), "the records have the field rating, the manifest says item, timestamp"),
        (("item", "rating", "action"), "the records have the field timestamp"),
    ],
)
def test_a_manifest_that_leaves_out_a_field_of_the_records(tmp_path, fields, message):
    directory = str(tmp_path / "data")
    rejects(directory, forge(directory, fields=fields), "sequences-00000-of-00002.tfrecord", message)


def test_a_manifest_with_a_field_that_no_record_has(tmp_path):
    directory = str(tmp_path / "data")
    manifest = write(directory, {1: ((1, 2), {"item": [1, 2, 3]})}, 3, ("item", "timestamp"))
    rejects(directory, manifest, "timestamp and item differ in length")


@pytest.mark.parametrize(
    "number, message",
    [(1, "user 1 has two sequences"), (2, "user 2 has two sequences"), (6, "user id 6, expected 1 to 5"), (0, "id 0")],
)
def test_forged_users(tmp_path, number, message):
    directory = str(tmp_path / "data")
    shards = rows()
    shards[0][1] = (number, *SOUND[3])
    rejects(directory, forge(directory, shards=shards), message)


def test_forged_number_of_sequences(tmp_path):
    directory = str(tmp_path / "data")
    manifest = forge(directory, shards=rows())
    counts = [dataclasses.replace(shard, num_sequences=n) for shard, n in zip(manifest.shards, (2, 3), strict=True)]
    rejects(directory, dataclasses.replace(manifest, shards=tuple(counts)), "3 sequences, the manifest says 2")


def test_a_shard_that_is_no_shard(tmp_path):
    directory = str(tmp_path / "data")
    manifest = forge(directory)
    path = os.path.join(directory, manifest.shards[0].path)
    with open(path, "wb") as file:
        file.write(b"x" * 40)
    sha256, size = manifests.digest(path)
    shard = dataclasses.replace(manifest.shards[0], sha256=sha256, num_bytes=size)
    rejects(directory, dataclasses.replace(manifest, shards=(shard, manifest.shards[1])), "not a shard of these fields")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"a\nb\na\n", ":3: the token b'a\\n' occurs twice"),
        (b"a\n\nb\n", ":2: an empty token"),
        (b"a\nb\n\xff\n", ":3: not UTF-8"),
        (b"a\nb\nc\nd", ":4: an empty token, or a last line without an end"),
    ],
)
def test_forged_vocabularies(tmp_path, content, message):
    directory = str(tmp_path / "data")
    manifest = forge(directory)
    path = os.path.join(directory, "vocab", "item.txt")
    with open(path, "wb") as file:
        file.write(content)
    item = manifests.Vocabulary("vocab/item.txt", manifests.digest(path)[0], 3)
    manifest = dataclasses.replace(manifest, vocabularies=manifest.vocabularies | {"item": item})
    rejects(directory, manifest, f"{path}{message}")


ROWS = {"brand/values": [1, 2], "brand/row_splits": [0, 0, 1, 1, 2]}


def with_attributes(directory, arrays, save=np.savez, kind="token"):
    """Sound data whose attribute table holds these arrays, three items and two values of `brand`."""
    manifest = forge(directory, shards=rows())
    table, path = (os.path.join(directory, name) for name in (manifests.ATTRIBUTES_FILE, "vocab/brand.txt"))
    with open(path, "w") as file:
        file.write("A\nB\n")
    if callable(arrays):
        arrays(table)
    else:
        save(table, **{name: np.asarray(values) for name, values in arrays.items()})
    return dataclasses.replace(
        manifest,
        vocabularies=manifest.vocabularies
        | {"brand": manifests.Vocabulary("vocab/brand.txt", manifests.digest(path)[0], 2)},
        attributes={"brand": kind},
        attributes_sha256=manifests.digest(table)[0],
    )


def test_a_sound_attribute_table(tmp_path):
    directory = str(tmp_path / "data")
    manifest = with_attributes(directory, ROWS)
    verification.verify(directory, manifest)
    path = os.path.join(directory, manifests.ATTRIBUTES_FILE)
    with open(path, "ab") as file:
        file.write(b"x")
    rejects(directory, manifest, path, "altered")
    os.remove(path)
    rejects(directory, manifest, path, "listed in the manifest but No such file")


def _garbage(path):
    with open(path, "wb") as file:
        file.write(b"PK\x03\x04" + b"x" * 100)


@pytest.mark.parametrize(
    "arrays, message",
    [
        (_garbage, "not a table of item attributes"),
        (ROWS | {"more": [1]}, "expected the arrays brand/values.npy, brand/row_splits.npy"),
        ({"brand/values": [1]}, "expected the arrays"),
        (ROWS | {"brand/values": [1, 3]}, "brand: value id 3, expected 1 to 2"),
        (ROWS | {"brand/values": [0, 1]}, "brand: value id 0, expected 1 to 2"),
        (ROWS | {"brand/values": [1.0, 2.0]}, "brand: expected arrays of int64"),
        (ROWS | {"brand/values": [[1, 2]]}, "brand: expected arrays of int64 with one axis"),
        (ROWS | {"brand/values": np.array([1, "x"], object)}, "not a table of item attributes"),
        (ROWS | {"brand/row_splits": [0, 0, 1, 2]}, "brand: 2 rows of items, the manifest says 3"),
        (ROWS | {"brand/row_splits": [0, 1, 1, 1, 2]}, "brand: rows that do not follow each other"),
        (ROWS | {"brand/row_splits": [0, 0, 2, 1, 2]}, "brand: rows that do not follow each other"),
        (ROWS | {"brand/row_splits": [0, 0, 1, 1, 3]}, "brand: rows that do not follow each other"),
        (ROWS | {"brand/row_splits": [0, 0, 2, 2, 2]}, "brand: an item with two values"),
    ],
)
def test_forged_attribute_tables(tmp_path, arrays, message):
    directory = str(tmp_path / "data")
    rejects(directory, with_attributes(directory, arrays), manifests.ATTRIBUTES_FILE, message)


def test_a_compressed_attribute_table_may_unpack_to_anything(tmp_path):
    directory = str(tmp_path / "data")
    rejects(directory, with_attributes(directory, ROWS, np.savez_compressed), "not compressed")


def test_a_million_interactions_are_verified_in_seconds(tmp_path):
    generator = np.random.default_rng(3)
    sequences = {
        number: ((98, 99), {"item": generator.integers(1, 4, 100), "timestamp": np.arange(100)})
        for number in range(1, 10_001)
    }
    directory = str(tmp_path / "data")
    manifest = write(directory, sequences, 3, ("item", "timestamp"))
    start = time.monotonic()
    verification.verify(directory, manifest)
    assert time.monotonic() - start < 5  # 0.2 s where the machine is idle
