"""Prepared data with ratings and moments, written by hand."""

import numpy as np

from tests.prepared import write


def prepared(directory, sequences, num_items, num_shards=2):
    """Writes `{user: (split, items, times, ratings)}` as prepared data; gives its `Manifest`."""
    columns = {
        user: (split, {"item": items, "timestamp": times, "rating": np.asarray(ratings, np.float32)})
        for user, (split, items, times, ratings) in sequences.items()
    }
    return write(directory, columns, num_items, ("item", "timestamp", "rating"), num_shards, "ratio")


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
