"""What is asked of models from Python: long histories, and ids that are lists, floats, texts or out of range."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.atrank.test_atrank import SIZES as ATRANK
from tests.models.dif_sr.test_dif_sr import SIZES as DIF_SR
from tests.models.sasrec.test_sasrec import SIZES as SASREC
from tests.models.test_tables import fill
from tfrecs.errors import InputError
from tfrecs.models.atrank import ATRank
from tfrecs.models.attrec import AttRec
from tfrecs.models.dif_sr import DIFSR
from tfrecs.models.sasrec import SASRec

WIDTH = 3
MODELS = {
    "attrec": (AttRec, {"num_users": 4, "num_items": 9, "embedding_dim": 4}),
    "atrank": (ATRank, ATRANK),
    "dif_sr": (DIFSR, DIF_SR),
    "sasrec": (SASRec, SASREC),
}
LONG = np.array([[1, 2, 3, 4, 5, 0], [6, 5, 4, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 2, 3, 2, 1]])
LATEST = np.array([[3, 4, 5], [6, 5, 4], [0, 0, 0], [3, 2, 1]])


@functools.cache
def make(name):
    model = MODELS[name][0](**MODELS[name][1] | {"max_history": WIDTH})
    fill(model)
    return model


def inputs(history):
    history = np.array(history)
    more = {"bucket": history % 3, "action": history % 2 + (history > 0)}
    return {"user": np.ones(len(history), np.int64), "history": history} | more


@pytest.mark.parametrize("name", MODELS)
def test_the_latest_items_of_a_long_history_are_read_and_all_of_it_excluded(name):
    model = make(name)
    items, scores = model.recommend(inputs(LONG), k=4, excluded=LONG)
    expected = model.recommend(inputs(LATEST), k=4, excluded=LONG)
    np.testing.assert_array_equal(items, expected[0])
    np.testing.assert_allclose(scores, expected[1], atol=1e-6)
    assert not any(set(row[row > 0]) & set(seen) for row, seen in zip(items.numpy(), LONG))
    candidates = tf.range(1, 5)
    np.testing.assert_allclose(
        model.score(inputs(LONG), candidates), model.score(inputs(LATEST), candidates), atol=1e-6
    )


@pytest.mark.parametrize("name", MODELS)
def test_lists_and_whole_floats_are_ids(name):
    model = make(name)
    expected = model.recommend(inputs(LATEST), k=4, excluded=LATEST)
    lists = {key: value.tolist() for key, value in inputs(LATEST).items()}
    floats = inputs(LATEST) | {"history": LATEST.astype(np.float64)}
    for given, excluded in ((lists, LATEST.tolist()), (floats, LATEST.astype(np.float32))):
        given = given | {key: np.array(given[key]) for key in ("bucket", "action")}
        for found, value in zip(model.recommend(given, k=4, excluded=excluded), expected):
            np.testing.assert_allclose(found, value, atol=1e-6)
    np.testing.assert_allclose(
        model.score(lists | {k: np.array(lists[k]) for k in ("bucket", "action")}, [2, 3]),
        model.score(inputs(LATEST), tf.constant([2, 3], tf.int64)),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "history, shown",
    [
        ([["b01", "b02"]], "'b01'"),
        ([[b"b01"]], "'b01'"),
        ([[1, 2.5]], "2.5"),
        ([[1, float("nan")]], "nan"),
        ([[1, -3]], "-3"),
        ([[1, 10]], "10"),
        ([[1, 2**40]], str(2**40)),
        ([[None, 2]], "None"),
        ([[True, True]], "True"),
        (tf.constant([["b01"]]), "'b01'"),
    ],
)
def test_what_is_no_id_is_refused(history, shown):
    model = make("attrec")
    message = f": expected ids, integers from 0 to 9, got {shown}$"
    for use in (
        lambda: model.recommend({"user": [1], "history": history}),
        lambda: model.score({"user": [1], "history": history}, [1, 2]),
    ):
        with pytest.raises(InputError, match=f"^history{message}"):
            use()
    with pytest.raises(InputError, match=f"^excluded{message}"):
        model.recommend({"user": [1], "history": [[1]]}, excluded=history)
    with pytest.raises(InputError, match=f"^items{message}"):
        model.score({"user": [1], "history": [[1]]}, history)


def test_other_arguments_of_recommend_are_refused():
    model = make("attrec")
    with pytest.raises(InputError, match="^user: expected ids, integers from 0 to 4, got 5$"):
        model.recommend({"user": [5], "history": [[1]]})
    with pytest.raises(InputError, match=r"^history: expected rows of one length, padded with 0, got \[\[1, 2\], \[3"):
        model.recommend({"user": [1, 2], "history": [[1, 2], [3]]})
    for k in (0, -1, 2.5, "3", None):
        with pytest.raises(InputError, match=f"^k: expected an integer of at least 1, got {k!r}$"):
            model.recommend({"user": [1], "history": [[1]]}, k=k)


@pytest.mark.parametrize("name", MODELS)
def test_inputs_that_no_model_has_or_that_are_missing_are_refused(name):
    model = make(name)
    good = inputs(LATEST)
    for use in (
        lambda given: model.recommend(given),
        lambda given: model.score(given, [1, 2]),
        lambda given: model(given),
    ):
        with pytest.raises(InputError, match="^inputs: 'histories' is no input of a model; did you mean 'history'"):
            use(good | {"histories": LATEST})
        with pytest.raises(InputError, match=f"^inputs: {type(model).__name__} reads 'history'; there are only 'user'"):
            use({key: value for key, value in good.items() if key != "history"})
        with pytest.raises(InputError, match=f"^inputs: expected a dict of what {type(model).__name__} reads, got a "):
            use(LATEST)


@pytest.mark.parametrize("name", MODELS)
def test_a_call_checks_and_converts_ids(name):
    model = make(name)
    lists = {"user": [1] * len(LATEST), "history": LATEST.tolist()}
    given = inputs(LATEST)
    np.testing.assert_array_equal(model(given | lists), model(given))
    np.testing.assert_array_equal(model(inputs(LONG)), model(given))
    for wrong, message in (
        ({"history": LATEST + 2**40}, f"history: expected ids, integers from 0 to {model.num_items}, got {2**40 + 3}"),
        ({"user": [-1] * len(LATEST)}, f"user: expected ids, integers from 0 to {model.num_users}, got -1"),
        (
            {"candidates": [[1, 99]] * len(LATEST)},
            f"candidates: expected ids, integers from 0 to {model.num_items}, got",
        ),
    ):
        with pytest.raises(InputError, match=f"^{message}"):
            model(given | wrong)


def test_a_model_within_a_functional_model():
    model = make("attrec")
    shapes = {"user": [], "history": [WIDTH]}
    symbols = {key: keras.Input(shape, dtype="int64", name=key) for key, shape in shapes.items()}
    given = {key: value for key, value in inputs(LATEST).items() if key in symbols}
    np.testing.assert_allclose(keras.Model(symbols, model(symbols))(given), model(given), atol=1e-6)


def test_a_graph_holds_no_check():
    """Within a graph ids are what they are: nothing is compared, gathered or asserted in addition."""
    model = make("attrec")

    @tf.function(input_signature=[tf.TensorSpec([None, WIDTH], tf.int64)])
    def encode(history):
        return model.score({"user": history[:, 0], "history": history}, tf.range(1, 5, dtype=tf.int64))

    @tf.function(input_signature=[tf.TensorSpec([None, WIDTH], tf.int64)])
    def plain(history):
        query = model.encode({"user": history[:, 0], "history": history})
        return model.score_items(query, tf.range(1, 5, dtype=tf.int64))

    count = [len(f.get_concrete_function().graph.get_operations()) for f in (encode, plain)]
    assert count[0] == count[1]
