"""The original's prefixes, negatives and time buckets from the same log, through data_prep and the pipeline."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from data_prep.prepare import prepare
from tfrecs.data import evaluation_batches, statistics, training_batches
from tfrecs.data import manifest as manifests
from tfrecs.models.atrank import ATRank
from tfrecs.models.atrank.behaviours import DAY, time_buckets
from tfrecs.models.presets import PRESETS
from tfrecs.progress import StageProgress


@pytest.fixture(scope="module")
def recorded():
    return json.loads((Path(__file__).parents[1] / "golden" / "pipeline_atrank.json").read_text())


@pytest.fixture(scope="module")
def prepared(recorded, tmp_path_factory):
    """The log as prepared data: (directory, manifest, user map, item map), maps from our ids to the original's."""
    folder = tmp_path_factory.mktemp("log")
    path = folder / "log.csv"
    rows = ["user,item,timestamp", *(",".join(map(str, row)) for row in recorded["interactions"])]
    path.write_text("\n".join(rows) + "\n")
    directory = str(folder / "data")
    prepare("delimited", directory, StageProgress(None), path=str(path), num_shards=2, timestamp_column="timestamp")
    manifest = manifests.load(directory)
    maps = []
    for name in ("user", "item"):
        tokens = manifests.read_vocabulary(directory, manifest, name)
        maps.append({code: int(token) for code, token in enumerate(tokens, 1)})
    return directory, manifest, *maps


def model_of(manifest, **changes):
    arguments = PRESETS["atrank"]["original"]["model"] | {"item_dim": 8, "max_history": 7} | changes
    return ATRank(manifest.num_users, manifest.num_items, (), (), 0, 1, **arguments)


def training_rows(prepared, split="train_valid", **changes):
    """(history, buckets, target, label) of every example, in the original's ids."""
    directory, manifest, _, items = prepared
    model = model_of(manifest, **changes)
    weights = statistics.sampling_weights(directory, manifest, "uniform", split, model.negatives_include_pad)
    batches = training_batches.TrainingBatches(
        directory,
        manifest,
        model.training_examples,
        weights=weights,
        batch_size=6,
        seed=1,
        split=split,
        fields=model.fields,
        exclude_held_out=model.negatives_exclude_held_out,
    )
    rows = []
    for batch in batches():
        names = ("history", "bucket", "targets", "labels")
        for history, buckets, targets, labels in zip(*(batch[name].numpy().tolist() for name in names), strict=True):
            length = sum(item > 0 for item in history)
            assert not any(history[length:]) and not any(buckets[length:])
            rows.append(([items[item] for item in history[:length]], buckets[:length], targets, labels))
    return rows


def test_training_prefixes_are_the_originals(recorded, prepared):
    items = prepared[3]
    found = training_rows(prepared)
    assert len(found) == len(recorded["train_set"]) == 68
    assert all(len(targets) == len(labels) == 1 for _, _, targets, labels in found)
    for label in (1, 0):
        ours = sorted((history, buckets) for history, buckets, _, labels in found if labels == [label])
        assert ours == sorted((history, buckets) for _, history, buckets, _, y in recorded["train_set"] if y == label)
    positive = sorted((history, items[targets[0]]) for history, _, targets, labels in found if labels == [1])
    assert positive == sorted((history, target) for _, history, _, target, y in recorded["train_set"] if y)


def test_pairs_share_their_history_and_negatives_are_no_item_of_the_user(recorded, prepared):
    items = prepared[3]
    own = {}
    for user, item, _ in recorded["interactions"]:
        own.setdefault(user, []).append(item)
    found = training_rows(prepared, split_pairs=False, num_negatives=300)
    assert len(found) == len(recorded["train_set"]) / 2
    for history, _, targets, labels in found:
        assert labels == [1] + [0] * 300
        start = [*history, items[targets[0]]]
        users = [items for items in own.values() if items[: len(start)] == start]
        drawn = {items[item] for item in targets[1:]}
        assert drawn in [set(items.values()) - set(everything) for everything in users]


def test_test_histories_are_the_originals(recorded, prepared):
    directory, manifest, users, items = prepared
    model = model_of(manifest)
    found = []
    batches = evaluation_batches.EvaluationBatches(
        directory, manifest, model.history_inputs, 4, "test", fields=model.fields
    )
    for batch in batches:
        for seen, history, buckets, target in zip(
            *(batch[name].numpy().tolist() for name in ("seen", "history", "bucket", "target")), strict=True
        ):
            length = sum(item > 0 for item in history)
            assert [item for item in seen if item][-length:] == history[:length]
            found.append(([items[item] for item in history[:length]], buckets[:length], items[target]))
    assert sorted(found) == sorted((history, times, pair[0]) for _, history, times, pair in recorded["test_set"])


def test_the_bucket_of_every_gap(recorded):
    days = np.array(recorded["gap_days"])
    now = np.array([20000 * DAY + 5])
    times = (20000 - days)[None] * DAY + 5
    found = time_buckets(tf.constant(times), tf.constant(now), 12, rule="calendar")
    assert found.numpy()[0].tolist() == recorded["gap_bucket"]
