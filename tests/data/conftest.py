import json
import os

import numpy as np
import pytest

from tests.prepared import write
from tfrecs import json_files
from tfrecs.data import manifest as manifests


@pytest.fixture(scope="session")
def prepare(tmp_path_factory):
    """Writes sequences `{user: (split, items)}` as prepared data; gives (directory, manifest)."""

    def make(sequences, num_items, num_shards=2, ratings=False):
        directory = str(tmp_path_factory.mktemp("prepared"))
        columns = {
            user: (split, {"item": items} | ({"rating": np.asarray(items) / 2} if ratings else {}))
            for user, (split, items) in sequences.items()
        }
        fields = ("item", "rating") if ratings else ("item",)
        return directory, write(directory, columns, num_items, fields, num_shards)

    return make


@pytest.fixture
def edit_manifest():
    """Rewrites `dataset.json` with some entries changed and a checksum that fits."""

    def edit(directory, **changes):
        path = os.path.join(directory, manifests.FILE_NAME)
        with open(path) as file:
            content = json.load(file) | changes
        del content[json_files.CHECKSUM]
        json_files.write(path, content)

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
