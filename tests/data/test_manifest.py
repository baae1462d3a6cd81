import dataclasses
import json
import os
import random
import re
import shutil

import pytest

from tfrecs import json_files
from tfrecs.data import manifest as manifests
from tfrecs.data import verification
from tfrecs.errors import InputError

SEQUENCES = {1: ((1, 2), [1, 2, 3]), 2: ((1, 2), [3, 2, 1]), 3: ((2, 3), [2, 2, 1, 3])}


@pytest.fixture
def prepared(prepare):
    return prepare(SEQUENCES, 3)


def rejects(directory, *parts):
    """`load` then `verify` fail with a message that holds all parts."""
    with pytest.raises(InputError) as caught:
        verification.verify(directory, manifests.load(directory))
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
    verification.verify(directory, manifest)
    assert manifests.read_vocabulary(directory, manifest, "item") == ["item1", "item2", "item3"]


def test_no_manifest(tmp_path):
    rejects(str(tmp_path), tmp_path / "dataset.json", "no prepared data here", "data_prep.prepare")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b'{"name": }', b"[]", b"null"])
def test_not_a_manifest(prepared, text):
    change(prepared[0], "dataset.json", lambda _: text)
    rejects(prepared[0], "dataset.json", "not the description of prepared data")


def test_an_older_manifest_has_no_checksum(prepared):
    content = dataclasses.asdict(prepared[1]) | {"schema_version": 1}
    change(prepared[0], "dataset.json", lambda _: json.dumps(content, indent=2, sort_keys=True).encode())
    rejects(prepared[0], "dataset.json", "no checksum", "prepare the data again")


def test_other_schema_version(prepared, edit_manifest):
    edit_manifest(prepared[0], schema_version=99)
    rejects(prepared[0], "dataset.json", "schema_version 99", "reads version 2", "prepare the data again")


def test_every_damaged_byte_of_a_manifest_is_seen(prepared):
    path = os.path.join(prepared[0], "dataset.json")
    with open(path, "rb") as file:
        sound = file.read()
    generator = random.Random(11)
    for place in range(0, len(sound), 11):
        damages = {
            sound[:place] + bytes([generator.randrange(256)]) + sound[place + 1 :],
            sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :],
            sound[:place] + sound[place + 1 :],
            sound[:place],
        }
        for damaged in damages - {sound}:
            change(prepared[0], "dataset.json", lambda _, damaged=damaged: damaged)
            with pytest.raises(InputError, match=re.escape(path)):
                manifests.load(prepared[0])


def test_unknown_and_missing_keys(prepared, edit_manifest):
    edit_manifest(prepared[0], colour="red")
    rejects(prepared[0], "dataset.json", "unknown field colour")
    content = dataclasses.asdict(prepared[1])
    del content["split"]
    json_files.write(os.path.join(prepared[0], "dataset.json"), content)
    rejects(prepared[0], "dataset.json", "no field split")


SHARD = {"path": "a", "sha256": "0" * 64, "num_bytes": 0, "num_sequences": 3}
VOCABULARY = {"path": "vocab/a.txt", "sha256": "0" * 64, "size": 3}
BOTH = {"user": VOCABULARY, "item": VOCABULARY | {"path": "vocab/b.txt"}}
ANYTHING = [5, -1, 1.5, True, None, "text", [], {}, [5], {"a": 5}]


