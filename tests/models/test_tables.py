"""Tables of items that nothing filled, and inputs that the model reads but is not given: refused, not read as zeros."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.arerec.lists import ITEMS, add_lists
from tests.models.atrank.test_atrank import SIZES as ATRANK
from tests.models.dif_sr.test_dif_sr import SIZES as DIF_SR
from tfrecs.command_line.arguments import parse
from tfrecs.errors import InputError
from tfrecs.models.arerec import ARERec
from tfrecs.models.atrank import ATRank
from tfrecs.models.dif_sr import DIFSR

HISTORY = {"history": tf.constant([[3, 5, 0], [2, 0, 0]], tf.int64)}
INPUTS = HISTORY | {"user": tf.constant([1, 2], tf.int64)}
CASES = {
    "dif_sr": (DIFSR, DIF_SR, INPUTS, {"targets": tf.constant([[5, 1, 0], [4, 0, 0]], tf.int64)}),
    "atrank": (
        ATRank,
        ATRANK,
        INPUTS | {"bucket": HISTORY["history"], "action": tf.sign(HISTORY["history"])},
        {"targets": tf.constant([[5, 1], [4, 2]], tf.int64), "labels": tf.constant([[1.0, 0.0]] * 2)},
    ),
    "kinds": (
        ATRank,
        ATRANK | {"object_type": "kind", "attribute_sizes": (), "attribute_lengths": (), "attributes": ("none",)},
        INPUTS | {"bucket": HISTORY["history"], "action": tf.sign(HISTORY["history"])},
        {"targets": tf.constant([[5, 1], [4, 2]], tf.int64), "labels": tf.constant([[1.0, 0.0]] * 2)},
    ),
    "arerec": (
        ARERec,
        {"num_users": 9, "num_items": ITEMS, "num_units": 60, "embedding_dim": 6, "max_seq": 4},
        {"user": INPUTS["user"], "now": tf.constant([50, 60], tf.int64)},
        {"item": tf.constant([5, 4], tf.int64), "label": tf.constant([0, 4], tf.int64)},
    ),
}
HELD_OUT = {"target": tf.constant([5, 6], tf.int64), "seen": tf.zeros([2, 1], tf.int64)}


def fill(model):
    if isinstance(model, ARERec):
        return add_lists(model)
    for layer in model._flatten_layers():
        if hasattr(layer, "is_filled"):
            layer.values.assign(np.arange(layer.values.shape[0])[:, None] % 3 + np.zeros(layer.values.shape, np.int64))


@pytest.fixture(params=CASES)
def case(request):
    """A new model, compiled, its inputs, and batches to train and to evaluate."""
    cls, sizes, inputs, more = CASES[request.param]
    model = cls(**sizes)
    model.compile(optimizer="sgd")
    return model, inputs, *(tf.data.Dataset.from_tensors(inputs | other) for other in (more, HELD_OUT))


def test_tables_that_were_never_filled_are_refused(case):
    model, inputs, examples, held_out = case
    what = "neighbours" if isinstance(model, ARERec) else "attributes"
    for use in (
        lambda: model.fit(examples, verbose=0),
        lambda: model.train_on_batch(next(iter(examples))),
        lambda: model.train_step(next(iter(examples))),
        lambda: model.evaluate(held_out, verbose=0),
        lambda: model.predict(held_out, verbose=0),
        lambda: model(inputs),
        lambda: model.score(inputs, tf.range(1, 5)),
        lambda: model.rank(inputs, HELD_OUT["target"], HELD_OUT["seen"]),
        lambda: model.recommend(inputs),
    ):
        with pytest.raises(InputError, match=f"{type(model).__name__}: the items' {what} were never filled in"):
            use()
    before = model.get_weights()
    fill(model)
    model.fit(examples, verbose=0)
    assert any((one != other).any() for one, other in zip(before, model.get_weights()))


def test_what_was_filled_is_filled_after_loading(case, tmp_path):
    model, inputs, *_ = case
    fill(model)
    expected = model.recommend(inputs)[1].numpy()
    model.save(str(tmp_path / "model.keras"))
    np.testing.assert_allclose(keras.saving.load_model(str(tmp_path / "model.keras")).recommend(inputs)[1], expected)
    again = type(model).from_config(model.get_config())
    tf.train.Checkpoint(variables=[v.value for v in model.weights]).write(str(tmp_path / "cp"))
    tf.train.Checkpoint(variables=[v.value for v in again.weights]).read(str(tmp_path / "cp")).assert_consumed()
    np.testing.assert_allclose(again.recommend(inputs)[1], expected)


@pytest.mark.parametrize("name, reads", [("bucket", "time='embedding'"), ("action", "num_actions=2")])
def test_atrank_refuses_inputs_without_what_it_reads(name, reads):
    cls, sizes, inputs, more = CASES["atrank"]
    model = cls(**sizes)
    fill(model)
    model.compile(optimizer="sgd")
    less = {key: value for key, value in (inputs | more).items() if key != name}
    for use in (lambda: model.fit(tf.data.Dataset.from_tensors(less), verbose=0), lambda: model.recommend(less)):
        with pytest.raises(InputError, match=f"ATRank with {reads} reads '{name}', but is given "):
            use()


@pytest.mark.parametrize("name, reads", [("timestamp", "time='embedding'"), ("action", "num_actions=2")])
def test_atrank_refuses_sequences_without_what_it_reads(name, reads):
    """As from `TrainingBatches` whose `fields` do not ask for it."""
    values = tf.ragged.constant([[1, 2, 3]], tf.int64, row_splits_dtype=tf.int64)
    sequences = {"user": tf.constant([1], tf.int64), "item": values, "timestamp": values, "action": values}
    del sequences[name]
    model = ATRank(**ATRANK)
    with pytest.raises(InputError, match=f"ATRank with {reads} reads '{name}', but is given "):
        model.training_examples(sequences, lambda rows, count: tf.ones([2, count], tf.int64), None)
    with pytest.raises(InputError, match=f"ATRank with {reads} reads '{name}', but is given "):
        model.history_inputs(sequences)


def test_atrank_reads_actions_beside_kinds_of_objects():
    """The preset `recommended`: other actions, other scores, whatever the groups are made of."""
    flags = ["--model", "atrank", "--object_type", "kind", "--hidden_units", "8", "--num_heads", "2"]
    chosen = parse(flags).recipe.model_arguments
    sizes = {name: ATRANK[name] for name in ("num_users", "num_items", "num_groups", "num_actions")}
    model = ATRank(**{**chosen, **sizes, "attribute_sizes": (), "attribute_lengths": ()})
    fill(model)
    inputs = CASES["atrank"][2]
    scores = [
        model.score(inputs | {"action": action * tf.sign(inputs["history"])}, tf.range(1, 5)) for action in (1, 2)
    ]
    assert (np.abs(scores[0] - scores[1]) > 1e-6).any(axis=1).all()
