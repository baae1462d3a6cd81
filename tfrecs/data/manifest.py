"""The manifest `dataset.json`: what a prepared data directory holds, how it was made, and how to check it."""

import dataclasses
import hashlib
import json
import os

from tfrecs.data.schema import SCHEMA_VERSION, SEQUENCE_FIELDS
from tfrecs.errors import InputError

FILE_NAME = "dataset.json"
ATTRIBUTES_FILE = "item_attributes.npz"


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
    fields: tuple
    num_users: int
    num_items: int
    num_interactions: int
    split: dict
    shards: tuple
    vocabularies: dict
    attributes: dict
    attributes_sha256: str | None
    provenance: dict
    versions: dict
    oracle: dict | None = None
    schema_version: int = SCHEMA_VERSION

    def to_json(self):
        """The manifest as JSON text with sorted keys; equal manifests give equal text."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"


def load(data_dir):
    """Reads and checks `data_dir/dataset.json`; the shards themselves are checked by `verify`.

    Args:
        data_dir: str, a directory that `data_prep` wrote.

    Returns:
        a `Manifest`.

    Raises:
        InputError: no manifest there, not JSON, another schema version, or a key missing.
    """
    path = os.path.join(data_dir, FILE_NAME)
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise InputError(
            f"{path}: no prepared data here ({error.strerror}); "
            "make it with: python -m data_prep.prepare --dataset NAME --out_dir DIR"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: not a JSON manifest: {error}") from None
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        version = content.get("schema_version") if isinstance(content, dict) else None
        raise InputError(
            f"{path}: schema_version {version!r}, but this tfrecs reads version {SCHEMA_VERSION}; "
            "prepare the data again"
        )
    names = {field.name for field in dataclasses.fields(Manifest)}
    if names != set(content):
        wrong = ", ".join(sorted(names ^ set(content)))
        raise InputError(f"{path}: missing or unknown keys: {wrong}")
    try:
        content["shards"] = tuple(Shard(**shard) for shard in content["shards"])
        content["vocabularies"] = {name: Vocabulary(**entry) for name, entry in content["vocabularies"].items()}
        content["fields"] = tuple(content["fields"])
    except (TypeError, AttributeError) as error:
        raise InputError(f"{path}: malformed: {error}") from None
    unknown = [name for name in content["fields"] if str(name) not in SEQUENCE_FIELDS]
    if unknown or "item" not in content["fields"]:
        raise InputError(f"{path}: unknown fields {unknown}" if unknown else f"{path}: no field 'item'")
    return Manifest(**content)


def verify(data_dir, manifest):
    """Compares every file with the manifest, so that nothing truncated, altered or mixed up is read.

    Args:
        data_dir: str.
        manifest: the `Manifest` that `load` returned.

    Raises:
        InputError: naming the first file that is missing, truncated, altered or does not match.
    """
    for shard in manifest.shards:
        path = os.path.join(data_dir, shard.path)
        sha256, size = _digest_or_error(path)
        if size != shard.num_bytes:
            raise InputError(f"{path}: truncated or altered: {size} bytes, the manifest says {shard.num_bytes}")
        if sha256 != shard.sha256:
            raise InputError(f"{path}: altered: sha256 {sha256}, the manifest says {shard.sha256}")
    for name, vocabulary in manifest.vocabularies.items():
        path = os.path.join(data_dir, vocabulary.path)
        sha256, _ = _digest_or_error(path)
        if sha256 != vocabulary.sha256:
            raise InputError(
                f"{path}: the {name} vocabulary does not match the shards: sha256 {sha256}, "
                f"the manifest says {vocabulary.sha256}"
            )
        with open(path, "rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        if lines != vocabulary.size:
            raise InputError(f"{path}: {lines} lines, the manifest says {vocabulary.size}")
    sequences = sum(shard.num_sequences for shard in manifest.shards)
    if sequences != manifest.num_users:
        raise InputError(
            f"{os.path.join(data_dir, FILE_NAME)}: the shards hold {sequences} sequences, one a user, "
            f"but num_users is {manifest.num_users}"
        )
    for name, expected in (("user", manifest.num_users), ("item", manifest.num_items)):
        size = manifest.vocabularies[name].size if name in manifest.vocabularies else 0
        if size != expected:
            raise InputError(
                f"{os.path.join(data_dir, FILE_NAME)}: the {name} vocabulary has {size} lines, "
                f"the shards hold ids up to {expected}"
            )
    if manifest.attributes_sha256 is not None:
        path = os.path.join(data_dir, ATTRIBUTES_FILE)
        sha256, _ = _digest_or_error(path)
        if sha256 != manifest.attributes_sha256:
            raise InputError(f"{path}: altered: sha256 {sha256}, the manifest says {manifest.attributes_sha256}")


def read_vocabulary(data_dir, manifest, name):
    """The tokens of a vocabulary, `tokens[id - 1]` for an id.

    Args:
        data_dir: str.
        manifest: `Manifest`.
        name: `user`, `item`, `action` or an attribute's name.

    Returns:
        list of str.
    """
    path = os.path.join(data_dir, manifest.vocabularies[name].path)
    with open(path, encoding="utf-8", newline="\n") as file:
        return file.read().split("\n")[:-1]


def digest(path):
    """`(sha256 hex digest, size in bytes)` of a file."""
    sha256 = hashlib.sha256()
    size = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
            size += len(block)
    return sha256.hexdigest(), size


def _digest_or_error(path):
    try:
        return digest(path)
    except OSError as error:
        raise InputError(f"{path}: listed in the manifest but {error.strerror}") from None
