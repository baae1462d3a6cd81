"""Exports are judged the way TF Serving restores them: the v1 loader, in a process without tfrecs and Keras."""

import json
import os
import pickle
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_prep import vocab
from tfrecs.data import records
from tfrecs.data.manifest import Manifest
from tfrecs.models.attrec import AttRec
from tfrecs.models.presets import PRESETS
from tfrecs.serving.export import export

USERS = ["ann", "bob", "zoë"]
# Bytes that readers of text files like to take for a separator, a comment, a quote or the end.
ITEMS = sorted(
    ["a\tb", "a,b", "\x0b", "\x0c1", "\x00", " lead", "trail ", "\ufeffbom", "é", "\u2028", "\x85", '"q"', "#", "item"],
    key=str.encode,
)
K, L = 4, 3
ROWS = [  # user, history
    ("ann", ["é", "a\tb"]),
    ("ann", ["", "é", "", "", "a\tb", ""]),
    ("nobody", ["é", "never seen", "a\tb"]),
    ("", ["é", "a\tb"]),
    ("ann", []),
    ("", []),
    ("zoë", ["item", "#", '"q"', "\u2028", "\x00", "é"]),
    ("bob", ["a,b", "é", "a,b", "a,b"]),
    ("bob", ITEMS[2:]),
    ("bob", ITEMS),
]
CANDIDATES = ["é", "item", "never seen", "", "\x00", "item"]

# Runs what the first argument's pickle asks for: a list of (folder, signature, feeds).
FRESH = """
import pickle, sys
sys.modules["tfrecs"] = sys.modules["keras"] = None
import tensorflow.compat.v1 as tf
answers, sessions = [], {}
for folder, signature, feeds in pickle.load(open(sys.argv[1], "rb")):
    if folder not in sessions:
        session = tf.Session(graph=tf.Graph())
        sessions[folder] = session, tf.saved_model.loader.load(session, ["serve"], folder).signature_def
    session, signatures = sessions[folder]
    inputs, outputs = signatures[signature].inputs, signatures[signature].outputs
    try:
        answers.append(session.run({name: outputs[name].name for name in outputs},
                                   {inputs[name].name: feeds[name] for name in inputs}))
    except tf.errors.InvalidArgumentError as error:
        answers.append(str(error))
pickle.dump(answers, open(sys.argv[2], "wb"))
"""


def strings(rows, width=None):
    """A padded string array `[len(rows), width]`."""
    width = max(map(len, rows), default=0) if width is None else width
    array = np.full([len(rows), width], b"", object)
    for line, row in zip(array, rows):
        line[: len(row)] = [token.encode() for token in row]
    return array


def request(rows, **more):
    return {"user": strings([[user] for user, _ in rows], 1)[:, 0], "history": strings([h for _, h in rows]), **more}


def example(user, items):
    return records.encode(user, (0, 0), {"item": items})


SERIALIZED = [
    example(1, [ITEMS.index("é") + 1, ITEMS.index("a\tb") + 1]),
    example(99, [2, 99, 3, 0, -1, 1]),
    example(2, []),
]
SAME_AS_SERIALIZED = [("ann", ["é", "a\tb"]), ("", [ITEMS[1], ITEMS[2], ITEMS[0]]), ("bob", [])]
REQUESTS = {
    "rows": ("serving_default", request(ROWS)),
    "candidates": ("score", request(ROWS, candidates=strings([CANDIDATES] * len(ROWS)))),
    "serialized": ("serialized", {"examples": np.array(SERIALIZED, object)}),
    "same": ("serving_default", request(SAME_AS_SERIALIZED)),
    "no rows": ("serving_default", request([])),
    "no rows, some time": ("serving_default", {"user": strings([], 1)[:, 0], "history": strings([], 5)}),
    "no time": ("serving_default", request([("ann", []), ("", [])])),
    "no examples": ("serialized", {"examples": np.array([], object)}),
    "no candidates": ("score", request(ROWS, candidates=strings([[]] * len(ROWS)))),
    "no rows to score": ("score", request([], candidates=strings([], 2))),
    "one history": ("serving_default", request(ROWS) | {"history": strings([["é"]])}),
    "one candidate row": ("score", request(ROWS, candidates=strings([["é"]]))),
}


