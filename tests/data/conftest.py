import json
import os

import numpy as np
import pytest

from tfrecs.data import manifest as manifests
from tfrecs.data import records


@pytest.fixture(scope="session")
def prepare(tmp_path_factory):
    """Writes sequences `{user: (split, items)}` as prepared data; gives (directory, manifest)."""

    def write(sequences, num_items, num_shards=2, ratings=False):
        directory = str(tmp_path_factory.mktemp("prepared"))
        with records.ShardWriter(directory, num_shards) as writer:
            for user, (split, items) in sequences.items():
                fields = {"rating": np.asarray(items) / 2} if ratings else {}
                writer.write(user, split, {"item": items} | fields)
        num_users = max(sequences, default=0)
        vocabularies = {}
        os.mkdir(os.path.join(directory, "vocab"))
        for name, size in (("user", num_users), ("item", num_items)):
            path = os.path.join("vocab", f"{name}.txt")
            with open(os.path.join(directory, path), "w") as file:
                file.writelines(f"{name}{code}\n" for code in range(1, size + 1))
            sha256, _ = manifests.digest(os.path.join(directory, path))
            vocabularies[name] = manifests.Vocabulary(path, sha256, size)
        manifest = manifests.Manifest(
            name="test",
            fields=("item", "rating") if ratings else ("item",),
            num_users=num_users,
            num_items=num_items,
            num_interactions=sum(len(items) for _, items in sequences.values()),
            split={"kind": "leave_one_out"},
            shards=writer.shards,
            vocabularies=vocabularies,
            attributes={},
            attributes_sha256=None,
            provenance={},
            versions={},
        )
        with open(os.path.join(directory, manifests.FILE_NAME), "w") as file:
            file.write(manifest.to_json())
        return directory, manifest

    return write


@pytest.fixture
def edit_manifest():
    """Rewrites `dataset.json` with some entries changed."""

    def edit(directory, **changes):
        path = os.path.join(directory, manifests.FILE_NAME)
        with open(path) as file:
            content = json.load(file) | changes
        with open(path, "w") as file:
            json.dump(content, file)

    return edit


@pytest.fixture(scope="session")
def random_sequences():
    """`f(random, users, items)`: sequences of 0 to 12 items, most of them with two held out."""

    def make(random, num_users, num_items):
        sequences = {}
        for user in range(1, num_users + 1):
            length = int(random.integers(0, 13))
            split = (max(length - 2, 0), max(length - 1, 0))
            sequences[user] = (split, random.integers(1, num_items + 1, length).tolist())
        return sequences

    return make
