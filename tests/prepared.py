"""Prepared data, written by hand."""

import os

from tfrecs.data import manifest as manifests
from tfrecs.data import records


def write(directory, sequences, num_items, fields=("item",), num_shards=2, split="leave_one_out"):
    """Writes `{user: (split, {field: values})}` as prepared data.

    Args:
        directory: str, made where it is absent.
        sequences: dict, as above; users from 1.
        num_items: int.
        fields: tuple of str, what each sequence has.
        num_shards: int.
        split: str, the kind of split.

    Returns:
        `tfrecs.data.manifest.Manifest`, as it lies in the directory.
    """
    os.makedirs(os.path.join(directory, "vocab"))
    with records.ShardWriter(directory, num_shards) as writer:
        for user, (boundaries, values) in sequences.items():
            writer.write(user, boundaries, values)
    vocabularies = {}
    for name, size in (("user", max(sequences, default=0)), ("item", num_items)):
        path = os.path.join("vocab", f"{name}.txt")
        with open(os.path.join(directory, path), "w") as file:
            file.writelines(f"{name}{code}\n" for code in range(1, size + 1))
        vocabularies[name] = manifests.Vocabulary(path, manifests.digest(os.path.join(directory, path))[0], size)
    manifest = manifests.Manifest(
        name="test",
        fields=tuple(fields),
        num_users=max(sequences, default=0),
        num_items=num_items,
        num_interactions=sum(len(values["item"]) for _, values in sequences.values()),
        split={"kind": split},
        shards=writer.shards,
        vocabularies=vocabularies,
        attributes={},
        attributes_sha256=None,
        provenance={},
        versions={},
    )
    manifests.save(directory, manifest)
    return manifest