def make_model(**arguments):
    keras.utils.set_random_seed(1)
    return AttRec(len(USERS), len(ITEMS), embedding_dim=8, max_history=L, **arguments)


def make_data(directory):
    directory.mkdir()
    vocabularies = {name: vocab.write(directory, name, [tokens]) for name, tokens in (("user", USERS), ("item", ITEMS))}
    manifest = Manifest("odd", ("item",), len(USERS), len(ITEMS), 0, {}, (), vocabularies, {}, None, {}, {})
    return str(directory), manifest


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The models, their exports after a move, with the data gone, and the fresh process's answers."""
    root = tmp_path_factory.mktemp("export")
    data_dir, manifest = make_data(root / "data")
    models = {
        "float32": make_model(),
        "bfloat16": make_model(dtype="mixed_bfloat16"),
        "original": make_model(**PRESETS["attrec"]["original"]["model"]),
    }
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        models["mirrored"] = make_model()
    for name, model in models.items():
        export(model, data_dir, manifest, str(root / "there" / name), K)
    export(models["float32"], data_dir, manifest, str(root / "there" / "wide"), k=len(ITEMS) + 5)
    shutil.rmtree(data_dir)
    os.rename(root / "there", root / "moved")
    asked = {(name, case): REQUESTS[case] for name in models for case in REQUESTS}
    asked["wide", "rows"] = REQUESTS["rows"]
    script = [(str(root / "moved" / name / "1"), *asked[name, case]) for name, case in asked]
    (root / "asked").write_bytes(pickle.dumps(script))
    subprocess.run([sys.executable, "-c", FRESH, root / "asked", root / "answers"], cwd=root, check=True, timeout=120)
    answers = dict(zip(asked, pickle.loads((root / "answers").read_bytes())))
    return models, root / "moved", answers


def by_hand(rows):
    """Each row alone: inputs, and the ids of the whole history."""
    for user, history in rows:
        known = [ITEMS.index(item) + 1 for item in history if item in ITEMS]
        last = known[-L:]
        user_id = USERS.index(user) + 1 if user in USERS else 0
        inputs = {"user": tf.constant([user_id], tf.int64), "history": tf.constant([last + [0] * (L - len(last))])}
        yield {name: tf.cast(value, tf.int64) for name, value in inputs.items()}, tf.constant([known], tf.int64)


def tokens(ids):
    return [ITEMS[i - 1].encode() if i else b"" for i in np.asarray(ids)]


@pytest.mark.parametrize("name", ["float32", "bfloat16", "original", "mirrored"])
def test_answers_are_the_models_own(world, name):
    models, _, answers = world
    model = models[name]
    answer, scored = answers[name, "rows"], answers[name, "candidates"]["scores"]
    assert answer["scores"].dtype == scored.dtype == np.float32
    # Where TensorFlow fuses a product with what follows it, a graph rounds to bfloat16 once, eager execution twice.
    traced = tf.function if name == "bfloat16" else lambda function: function
    for row, (inputs, known) in enumerate(by_hand(ROWS)):
        ids, scores = traced(lambda inputs, known: model.recommend(inputs, K, excluded=known))(inputs, known)
        assert list(answer["items"][row]) == tokens(ids[0])
        np.testing.assert_allclose(answer["scores"][row], scores[0], rtol=0, atol=1e-6)
        candidates = tf.constant([[ITEMS.index(c) + 1 if c in ITEMS else 0 for c in CANDIDATES]], tf.int64)
        expected = np.where(candidates[0] > 0, traced(model.score)(inputs, candidates)[0], -np.inf)
        np.testing.assert_allclose(scored[row], expected, rtol=0, atol=1e-6)


