"""The manifest `dataset.json`: what a prepared data directory holds and how it was made."""

import dataclasses
import hashlib
import os
from typing import Any

from tfrecs import files, json_files, json_schema
from tfrecs.data.schema import SCHEMA_VERSION, SEQUENCE_FIELDS
from tfrecs.errors import InputError
from tfrecs.json_schema import ANY, Mapping, Number, Optional, Text

FILE_NAME = "dataset.json"
ATTRIBUTES_FILE = "item_attributes.npz"
WHAT = "the description of prepared data"
REMEDY = "prepare the data again: python -m data_prep.prepare --overwrite 1 ..."
# Names become parts of paths: that of the data names a run directory, that of an attribute its vocabulary.
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
ATTRIBUTE_NAME = r"\w[\w.-]{0,99}"
RESERVED = ("user", "item", "action")
SHA256 = Text(r"[0-9a-f]{64}")
COUNT = Number(int, 0)
# Of each kind of split, what the rule must say and what it may say.
SPLITS = {
    "leave_one_out": ((), ()),
    "ratio": (("valid_fraction", "test_fraction"), ()),
    "time": (("valid_from", "test_from"), ("valid_fraction", "test_fraction")),
}
SCHEMA = {
    "name": Text(NAME),
    "fields": [Text("|".join(SEQUENCE_FIELDS))],
    "num_users": COUNT,
    "num_items": COUNT,
    "num_interactions": COUNT,
    "split": {
        "kind": Text("|".join(SPLITS)),
        "valid_fraction": Optional(Number(float, 0, 1)),
        "test_fraction": Optional(Number(float, 0, 1)),
        "valid_from": Optional(int),
        "test_from": Optional(int),
    },
    "shards": [{"path": str, "sha256": SHA256, "num_bytes": COUNT, "num_sequences": COUNT}],
    "vocabularies": Mapping({"path": str, "sha256": SHA256, "size": COUNT}, ATTRIBUTE_NAME),
    "attributes": Mapping(Text("token|list"), ATTRIBUTE_NAME),
    "attributes_sha256": (SHA256, None),
    "provenance": Mapping(ANY),
    "versions": Mapping(str),
    "oracle": (Mapping(float), None),
    "schema_version": Number(int, SCHEMA_VERSION, SCHEMA_VERSION),
}


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file: its name in the data directory, its digest and what it holds."""

    path: str
    sha256: str
    num_bytes: int
    num_sequences: int


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """One `vocab/*.txt` file: line n (from 0) is the token of id n + 1; `size` counts the lines."""

    path: str
    sha256: str
    size: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Everything a reader needs to know of a prepared data directory.

    Args:
        name: the source's name, `ml-100k`.
        fields: per-interaction features of the records, a subset of `schema.SEQUENCE_FIELDS`.
        num_users: int, users in the vocabulary.
        num_items: int, items in the vocabulary.
        num_interactions: int, over all records.
        split: dict, the rule the boundaries in the records were made by, `{"kind": "leave_one_out"}`.
        shards: tuple of `Shard`.
        vocabularies: dict of `user`, `item`, `action` or an attribute's name to `Vocabulary`.
        attributes: dict of item attribute to its kind, `token` (one) or `list`; the table itself is
            `item_attributes.npz` with `<name>/values` and `<name>/row_splits`, row i for item id i.
        attributes_sha256: digest of that file, or None without attributes.
        provenance: dict, source, raw files, options, filters and what they dropped.
        versions: dict of library to version.
        oracle: dict or None; metrics of the generating process, where it is known (`sample`).
        schema_version: int.
    """

    name: str
    fields: tuple[str, ...]
    num_users: int
    num_items: int
    num_interactions: int
    split: dict[str, Any]
    shards: tuple[Shard, ...]
    vocabularies: dict[str, Vocabulary]
    attributes: dict[str, str]
    attributes_sha256: str | None
    provenance: dict[str, Any]
    versions: dict[str, str]
    oracle: dict[str, float] | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def digests(self) -> tuple[str, ...]:
        """What tells apart data whose ids stand for other users or items: the SHA-256 of both vocabularies."""
        return tuple(self.vocabularies[name].sha256 for name in ("user", "item"))


def save(data_dir: str, manifest: Manifest) -> None:
    """Writes `data_dir/dataset.json`, with a checksum.

    Args:
        data_dir: str.
        manifest: `Manifest`.

    Raises:
        InputError: the file cannot be written.
    """
    json_files.write(os.path.join(data_dir, FILE_NAME), dataclasses.asdict(manifest))


