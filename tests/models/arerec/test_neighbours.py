"""The first raters of each item, from shards, against plain loops and the original's own preparation."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from tests import rated
from tfrecs.errors import InputError
from tfrecs.models.arerec import ARERec
from tfrecs.models.arerec import neighbours as raters
from tfrecs.models.arerec.random_split import held_out, random_split
from tfrecs.models.presets import PRESETS

GOLDEN = Path(__file__).parents[2] / "golden" / "arerec_dataset.npz"
CLASSES = (1.0, 2.0, 3.0, 4.0, 5.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory, sequences = str(tmp_path_factory.mktemp("rated") / "data"), rated.random_sequences(60, 12)
    return directory, rated.prepared(directory, sequences, 12), sequences


def plain(sequences, split, limit, kept=lambda user, item: True):
    """Lists by item: the first `limit` (time, user) of the training parts."""
    lists = {}
    for user, (ends, items, times, _) in sequences.items():
        end = {"train": ends[0], "train_valid": ends[1], "all": len(items)}[split]
        for item, time in zip(items[:end], times[:end]):
            if kept(user, item):
                lists.setdefault(item, []).append((time, user))
    return {item: sorted(pairs)[:limit] for item, pairs in lists.items()}


@pytest.mark.parametrize("split", ["train", "train_valid", "all"])
@pytest.mark.parametrize("limit, buffer", [(3, 1 << 20), (3, 10), (100, 10), (1, 1)])
def test_first_raters(data, monkeypatch, split, limit, buffer):
    directory, manifest, sequences = data
    monkeypatch.setattr(raters, "BUFFER", buffer)
    monkeypatch.setattr(raters, "USERS", 7)
    users, times, starts = raters.first_raters(directory, manifest, limit, split)
    expected = plain(sequences, split, limit)
    assert len(starts) == 14 and starts[-1] == len(users) == sum(map(len, expected.values()))
    for item in range(13):
        own = slice(starts[item], starts[item + 1])
        assert list(zip(times[own].tolist(), users[own].tolist())) == expected.get(item, [])


def test_what_the_random_split_holds_out_is_in_no_list(data):
    directory, manifest, sequences = data
    users, _, starts = raters.first_raters(directory, manifest, 50, "all", random_split(0.5, 3))
    expected = plain(sequences, "all", 50, lambda user, item: not held_out(np.int64(user), np.int64(item), 0.5, 3))
    assert [users[starts[i] : starts[i + 1]].tolist() for i in range(13)] == [
        [user for _, user in expected.get(item, [])] for item in range(13)
    ]


def test_units_and_classes_are_checked_before_training(data):
    directory, manifest, sequences = data
    counts = np.bincount([item for _, items, *_ in sequences.values() for item in items])
    assert raters.count_units(directory, manifest, 4, CLASSES) == np.minimum(counts, 4).sum()
    found = ARERec.data_arguments(directory, manifest, {"max_seq": 4}, "all")
    assert found == {"num_users": 60, "num_items": 12, "num_units": 1 + np.minimum(counts, 4).sum()}
    for split in ("train", "train_valid", "all"):
        units = 1 + sum(min(len(users), 4) for users in plain(sequences, split, 50).values())
        assert ARERec.data_arguments(directory, manifest, {"max_seq": 4}, split)["num_units"] == units
    expected = rf"^rating_classes: in {directory} user 'user\d+' rated item 'item\d+' 5, which is none of 1, 2, 3, 4$"
    with pytest.raises(InputError, match=expected):
        ARERec.data_arguments(directory, manifest, {"rating_classes": (1, 2, 3, 4)})
    given = {"max_seq": 4, "random_split": 0.5, "random_split_seed": 3}
    kept = plain(sequences, "all", 4, lambda user, item: not held_out(np.int64(user), np.int64(item), 0.5, 3))
    assert ARERec.data_arguments(directory, manifest, given, "all")["num_units"] == 1 + sum(map(len, kept.values()))
    small = ARERec(60, 12, num_units=9)
    with pytest.raises(InputError, match="this model has 12 items and 8 places"):
        small.adapt(directory, manifest, "train")


def test_other_held_out_ratings_give_the_same_initial_weights(data, tmp_path):
    """Every user gets one more rating, held out: neither sizes nor weights nor lists are others."""
    directory, _, sequences = data
    more = {
        user: (split, [*items, 1 + user % 12], [*times, 999], [*ratings, 3])
        for user, (split, items, times, ratings) in sequences.items()
    }
    models = []
    for name, content in (("same", sequences), ("more", more)):
        manifest = rated.prepared(str(tmp_path / name), content, 12)
        keras.utils.set_random_seed(3)
        given = {"max_seq": 50, "embedding_dim": 4}  # no list is full
        models.append(ARERec(**given, **ARERec.data_arguments(str(tmp_path / name), manifest, given)))
        models[-1].adapt(str(tmp_path / name), manifest, "train")
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


def golden():
    """The original's toy ratings after its filters: columns of our ids, times and ratings, and its arrays."""
    with np.load(GOLDEN) as file:
        arrays = {name: file[name] for name in file.files}
    config, ratings = json.loads(str(arrays["config"])), arrays["input/ratings"]
    for column in (0, 1):  # rare users go first, then rare items
        ids, inverse, counts = np.unique(ratings[:, column], return_inverse=True, return_counts=True)
        ratings = ratings[counts[inverse] >= config["min_seq"]]
    users, user = np.unique(ratings[:, 0], return_inverse=True)
    items, item = np.unique(ratings[:, 1], return_inverse=True)
    assert (len(users) + 1, len(items) + 1) == (config["num_user"], config["num_item"])
    return config, arrays, (user + 1, item + 1, ratings[:, 3], ratings[:, 2])


def test_lists_are_those_of_the_original(tmp_path):
    """Neighbours, local context units, padding and classes of every row of its training and test arrays."""
    config, arrays, columns = golden()
    sequences = {}
    for user in np.unique(columns[0]):
        own = np.flatnonzero(columns[0] == user)
        own = own[np.argsort(columns[2][own], kind="stable")]
        sequences[int(user)] = ((len(own) // 2, len(own)), *(column[own].tolist() for column in columns[1:]))
    directory = str(tmp_path / "data")
    manifest = rated.prepared(directory, sequences, int(columns[1].max()))
    arguments = PRESETS["arerec"]["original"]["model"] | {"max_seq": config["max_seq"], "random_split": 0.0}
    decided = ARERec.data_arguments(directory, manifest, arguments)
    assert decided["num_units"] == config["num_lcu"]
    model = ARERec(**arguments | decided)
    model.adapt(directory, manifest, "train")
    labels = {}
    for batch in raters.training_batches.sequences(directory, manifest, model.fields):
        examples = {name: value.numpy() for name, value in model.training_examples(batch, None, None).items()}
        labels |= dict(zip(zip(examples["user"], examples["item"]), examples["label"]))
    for part in ("train", "test"):
        recorded = {name.rpartition("/")[2]: arrays[name] for name in arrays if name.startswith(f"output/{part}/")}
        units, neighbours, _ = model.lists(recorded["item"])
        np.testing.assert_array_equal(neighbours, recorded["item_user_sequence"])
        np.testing.assert_array_equal(units, recorded["item_user_sequence_index"])
        found = [labels[pair] for pair in zip(recorded["user"], recorded["item"])]
        np.testing.assert_array_equal(found, recorded["label_onehot"].argmax(axis=1))