def test_seen_items_are_left_out_and_empty_places_filled(world):
    answer = world[2]["float32", "rows"]
    for (_, history), items, scores in zip(ROWS, answer["items"], answer["scores"]):
        left = set(map(str.encode, ITEMS)) - set(map(str.encode, history))
        found = [item for item in items if item]
        assert len(found) == len(set(found)) == min(K, len(left)) and left.issuperset(found)
        assert list(items[len(found) :]) == [b""] * (K - len(found))
        assert np.array_equal(np.isneginf(scores), items == b"") and np.all(scores[:-1] >= scores[1:])


def test_more_places_than_items(world):
    wide, narrow = world[2]["wide", "rows"], world[2]["float32", "rows"]
    assert wide["items"].shape == (len(ROWS), len(ITEMS) + 5)
    assert np.array_equal(wide["items"][:, :K], narrow["items"])
    assert (
        set(wide["items"][4]) == {*map(str.encode, ITEMS), b""} and np.isneginf(wide["scores"][:, len(ITEMS) :]).all()
    )


def test_padding_and_unknown_items_change_nothing_and_unknown_users_are_one(world):
    scores = world[2]["float32", "rows"]["scores"]
    assert np.array_equal(scores[0], scores[1]) and np.array_equal(scores[2], scores[3])
    assert not np.allclose(scores[0], scores[2])
    # Without a user and a history only the items' own lengths are left: -(1 - w) |X|^2.
    model = world[0]["float32"]
    lengths = np.sum(np.square(model.items_short.embeddings.numpy()[1:]), axis=1)
    np.testing.assert_allclose(scores[5], np.sort(-0.7 * lengths)[::-1][:K], rtol=1e-5)


def test_serialized_records_answer_as_their_strings_do(world):
    same, serialized = world[2]["float32", "same"], world[2]["float32", "serialized"]
    assert np.array_equal(same["items"], serialized["items"]) and np.array_equal(same["scores"], serialized["scores"])


def test_nothing_at_all_is_a_valid_request(world):
    answers = world[2]
    for case in ("no rows", "no rows, some time", "no examples"):
        assert answers["float32", case]["items"].shape == answers["float32", case]["scores"].shape == (0, K)
    assert answers["float32", "no candidates"]["scores"].shape == (len(ROWS), 0)
    assert answers["float32", "no rows to score"]["scores"].shape == (0, 2)
    assert np.array_equal(answers["float32", "no time"]["items"], answers["float32", "rows"]["items"][4:6])


@pytest.mark.parametrize("case, name", [("one history", "history"), ("one candidate row", "candidates")])
def test_rows_that_do_not_pair_up_are_refused(world, case, name):
    assert f"{name} and user differ in their batch size" in world[2]["float32", case]


def test_the_folder_holds_each_weight_once_and_says_what_it_is(world):
    models, moved, _ = world
    for name, model in models.items():
        stored = tf.train.list_variables(str(moved / name / "1" / "variables" / "variables"))
        # And once what items are compared by: AttRec's vectors of both kinds, their norms and a constant.
        catalogue = (len(ITEMS) + 1) * (-(-(2 * model.embedding_dim + 3) // 16) * 16)  # columns in sixteens
        assert sum(np.prod(shape) for _, shape in stored if len(shape) > 1) == model.count_params() + catalogue
        assert str(moved.parent / "data").encode() not in (moved / name / "1" / "saved_model.pb").read_bytes()
    description = json.loads((moved / "original" / "1" / "assets.extra" / "export.json").read_text())
    assert description["model"] == "AttRec" and description["dataset"] == "odd" and description["k"] == K
    assert description["vocabulary_sizes"] == {"user": len(USERS), "item": len(ITEMS)}
    again = AttRec.from_config(description["arguments"])
    assert again.get_config() == models["original"].get_config()
