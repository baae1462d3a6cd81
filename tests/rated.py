"""Prepared data with ratings and moments, written by hand."""

import os

import numpy as np

from tfrecs.data import manifest as manifests
from tfrecs.data import records


def prepared(directory, sequences, num_items, num_shards=2):
    """Writes `{user: (split, items, times, ratings)}` as prepared data; gives its `Manifest`."""
    os.makedirs(os.path.join(directory, "vocab"))
    with records.ShardWriter(directory, num_shards) as writer:
        for user, (split, items, times, ratings) in sequences.items():
            fields = {"item": items, "timestamp": times, "rating": np.asarray(ratings, np.float32)}
            writer.write(user, split, fields)
    vocabularies = {}
    for name, size in (("user", max(sequences)), ("item", num_items)):
        path = os.path.join("vocab", f"{name}.txt")
        with open(os.path.join(directory, path), "w") as file:
            file.writelines(f"{name}{code}\n" for code in range(1, size + 1))
        vocabularies[name] = manifests.Vocabulary(path, manifests.digest(os.path.join(directory, path))[0], size)
    manifest = manifests.Manifest(
        name="test",
        fields=("item", "timestamp", "rating"),
        num_users=max(sequences),
        num_items=num_items,
        num_interactions=sum(len(sequence[1]) for sequence in sequences.values()),
        split={"kind": "ratio"},
        shards=writer.shards,
        vocabularies=vocabularies,
        attributes={},
        attributes_sha256=None,
        provenance={},
        versions={},
    )
    with open(os.path.join(directory, manifests.FILE_NAME), "w") as file:
        file.write(manifest.to_json())
    return manifest


def random_sequences(num_users, num_items, seed=0):
    """Sequences of 0 to 9 ratings from 1 to 5, times rising and often equal, about a third held out."""
    random, sequences = np.random.default_rng(seed), {}
    for user in range(1, num_users + 1):
        length = int(random.integers(0, 10))
        split = sorted(random.integers(length - length // 3, length + 1, 2).tolist())
        items = random.integers(1, num_items + 1, length).tolist()
        times = np.sort(random.integers(100, 130, length)).tolist()
        sequences[user] = (split, items, times, random.integers(1, 6, length).tolist())
    return sequences
