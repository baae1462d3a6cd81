"""The original's windows, histories and negatives from the same log, through data_prep and the pipeline."""

import json
from pathlib import Path

import pytest

from data_prep.prepare import prepare
from tfrecs.data import evaluation_batches, statistics, training_batches
from tfrecs.data import manifest as manifests
from tfrecs.models.attrec import AttRec
from tfrecs.models.presets import PRESETS
from tfrecs.progress import StageProgress


@pytest.fixture(scope="module")
def recorded():
    return json.loads((Path(__file__).parents[1] / "golden" / "pipeline_attrec.json").read_text())


@pytest.fixture(scope="module")
def prepared(recorded, tmp_path_factory):
    """The log as prepared data: (directory, manifest, user map, item map), maps from our ids to the original's."""
    folder = tmp_path_factory.mktemp("log")
    path = folder / "log.csv"
    rows = ["user,item,rating,timestamp", *(",".join(map(str, row)) for row in recorded["interactions"])]
    path.write_text("\n".join(rows) + "\n")
    directory = str(folder / "data")
    columns = {"timestamp_column": "timestamp", "rating_column": "rating"}
    prepare("delimited", directory, StageProgress(None), path=str(path), num_shards=2, **columns)
    manifest = manifests.load(directory)
    maps = []
    for name in ("user", "item"):
        tokens = manifests.read_vocabulary(directory, manifest, name)
        ids = {0: 0} | {code: recorded[f"{name}_map"][token] for code, token in enumerate(tokens, 1)}
        assert sorted(ids.values()) == list(range(recorded[f"{name}_count"]))
        maps.append(ids)
    return directory, manifest, *maps


def model_of(manifest, **changes):
    arguments = PRESETS["attrec"]["original"]["model"] | {"embedding_dim": 4, "num_negatives": 400} | changes
    return AttRec(manifest.num_users, manifest.num_items, **arguments)


def training_rows(directory, manifest, model, split="train_valid"):
    weights = statistics.sampling_weights(directory, manifest, "uniform", split, model.negatives_include_pad)
    batches = training_batches.TrainingBatches(
        directory,
        manifest,
        model.training_examples,
        weights=weights,
        batch_size=3,
        seed=1,
        split=split,
        exclude_held_out=model.negatives_exclude_held_out,
    )
    rows = []
    for batch in batches():
        names = ("user", "history", "targets", "negatives")
        rows.extend(zip(*(batch[name].numpy().tolist() for name in names), strict=True))
    return rows


def windows(rows, users, items):
    return sorted(
        (users[user], [items[item] for item in history], [items[item] for item in targets])
        for user, history, targets, _ in rows
    )


@pytest.fixture(scope="module")
def original_rows(prepared):
    directory, manifest, _, _ = prepared
    return training_rows(directory, manifest, model_of(manifest))


def test_training_windows_are_the_originals(recorded, prepared, original_rows):
    _, _, users, items = prepared
    train = recorded["train"]
    assert len(original_rows) == len(train["user"]) == 7
    assert windows(original_rows, users, items) == sorted(zip(train["user"], train["seq"], train["target"]))


def test_partial_windows_are_more(recorded, prepared):
    directory, manifest, users, items = prepared
    rows = training_rows(directory, manifest, model_of(manifest, partial_windows=True))
    train = recorded["train"]
    whole = sorted(zip(train["user"], train["seq"], train["target"]))
    found = windows(rows, users, items)
    assert [window for window in found if 0 not in window[1] + window[2]] == whole
    assert len(found) == sum(len(ids) - 2 for ids in recorded["user_all_items"].values())


def test_test_histories_are_the_originals(recorded, prepared):
    directory, manifest, users, items = prepared
    test = recorded["test"]
    expected = sorted(zip(test["user"], test["seq"], (target[0] for target in test["target"]), strict=True))
    found = []
    model = model_of(manifest)
    for batch in evaluation_batches.EvaluationBatches(directory, manifest, model.history_inputs, 2, "test"):
        for user, history, target in zip(*(batch[name].numpy().tolist() for name in ("user", "history", "target"))):
            found.append((users[user], [items[item] for item in history if item], items[target]))
    assert sorted(found) == expected


def test_negatives_leave_out_every_item_of_the_user(recorded, prepared, original_rows):
    _, _, users, items = prepared
    drawn = {}
    for user, _, _, negatives in original_rows:
        drawn.setdefault(users[user], set()).update(items[item] for item in negatives)
    assert sorted(drawn) == [1, 2, 4]  # those with windows
    for user, ids in drawn.items():
        everything = set(range(recorded["item_count"]))
        assert ids == everything - set(recorded["user_all_items"][str(user)])  # PAD among them


def test_negatives_of_the_recommended_preset_may_be_held_out_but_never_padding(recorded, prepared):
    directory, manifest, users, items = prepared
    model = AttRec(manifest.num_users, manifest.num_items, embedding_dim=4, num_negatives=400)
    drawn = {}
    for user, _, _, negatives in training_rows(directory, manifest, model, "train"):
        drawn.setdefault(users[user], set()).update(items[item] for item in negatives)
    for user, ids in drawn.items():
        own = recorded["user_all_items"][str(user)]
        assert ids == set(range(1, recorded["item_count"])) - set(own[:-2])
