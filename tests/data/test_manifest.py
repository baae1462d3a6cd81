import dataclasses
import json
import os

import pytest

from tfrecs.data import manifest as manifests
from tfrecs.errors import InputError

SEQUENCES = {1: ((1, 2), [1, 2, 3]), 2: ((1, 2), [3, 2, 1]), 3: ((2, 3), [2, 2, 1, 3])}


@pytest.fixture
def prepared(prepare):
    return prepare(SEQUENCES, 3)


def rejects(directory, *parts):
    """`load` then `verify` fail with a message that holds all parts."""
    with pytest.raises(InputError) as caught:
        manifests.verify(directory, manifests.load(directory))
    for part in parts:
        assert str(part) in str(caught.value)


def change(directory, path, edit):
    path = os.path.join(directory, path)
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(edit(content))


def test_what_was_written_is_read_back(prepared):
    directory, manifest = prepared
    assert manifests.load(directory) == manifest
    manifests.verify(directory, manifest)
    assert manifests.read_vocabulary(directory, manifest, "item") == ["item1", "item2", "item3"]


def test_no_manifest(tmp_path):
    rejects(str(tmp_path), tmp_path / "dataset.json", "no prepared data here", "data_prep.prepare")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b'{"name": }'])
def test_not_json(prepared, text):
    change(prepared[0], "dataset.json", lambda _: text)
    rejects(prepared[0], "dataset.json", "not a JSON manifest")


@pytest.mark.parametrize("content", [[], "text", {}, None])
def test_json_but_no_manifest(prepared, content):
    change(prepared[0], "dataset.json", lambda _: json.dumps(content).encode())
    rejects(prepared[0], "dataset.json", "schema_version None")


def test_other_schema_version(prepared, edit_manifest):
    edit_manifest(prepared[0], schema_version=99)
    rejects(prepared[0], "dataset.json", "schema_version 99", "reads version 1")


def test_unknown_and_missing_keys(prepared, edit_manifest):
    edit_manifest(prepared[0], colour="red")
    rejects(prepared[0], "dataset.json", "missing or unknown keys: colour")
    content = dataclasses.asdict(prepared[1])
    del content["split"]
    change(prepared[0], "dataset.json", lambda _: json.dumps(content).encode())
    rejects(prepared[0], "dataset.json", "missing or unknown keys: split")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"shards": [{"path": "a"}]}, "malformed"),
        ({"shards": [5]}, "malformed"),
        ({"shards": 5}, "malformed"),
        ({"vocabularies": []}, "malformed"),
        ({"vocabularies": {"user": {"lines": 3}}}, "malformed"),
        ({"fields": 5}, "malformed"),
        ({"fields": ["item", "colour"]}, "unknown fields ['colour']"),
        ({"fields": ["item", ["rating"]]}, "unknown fields [['rating']]"),
        ({"fields": []}, "no field 'item'"),
    ],
)
def test_malformed_entries(prepared, edit_manifest, changes, message):
    edit_manifest(prepared[0], **changes)
    rejects(prepared[0], "dataset.json", message)


def test_truncated_shard(prepared):
    directory, manifest = prepared
    change(directory, manifest.shards[1].path, lambda content: content[:-3])
    size = manifest.shards[1].num_bytes
    rejects(directory, manifest.shards[1].path, "truncated", f"{size - 3} bytes", size)


def test_altered_shard(prepared):
    directory, manifest = prepared
    change(directory, manifest.shards[0].path, lambda content: content[:20] + b"?" + content[21:])
    rejects(directory, manifest.shards[0].path, "altered", manifest.shards[0].sha256)


def test_missing_shard(prepared):
    directory, manifest = prepared
    os.remove(os.path.join(directory, manifest.shards[0].path))
    rejects(directory, manifest.shards[0].path, "listed in the manifest but No such file")


def test_swapped_shards(prepare):
    directory, manifest = prepare({1: SEQUENCES[1], 2: SEQUENCES[1]}, 3)
    first, second = (os.path.join(directory, shard.path) for shard in manifest.shards)
    os.rename(first, first + ".other")
    os.rename(second, first)
    os.rename(first + ".other", second)
    rejects(directory, manifest.shards[0].path, "altered")


def test_altered_vocabulary(prepared):
    change(prepared[0], "vocab/item.txt", lambda content: content.replace(b"item2", b"item4"))
    rejects(prepared[0], "vocab/item.txt", "the item vocabulary does not match the shards")


def test_missing_vocabulary(prepared):
    os.remove(os.path.join(prepared[0], "vocab/user.txt"))
    rejects(prepared[0], "vocab/user.txt", "listed in the manifest but No such file")


@pytest.mark.parametrize("name, other", [("num_users", 4), ("num_items", 2)])
def test_wrong_counts(prepared, edit_manifest, name, other):
    edit_manifest(prepared[0], **{name: other})
    rejects(prepared[0], "dataset.json", other, 3)


def test_wrong_counts_of_lines_and_sequences(prepared, edit_manifest):
    content = json.loads(prepared[1].to_json())
    content["vocabularies"]["item"]["size"] = 2
    edit_manifest(prepared[0], vocabularies=content["vocabularies"], num_items=2)
    rejects(prepared[0], "vocab/item.txt", "3 lines, the manifest says 2")
    content = json.loads(prepared[1].to_json())
    content["shards"][0]["num_sequences"] = 0
    edit_manifest(prepared[0], **content)
    rejects(prepared[0], "the shards hold 1 sequences", "num_users is 3")


def test_vocabulary_left_out(prepared, edit_manifest):
    edit_manifest(prepared[0], vocabularies={})
    rejects(prepared[0], "the user vocabulary has 0 lines", "up to 3")


def test_attributes(prepared, edit_manifest):
    directory = prepared[0]
    path = os.path.join(directory, manifests.ATTRIBUTES_FILE)
    edit_manifest(directory, attributes_sha256="0" * 64)
    rejects(directory, manifests.ATTRIBUTES_FILE, "listed in the manifest but No such file")
    with open(path, "wb") as file:
        file.write(b"table")
    rejects(directory, manifests.ATTRIBUTES_FILE, "altered")
    edit_manifest(directory, attributes_sha256=manifests.digest(path)[0])
    manifests.verify(directory, manifests.load(directory))