def load(data_dir: str) -> Manifest:
    """Reads and checks `data_dir/dataset.json`; the other files are checked by `tfrecs.data.verification.verify`.

    Args:
        data_dir: str, a directory that `data_prep` wrote.

    Returns:
        a `Manifest`.

    Raises:
        InputError: no manifest there, a damaged one, another schema version, or content that contradicts itself; it
            names file and field.
    """
    path = os.path.join(data_dir, FILE_NAME)
    if not os.path.lexists(path):
        reason = "No such file or directory" if os.path.isdir(data_dir) else "no such directory"
        raise InputError(
            f"{path}: no prepared data here ({reason}); "
            "make it with: python -m data_prep.prepare --dataset NAME --out_dir DIR"
        )
    content = json_files.load(path, WHAT, REMEDY)
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version {json_schema.echo(version)}, but this tfrecs reads version {SCHEMA_VERSION}; "
            + REMEDY
        )
    json_schema.check(content, SCHEMA, path)
    json_schema.check(content["provenance"].get("raw_files", {}), Mapping(SHA256), path, "provenance.raw_files")
    content["shards"] = tuple(Shard(**shard) for shard in content["shards"])
    content["vocabularies"] = {name: Vocabulary(**entry) for name, entry in content["vocabularies"].items()}
    content["fields"] = tuple(content["fields"])
    manifest = Manifest(**content)
    _check_consistency(path, manifest)
    return manifest


def file_path(data_dir: str, name: str) -> str:
    """The path of a file that a manifest names.

    Args:
        data_dir: str.
        name: str, a relative name, parts separated by `/`.

    Returns:
        str.

    Raises:
        InputError: the name is absolute, contains `..` or leads out of the directory through a link.

    Example:
        >>> file_path("data", "../vocab/item.txt")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: data/dataset.json: '../vocab/item.txt' is not the name of a file below the directory
    """
    path = os.path.join(data_dir, name)
    parts = name.split("/")
    plain = name.isprintable() and "\\" not in name and all(part not in ("", ".", "..") for part in parts)
    if not plain or not _is_below(data_dir, path):
        where = os.path.join(data_dir, FILE_NAME)
        raise InputError(f"{where}: {json_schema.echo(name)} is not the name of a file below the directory")
    return path


def _is_below(data_dir: str, path: str) -> bool:
    root = os.path.realpath(data_dir)
    return os.path.realpath(path).startswith(os.path.join(root, ""))


def _check_consistency(path: str, manifest: Manifest) -> None:
    """Refuses entries that contradict each other; the content of the files is not checked."""
    data_dir = os.path.dirname(path)
    paths = [shard.path for shard in manifest.shards]
    paths += [vocabulary.path for vocabulary in manifest.vocabularies.values()]
    for name in (*paths, ATTRIBUTES_FILE):
        file_path(data_dir, name)
    _require(len(set(paths)) == len(paths), path, "two entries name the same file")
    fields = manifest.fields
    _require("item" in fields, path, "fields: no field 'item'")
    _require(len(set(fields)) == len(fields), path, f"fields: one occurs twice in {', '.join(fields)}")
    required, allowed = SPLITS[manifest.split["kind"]]
    wrong = (set(manifest.split) - {"kind", *allowed}) ^ set(required)
    _require(not wrong, path, f"split: missing or unknown for {manifest.split['kind']}: {', '.join(sorted(wrong))}")
    expected = {"user", "item", *(["action"] if "action" in fields else []), *manifest.attributes}
    _require(not set(RESERVED) & set(manifest.attributes), path, "attributes: named like a vocabulary of ids")
    different = expected ^ set(manifest.vocabularies)
    _require(not different, path, f"vocabularies: missing or unknown: {', '.join(sorted(different))}")
    has_table = manifest.attributes_sha256 is not None
    _require(bool(manifest.attributes) == has_table, path, "attributes and attributes_sha256 contradict each other")
    sequences = sum(shard.num_sequences for shard in manifest.shards)
    _require(
        sequences == manifest.num_users,
        path,
        f"the shards hold {sequences} sequences, one a user, but num_users is {manifest.num_users}",
    )
    for name, count in (("user", manifest.num_users), ("item", manifest.num_items)):
        size = manifest.vocabularies[name].size
        problem = f"the {name} vocabulary has {size} lines, the shards hold ids up to {count}"
        _require(size == count, path, problem)


def _require(condition: bool, path: str, problem: str) -> None:
    if not condition:
        raise InputError(f"{path}: {problem}")


def read_vocabulary(data_dir: str, manifest: Manifest, name: str) -> list[str]:
    """The tokens of a vocabulary, `tokens[id - 1]` for an id.

    Args:
        data_dir: str.
        manifest: `Manifest`.
        name: `user`, `item`, `action` or an attribute's name.

    Returns:
        list of str.
    """
    with files.open_regular(file_path(data_dir, manifest.vocabularies[name].path)) as file:
        return file.read().decode("utf-8").split("\n")[:-1]


def digest(path: str) -> tuple[str, int]:
    """`(sha256 hex digest, size in bytes)` of a file.

    Raises:
        InputError: it cannot be read, or is no regular file.
    """
    sha256 = hashlib.sha256()
    size = 0
    with files.open_regular(path) as file:
        try:
            while block := file.read(1 << 20):
                sha256.update(block)
                size += len(block)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return sha256.hexdigest(), size
