"""What DIF-SR trains on, and which attributes it reads."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tests.models import replicas
from tests.models.dif_sr.test_dif_sr import TestDIFSR as Case
from tfrecs.errors import InputError
from tfrecs.models import item_attributes
from tfrecs.models.atrank import data as atrank_data
from tfrecs.models.dif_sr import data as dif_sr_data


def test_one_prefix_each():
    items = tf.ragged.constant([[1, 2, 3, 4], [5]], tf.int64, row_splits_dtype=tf.int64)
    rows, history, targets = dif_sr_data.one_prefix_examples(items, 2)
    assert rows.numpy().tolist() == [0, 0, 0]
    assert history.numpy().tolist() == [[1, 0], [1, 2], [2, 3]] and targets.numpy().tolist() == [[2], [3], [4]]


def test_items_are_left_out_at_random():
    """In order, about as many as asked for, the same for the same seed; every user keeps a row."""
    sequences = [list(range(1, 2001)), [], [7]]
    items = tf.ragged.constant(sequences, tf.int64, row_splits_dtype=tf.int64)
    first, again, other = (dif_sr_data.thinned(items, 0.3, [0, seed]) for seed in (1, 1, 2))
    kept = first[0].numpy()
    assert first.nrows() == 3 and np.all(np.diff(kept) > 0) and 0.65 < len(kept) / 2000 < 0.75
    np.testing.assert_array_equal(kept, again[0].numpy())
    assert set(kept) != set(other[0].numpy()) and dif_sr_data.thinned(items, 0.0, None) is items
    model = types.SimpleNamespace(all_positions=True, item_loss="ce", item_dropout=0.3, max_history=5000)
    examples = dif_sr_data.training_examples(model, items, None, [0, 1])
    assert examples["history"][0, : len(kept) - 1].numpy().tolist() == kept[:-1].tolist()
    assert examples["targets"][0, : len(kept) - 1].numpy().tolist() == kept[1:].tolist()


def test_padded_tables():
    values, splits = np.array([3, 1, 3, 2]), np.array([0, 0, 3, 4])
    assert item_attributes.padded(values, splits, 3).tolist() == [[0, 0, 0], [3, 1, 0], [2, 0, 0]]
    assert item_attributes.padded(values, splits, 3, keep_repeats=True).tolist() == [[0, 0, 0], [3, 1, 3], [2, 0, 0]]
    assert item_attributes.padded(values[:0], splits[:1], 1).shape == (0, 1)


def test_which_attributes():
    some, none = (types.SimpleNamespace(attributes=given) for given in ({"brand": "token", "genre": "list"}, {}))
    assert item_attributes.attribute_names(("all",), some) == ("brand", "genre")
    assert (
        item_attributes.attribute_names(("genre",), some) == ("genre",)
        and item_attributes.attribute_names((), some) == ()
    )
    assert item_attributes.attribute_names(("none",), some) == () and item_attributes.missing(("none",), none) == []
    assert item_attributes.missing(("all",), none) == ["item attributes"] and item_attributes.missing((), none) == []
    assert item_attributes.missing(("brand",), none) == ["brand"] and item_attributes.missing(("brand",), some) == []
    with pytest.raises(InputError, match="^attributes: the data has no 'brnd'; did you mean 'brand'?"):
        item_attributes.attribute_names(("brnd",), some)
    with pytest.raises(InputError, match="^attributes genre,genre: names 'genre' twice"):
        item_attributes.attribute_names(("genre", "genre"), some)
    with pytest.raises(InputError, match="^attributes brand,genre: 'genre' is the object_type, which is no feature"):
        atrank_data.attribute_names(some, {"attributes": ("brand", "genre"), "object_type": "genre"})
    for names, lacking in (("none", []), ("first", []), ("all", []), ("brand", ["brand"])):
        assert atrank_data.missing_columns(none, {"attributes": (names,), "time": "none"}) == lacking


def test_two_replicas_equal_one_device():
    case = Case()
    examples = case.examples(np.random.default_rng(0), 17)
    options = {"steps": 10, "batch_size": 7, "optimizer": "sgd", "learning_rate": 0.5}
    one, two = (
        replicas.train(case.make, examples, strategy=strategy, **options) for strategy in (None, replicas.mirrored())
    )
    moved = [np.abs(single - start).max() for single, start in zip(one, case.make().get_weights())]
    assert sum(move > 1e-3 for move in moved) > 0.7 * len(moved)  # not which item has which attributes
    for single, double in zip(one, two):
        np.testing.assert_allclose(double, single, rtol=0, atol=1e-5)
