"""The signature that gives a list of one kind, through the loader that TensorFlow Serving uses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_prep.prepare import prepare
from tests.test_export import strings
from tfrecs.data import kinds, manifest, records
from tfrecs.models.atrank import ATRank
from tfrecs.progress import StageProgress
from tfrecs.serving.export import export

K = 7


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(model, names of items, kind of items, sequences, `f(signature, **inputs) -> answer`)."""
    root = tmp_path_factory.mktemp("export")
    directory = str(root / "data")
    options = {"num_users": 20, "num_items": 60, "mean_length": 8, "num_shards": 1, "kinds": 1}
    prepared = prepare("sample", directory, StageProgress(None), **options)
    keras.utils.set_random_seed(2)
    sizes = {"item_dim": 4, "attribute_dim": 2, "hidden_units": 8, "num_heads": 2}
    model = ATRank(**ATRank.data_arguments(directory, prepared, {"object_type": "kind"}), object_type="kind", **sizes)
    model.adapt(directory, prepared, "train")
    for variable in model.trainable_variables:
        variable.assign_add(np.random.default_rng(0).normal(scale=0.3, size=variable.shape))
    model.kind_names = ()  # as after `load_model`, which knows no data
    folder = export(model, directory, prepared, str(root / "served"), K)
    model.adapt(directory, prepared, "train")
    serialized = next(iter(tf.data.TFRecordDataset(str(root / "data" / prepared.shards[0].path)).batch(6)))
    sequences = records.parse(serialized, prepared.fields)
    items, users, actions = (manifest.read_vocabulary(directory, prepared, name) for name in ("item", "user", "action"))
    asked = {
        "user": strings([[users[user - 1]] for user in sequences["user"].numpy()], 1)[:, 0],
        "history": strings([[items[item - 1] for item in row] for row in sequences["item"].to_list()]),
        "timestamp": sequences["timestamp"].to_tensor().numpy(),
        "action": strings([[actions[action - 1] for action in row] for row in sequences["action"].to_list()]),
    }
    asked["now"] = asked["timestamp"].max(axis=1) + 60
    found = sequences | {"now": tf.constant(asked["now"])}
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        signatures = tf.compat.v1.saved_model.loader.load(session, ["serve"], folder).signature_def

    def ask(signature, **inputs):
        inputs = {name: value for name, value in (asked | inputs).items() if name in signatures[signature].inputs}
        outputs = {name: output.name for name, output in signatures[signature].outputs.items()}
        feeds = {signatures[signature].inputs[name].name: value for name, value in inputs.items()}
        return session.run(outputs, feeds)

    yield model, items, kinds.load(directory, prepared).of_item, found, ask
    session.close()


def asked_for(*names):
    return np.array([name.encode() for name in names], object)


@pytest.mark.parametrize("name", ["coupon", "item", "query"])
def test_a_list_of_each_kind(served, name):
    model, items, of_item, found, ask = served
    answer = ask("by_kind", kind=asked_for(*[name] * 6))
    ids, scores = model.recommend(model.history_inputs(found), K, found["item"].to_tensor(), kind=name)
    expected = [[items[item - 1].encode() if item else b"" for item in row] for row in ids.numpy()]
    assert answer["items"].tolist() == expected
    np.testing.assert_allclose(answer["scores"], scores, rtol=1e-4, atol=1e-5)
    kind = model.kind_names.index(name) + 1
    assert set(of_item[ids.numpy()].ravel()) <= {kind, 0} and kind in of_item[ids.numpy()]


def test_rows_ask_for_kinds_of_their_own_and_nothing_is_any_kind(served):
    ask = served[-1]
    of_any = ask("serving_default")
    mixed = ask("by_kind", kind=asked_for("", "query", "", "item", "coupon", ""))
    for row, name in enumerate(["", "query", "", "item", "coupon", ""]):
        expected = of_any if not name else ask("by_kind", kind=asked_for(*[name] * 6))
        assert mixed["items"][row].tolist() == expected["items"][row].tolist()


def test_an_unknown_kind_is_an_error_that_names_the_known_ones(served):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="kind: expected one of coupon, item, query, or an empty text for any"
    ):
        served[-1]("by_kind", kind=asked_for("item", "querry", "", "", "", ""))
    with pytest.raises(tf.errors.InvalidArgumentError, match="kind and user differ in their batch size"):
        served[-1]("by_kind", kind=asked_for("item"))
