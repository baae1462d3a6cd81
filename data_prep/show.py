"""What a prepared data directory holds, in words."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

import numpy as np
import tensorflow as tf

from tfrecs.data import manifest as manifests
from tfrecs.data import records, verification
from tfrecs.data.manifest import Manifest
from tfrecs.errors import shown_lines

NUM_SEQUENCES_SHOWN = 3
NUM_ITEMS_SHOWN = 8
PARSE_BATCH = 1024


def summary(manifest: Manifest) -> str:
    """One line: the counts of a manifest."""
    density = manifest.num_interactions / (manifest.num_users * manifest.num_items)
    return (
        f"{manifest.name}: {manifest.num_interactions:,} interactions, {manifest.num_users:,} "
        f"users, {manifest.num_items:,} items, density {100 * density:.3g} %"
    )


def show(data_dir: str, stream: TextIO) -> None:
    """Verifies a data directory and prints what it holds.

    Args:
        data_dir: str, a directory that `prepare` wrote.
        stream: text stream to print to.

    Raises:
        InputError: no prepared data there, or a file does not match the manifest.
    """
    manifest = manifests.load(data_dir)
    verification.verify(data_dir, manifest)
    lengths, split_counts, first, per_item = _scan(data_dir, manifest)
    quantiles = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 0.9, 0.99, 1], method="nearest")
    names = ("min", "25 %", "median", "75 %", "90 %", "99 %", "max")
    lines = [
        summary(manifest),
        "sequence lengths: " + ", ".join(f"{n} {q}" for n, q in zip(names, quantiles, strict=True)),
        f"interactions per item: min {per_item.min()}, mean {int(per_item.mean())}, max {per_item.max()}",
        f"split: {json.dumps(manifest.split)}: "
        + ", ".join(f"{count:,} {part}" for part, count in split_counts.items()),
        f"fields: {', '.join(manifest.fields)}",
        "attributes: " + (", ".join(_attributes(manifest)) or "none"),
        f"shards: {len(manifest.shards)}, {sum(s.num_bytes for s in manifest.shards):,} bytes",
        f"oracle: {json.dumps(manifest.oracle)}",
        f"provenance: {json.dumps(manifest.provenance, indent=2, sort_keys=True)}",
        f"versions: {json.dumps(manifest.versions)}",
        *_decoded(data_dir, manifest, first),
    ]
    print(shown_lines("\n".join(lines)), file=stream)


def _attributes(manifest: Manifest) -> Iterator[str]:
    for name, kind in manifest.attributes.items():
        yield f"{name} ({kind}, {manifest.vocabularies[name].size:,} values)"


def _scan(
    data_dir: str, manifest: Manifest
) -> tuple[np.ndarray, dict[str, int], list[tuple[int, dict[str, np.ndarray]]], np.ndarray]:
    """Lengths, sizes of the split's parts, the first sequences by user id, and how often each item occurs."""
    paths = [manifests.file_path(data_dir, shard.path) for shard in manifest.shards]
    rows, splits, first = [], [], []
    per_item = np.zeros(manifest.num_items, np.int64)
    for batch in tf.data.TFRecordDataset(paths).batch(PARSE_BATCH):
        parsed = records.parse(batch, manifest.fields)
        rows.append(parsed["item"].row_lengths().numpy())
        splits.append(parsed["split"].numpy())
        per_item += np.bincount(parsed["item"].flat_values.numpy(), minlength=manifest.num_items + 1)[1:]
        users = parsed["user"].numpy()
        for row in np.flatnonzero(users <= NUM_SEQUENCES_SHOWN):
            fields = {name: parsed[name][row].numpy() for name in manifest.fields}
            first.append((int(users[row]), fields))
    lengths = np.concatenate(rows)
    train_end, valid_end = np.concatenate(splits).T
    counts = {
        "training": int(train_end.sum()),
        "validation": int((valid_end - train_end).sum()),
        "test": int((lengths - valid_end).sum()),
    }
    return lengths, counts, sorted(first, key=lambda entry: entry[0]), per_item


def _decoded(
    data_dir: str, manifest: Manifest, sequences: Iterable[tuple[int, Mapping[str, np.ndarray]]]
) -> Iterator[str]:
    items = manifests.read_vocabulary(data_dir, manifest, "item")
    actions = None
    if "action" in manifest.fields:
        actions = manifests.read_vocabulary(data_dir, manifest, "action")
    path = manifests.file_path(data_dir, manifest.vocabularies["user"].path)
    with open(path, encoding="utf-8", newline="\n") as file:
        users = [line.rstrip("\n") for line in itertools.islice(file, NUM_SEQUENCES_SHOWN)]
    for user, fields in sequences:
        yield f"user {users[user - 1]!r}, {len(fields['item'])} interactions:"
        for position in range(min(NUM_ITEMS_SHOWN, len(fields["item"]))):
            shown = {name: values[position].item() for name, values in fields.items()}
            shown["item"] = items[shown["item"] - 1]
            if actions is not None:
                shown["action"] = actions[shown["action"] - 1]
            yield "  " + ", ".join(f"{name} {value!r}" for name, value in shown.items())