@pytest.mark.parametrize(
    "field, allowed",
    [
        ("name", ["text"]),
        ("fields", [[]]),
        ("num_users", [5]),
        ("num_items", [5]),
        ("num_interactions", [5]),
        ("split", [{}, {"a": 5}]),
        ("shards", [[]]),
        ("vocabularies", [{}, {"a": 5}]),
        ("attributes", [{}, {"a": 5}]),
        ("attributes_sha256", [None]),
        ("provenance", [{}, {"a": 5}]),
        ("versions", [{}, {"a": 5}]),
        ("oracle", [None, {}, {"a": 5}]),
    ],
)
def test_values_of_other_types_are_named(prepared, edit_manifest, field, allowed):
    for value in ANYTHING:
        if not any(value == other and type(value) is type(other) for other in allowed):
            edit_manifest(prepared[0], **{field: value})
            rejects(prepared[0], f"dataset.json: {field}", "expected", "got")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"shards": [{"path": "a"}]}, "no field shards[0].sha256"),
        ({"shards": [SHARD | {"num_bytes": True}]}, "shards[0].num_bytes: expected an integer of at least 0, got true"),
        ({"shards": [SHARD | {"sha256": "x"}]}, "shards[0].sha256: expected text"),
        ({"shards": [SHARD, SHARD]}, "two entries name the same file"),
        ({"vocabularies": {"user": {"lines": 3}}}, "unknown field vocabularies.user.lines"),
        ({"vocabularies": {"../x": VOCABULARY}}, "vocabularies: not the name of a field: '../x'"),
        ({"vocabularies": BOTH | {"brand": VOCABULARY | {"path": "c"}}}, "vocabularies: missing or unknown: brand"),
        ({"vocabularies": {}}, "vocabularies: missing or unknown: item, user"),
        ({"fields": ["item", "colour"]}, "fields[1]: expected text"),
        ({"fields": ["item", ["rating"]]}, "fields[1]: expected text"),
        ({"fields": ["item", "item"]}, "fields: one occurs twice"),
        ({"fields": ["item", "action"]}, "vocabularies: missing or unknown: action"),
        ({"fields": []}, "no field 'item'"),
        ({"split": {}}, "no field split.kind"),
        ({"attributes": {"a": 5}}, "attributes.a: expected text like token|list, got 5"),
        ({"versions": {"a": 5}}, "versions.a: expected text, got 5"),
        ({"oracle": {"a": "b"}}, "oracle.a: expected a number, got 'b'"),
        ({"split": {"kind": "never"}}, "split.kind: expected text"),
        ({"split": {"kind": "ratio", "valid_fraction": 0.1}}, "split: missing or unknown for ratio: test_fraction"),
        ({"split": {"kind": "leave_one_out", "test_from": 1}}, "split: missing or unknown for leave_one_out"),
        ({"attributes": {"brand": "token"}}, "vocabularies: missing or unknown: brand"),
        ({"attributes_sha256": "0" * 64}, "attributes and attributes_sha256 contradict each other"),
        ({"provenance": {"raw_files": {"u.data": 5}}}, "provenance.raw_files.u.data: expected text"),
        ({"name": "../../home"}, "name: expected text"),
        ({"name": ".."}, "name: expected text"),
        ({"name": "a/b"}, "name: expected text"),
        ({"name": "-rf"}, "name: expected text"),
        ({"name": "ml\x1b[2J"}, "name: expected text"),
        ({"name": "x" * 101}, "name: expected text"),
    ],
)
def test_malformed_entries(prepared, edit_manifest, changes, message):
    edit_manifest(prepared[0], **changes)
    rejects(prepared[0], "dataset.json", message)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a", "vocab/../../a", "a/./b", "", ".", "a//b", "a\\b", "a\n", "a/"]
)
def test_paths_that_lead_elsewhere(prepared, edit_manifest, name):
    directory, manifest = prepared
    shards = [dataclasses.asdict(shard) for shard in manifest.shards]
    edit_manifest(directory, shards=[shards[0] | {"path": name}, *shards[1:]])
    rejects(directory, "dataset.json", repr(name), "is not the name of a file below the directory")
    vocabularies = {key: dataclasses.asdict(entry) for key, entry in manifest.vocabularies.items()}
    edit_manifest(directory, shards=shards, vocabularies=vocabularies | {"item": vocabularies["item"] | {"path": name}})
    rejects(directory, "dataset.json", repr(name), "is not the name of a file below the directory")
    forged = dataclasses.replace(
        manifest, vocabularies=manifest.vocabularies | {"item": manifests.Vocabulary(name, "0" * 64, 3)}
    )
    with pytest.raises(InputError, match="is not the name of a file below the directory"):
        manifests.read_vocabulary(directory, forged, "item")


@pytest.mark.parametrize("name", ["sequences-00000-of-00002.tfrecord", "vocab/item.txt", "vocab"])
def test_links_that_lead_elsewhere(prepared, tmp_path, name):
    directory = prepared[0]
    inside, outside = os.path.join(directory, name), tmp_path / "secret"
    shutil.move(inside, outside)
    os.symlink(outside, inside)
    rejects(directory, "dataset.json", "is not the name of a file below the directory")


def test_a_linked_directory_is_read(prepared, tmp_path):
    os.symlink(prepared[0], tmp_path / "data")
    assert manifests.load(str(tmp_path / "data")) == prepared[1]


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


@pytest.mark.parametrize("name, other", [("num_users", 4), ("num_items", 2), ("num_interactions", 11)])
def test_wrong_counts(prepared, edit_manifest, name, other):
    edit_manifest(prepared[0], **{name: other})
    rejects(prepared[0], "dataset.json", other, 10 if name == "num_interactions" else 3)


def test_wrong_counts_of_lines_and_sequences(prepared, edit_manifest):
    content = json.loads(json.dumps(dataclasses.asdict(prepared[1])))
    content["vocabularies"]["item"]["size"] = 2
    edit_manifest(prepared[0], vocabularies=content["vocabularies"], num_items=2)
    rejects(prepared[0], "vocab/item.txt", "3 lines, the manifest says 2")
    content = json.loads(json.dumps(dataclasses.asdict(prepared[1])))
    content["shards"][0]["num_sequences"] = 0
    edit_manifest(prepared[0], **content)
    rejects(prepared[0], "the shards hold 1 sequences", "num_users is 3")
