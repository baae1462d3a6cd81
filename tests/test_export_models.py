"""Every model's export, judged by the v1 loader in a process without tfrecs and Keras, on the sample's fields."""

import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_prep.prepare import prepare
from tests.test_export import FRESH, strings
from tfrecs.data import manifest as manifests
from tfrecs.data import records
from tfrecs.models import MODELS
from tfrecs.progress import StageProgress
from tfrecs.serving.export import export

K = 5
ROWS = 6
UNKNOWN = {"timestamp", "action", "now"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The sample, tiny, and its first records: (directory, manifest, serialised records)."""
    directory = str(tmp_path_factory.mktemp("prepared") / "data")
    prepare("sample", directory, StageProgress(None), num_users=30, num_items=60, mean_length=8, num_shards=1)
    manifest = manifests.load(directory)
    path = os.path.join(directory, manifest.shards[0].path)
    return directory, manifest, [record.numpy() for record in tf.data.TFRecordDataset(path).take(ROWS)]


def make(name, directory, manifest):
    """A model with everything it takes from the data; weights as they are drawn, and then some noise."""
    keras.utils.set_random_seed(3)
    model = MODELS[name](**MODELS[name].data_arguments(directory, manifest, {}))
    model.adapt(directory, manifest, "train")
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(random.normal(scale=0.3, size=variable.shape))
    return model


def request(model, sequences, tokens):
    """The records as strings, what `serving_default` takes."""
    items = [[tokens["item"][item - 1] for item in row] for row in sequences["item"].to_list()]
    users = [[tokens["user"][user - 1]] for user in sequences["user"].numpy()]
    found = {"user": strings(users, 1)[:, 0], "history": strings(items)}
    if "timestamp" in model.request_fields:
        found["timestamp"] = sequences["timestamp"].to_tensor().numpy()
        found["now"] = found["timestamp"].max(axis=1) + 7200
    if "action" in model.request_fields:
        found["action"] = strings([[tokens["action"][a - 1] for a in row] for row in sequences["action"].to_list()])
    return found


def strange(record):
    """A record whose actions no vocabulary has."""
    example = tf.train.Example.FromString(record)
    actions = example.features.feature["action"].int64_list.value
    actions[:] = [(2**62, -1, 99)[place % 3] for place in range(len(actions))]
    return example.SerializeToString()


@pytest.fixture(scope="module")
def world(data, tmp_path_factory):
    """Per model: (model, the records' sequences, requests, the fresh process's answers)."""
    directory, manifest, serialized = data
    root = tmp_path_factory.mktemp("export")
    tokens = {name: manifests.read_vocabulary(directory, manifest, name) for name in ("user", "item", "action")}
    sequences = records.parse(tf.constant(serialized), manifest.fields)
    models, script, cases = {}, [], []
    for name in MODELS:
        model = models[name] = make(name, directory, manifest)
        folder = export(model, directory, manifest, str(root / name), K)
        asked = request(model, sequences, tokens)
        candidates = strings([tokens["item"][row : row + 4] for row in range(ROWS)])
        left_out = {name: asked[name][:0] if name == "now" else asked[name][:, :0] for name in UNKNOWN & asked.keys()}
        cases += [(name, "whole"), (name, "score"), (name, "unknown"), (name, "serialized"), (name, "nobody")]
        script += [
            (folder, "serving_default", asked),
            (folder, "score", asked | {"candidates": candidates}),
            (folder, "serving_default", asked | left_out),
            (folder, "serialized", {"examples": np.array(serialized, object)}),
            (folder, "serving_default", asked | {"user": np.full(ROWS, b"", object)}),
        ]
        if "action" in asked:
            cases.append((name, "strange actions"))
            script.append((folder, "serialized", {"examples": np.array(list(map(strange, serialized)), object)}))
        if "now" in asked:
            wider = np.pad(asked["timestamp"], [[0, 0], [0, 1]])
            for case, change in {
                "longer": {"now": np.append(asked["now"], 9)},
                "shorter": {"now": asked["now"][:1]},
                "wider": {"timestamp": wider},
            }.items():
                cases.append((name, case))
                script.append((folder, "serving_default", asked | change))
    (root / "asked").write_bytes(pickle.dumps(script))
    subprocess.run([sys.executable, "-c", FRESH, root / "asked", root / "answers"], cwd=root, check=True, timeout=300)
    return models, sequences, dict(zip(cases, pickle.loads((root / "answers").read_bytes()))), tokens


@pytest.mark.parametrize(
    "case, message",
    [
        ("longer", "now and user differ in their batch size"),
        ("shorter", "now and user differ in their batch size"),
        ("wider", "timestamp is wider than history"),
    ],
)
def test_times_of_another_shape_are_refused(world, case, message):
    """They would be cut off, or leave the last rows without a time, in silence."""
    models, _, answers, _ = world
    names = [name for name, model in models.items() if "timestamp" in model.request_fields]
    assert names
    for name in names:
        assert message in answers[name, case]


def test_actions_beyond_the_vocabulary_count_as_unknown(world):
    models, sequences, answers, tokens = world
    model = models["atrank"]
    assert model.action_dim > 0, "it reads them"
    unknown = sequences["action"].with_values(tf.zeros_like(sequences["action"].values))
    items, scores = model.recommend(
        inputs_of(model, {**sequences, "action": unknown}, 0), K, sequences["item"].to_tensor()
    )
    answer = answers["atrank", "strange actions"]
    assert answer["items"].tolist() == [[tokens["item"][item - 1].encode() for item in row] for row in items.numpy()]
    np.testing.assert_allclose(answer["scores"], scores, rtol=1e-5, atol=1e-5)


def inputs_of(model, sequences, gap=7200):
    found = {"user": sequences["user"], "item": sequences["item"]}
    for name in model.request_fields:
        found[name] = sequences[name]
    if "timestamp" in model.request_fields:
        found["now"] = tf.reduce_max(sequences["timestamp"].to_tensor(), axis=1) + gap
    return model.history_inputs(found)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("case, gap", [("whole", 7200), ("serialized", 0)])
def test_served_answers_are_the_models_own(world, name, case, gap):
    models, sequences, answers, tokens = world
    ids, scores = models[name].recommend(inputs_of(models[name], sequences, gap), K, sequences["item"].to_tensor())
    expected = [[tokens["item"][item - 1].encode() for item in row] for row in ids.numpy()]
    assert answers[name, case]["items"].tolist() == expected
    np.testing.assert_allclose(answers[name, case]["scores"], scores, rtol=1e-4, atol=1e-4)
    assert np.ptp(scores) > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_served_scores_of_candidates_are_the_models_own(world, name):
    models, sequences, answers, _ = world
    candidates = tf.constant([[row + place + 1 for place in range(4)] for row in range(ROWS)], tf.int64)
    expected = models[name].score(inputs_of(models[name], sequences), candidates)
    np.testing.assert_allclose(answers[name, "score"]["scores"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("case", ["unknown", "nobody"])
def test_what_a_request_leaves_out_is_unknown_not_an_error(world, name, case):
    answer = world[2][name, case]
    assert answer["items"].shape == (ROWS, K) and np.isfinite(answer["scores"]).all() and (answer["items"] != b"").all()
