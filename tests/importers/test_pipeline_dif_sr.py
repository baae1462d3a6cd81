"""The original's training samples, histories and metrics from the same log, through data_prep and the pipeline."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from data_prep.prepare import prepare
from tfrecs.data import evaluation_batches, training_batches
from tfrecs.data import manifest as manifests
from tfrecs.importers import dif_sr
from tfrecs.importers.porter import port
from tfrecs.models.dif_sr import DIFSR
from tfrecs.models.presets import PRESETS
from tfrecs.progress import StageProgress

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def recorded():
    with np.load(GOLDEN / "difsr_dataset_eval.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def prepared(recorded, tmp_path_factory):
    """The log as prepared data: (directory, manifest, maps from our ids to the original's)."""
    folder = tmp_path_factory.mktemp("log")
    columns = (recorded[f"input/raw_{name}"] for name in ("user_token", "item_token", "timestamp"))
    lines = ["user,item,timestamp", *(",".join(map(str, row)) for row in zip(*columns))]
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    directory = str(folder / "data")
    path = str(folder / "log.csv")
    prepare("delimited", directory, StageProgress(None), path=path, num_shards=2, timestamp_column="timestamp")
    manifest, tokens = manifests.load(directory), json.loads(str(recorded["config"]))["field2id_token"]
    maps = {}
    for name in ("user", "item"):
        ours = [tokens[f"{name}_id"][0], *manifests.read_vocabulary(directory, manifest, name)]
        maps[name] = np.array([tokens[f"{name}_id"].index(token) for token in ours])
    return directory, manifest, maps


def model_of(manifest):
    preset = PRESETS["dif_sr"]["original"]["model"] | {"max_history": 7, "attributes": ()}
    return DIFSR(manifest.num_users, manifest.num_items, (), (), **preset)


def test_training_samples(recorded, prepared):
    directory, manifest, maps = prepared
    batches = training_batches.TrainingBatches(
        directory,
        manifest,
        model_of(manifest).training_examples,
        weights=np.ones(manifest.num_items + 1),
        batch_size=5,
        seed=0,
    )
    found = []
    for batch in batches():
        rows = np.concatenate([batch["history"], batch["targets"]], axis=1)
        found += maps["item"][rows].tolist()
    expected = np.c_[recorded["output/train_augmented/item_id_list"], recorded["output/train_augmented/item_id"]]
    assert sorted(found) == sorted(expected.tolist())


@pytest.mark.parametrize("split", ["valid", "test"])
def test_histories_scores_and_metrics(recorded, prepared, split):
    directory, manifest, maps = prepared
    batches = evaluation_batches.EvaluationBatches(directory, manifest, model_of(manifest).history_inputs, 8, split)
    (batch,) = list(batches)
    order = np.argsort(maps["user"][batch["user"].numpy()])
    history = maps["item"][batch["history"].numpy()][order]
    target = maps["item"][batch["target"].numpy()][order]
    np.testing.assert_array_equal(history, recorded[f"input/{split}/item_id_list"])
    np.testing.assert_array_equal(target, recorded[f"input/{split}/item_id"])

    with np.load(GOLDEN / "difsr_a_gate.npz") as file:
        arrays = {name: file[name] for name in file.files}
    weights, fed = (
        {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        for prefix in ("weights/", "input/")
    )
    model = dif_sr.build_from_golden(json.loads(str(arrays["config"])), weights, fed)
    port(weights, dif_sr.name_table(model), "weights/")
    inputs = {"history": tf.constant(history)}
    scores = model.score(inputs, tf.range(model.num_items + 1, dtype=tf.int64))
    np.testing.assert_allclose(scores, recorded[f"output/{split}/full_sort_scores"], atol=1e-5)
    rank = model.rank(inputs, tf.constant(target), tf.zeros([8, 1], tf.int64)).numpy()
    found = {f"recall@{k}": (rank <= k).mean() for k in (3, 5, 10)}
    found |= {f"ndcg@{k}": ((rank <= k) / np.log2(rank + 1)).mean() for k in (3, 5, 10)}
    for name, value in zip(recorded[f"output/{split}/metric_names"], recorded[f"output/{split}/metric_values"]):
        assert found[name] == pytest.approx(value, abs=6e-5)  # recorded with four decimals
