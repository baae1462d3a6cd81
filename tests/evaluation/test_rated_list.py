"""Lists of ratings: the published numbers, and values worked by hand."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import rated
from tfrecs.data import training_batches
from tfrecs.data.hashing import position
from tfrecs.errors import InputError, NotFiniteError
from tfrecs.evaluation import evaluator, rating_baselines
from tfrecs.evaluation.rated_list import RatedList, corrected_list, published_list
from tfrecs.models.arerec import ARERec
from tfrecs.models.arerec.random_split import held_out, random_split
from tfrecs.runs.config import TrainConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "arerec_eval.npz"
ONE_EACH = np.arange(31) > 0


@pytest.mark.parametrize("min_rating", [3, 4])
def test_the_published_numbers(min_rating):
    with np.load(GOLDEN) as file:
        arrays = {name: file[name] for name in file.files}
    config = json.loads(str(arrays["config"]))
    classes = np.array([config["id2label"][str(label)] for label in range(5)], np.float64)
    predicted = classes[arrays["input/prob"].argmax(axis=1)]
    ratings = classes[arrays["input/label_onehot"].argmax(axis=1)]
    for k, expected in zip(config["topk"], arrays[f"output/hr_ndcg_cutoff{min_rating}"]):
        found = [
            published_list(arrays["input/item"][own], predicted[own], ratings[own], k, min_rating)
            for own in (arrays["input/user"] == user for user in np.unique(arrays["input/user"]))
        ]
        np.testing.assert_allclose(np.nanmean(found, axis=0), expected, atol=1e-12)


def test_judged_by_hand():
    """Ranked 2, 5, 3, 4 by prediction; gains 2^rating - 1, discounts 1, 1/log2(3)."""
    predicted, ratings = np.array([0.1, 0.9, 0.2, 0.5]), np.array([4.0, 2.0, 3.0, 5.0])
    third = np.log2(3.0)
    hr, ndcg = corrected_list(predicted, ratings, 2, 4.0)
    assert hr == 1 / 2  # of 4 and 5, only 5 is among the first two
    assert ndcg == pytest.approx((3 + 31 / third) / (31 + 15 / third))
    assert corrected_list(predicted, ratings, 1, 4.0) == (0.0, pytest.approx(3 / 31))
    assert corrected_list(predicted, ratings, 4, 4.0)[0] == 1.0
    assert corrected_list(-ratings, ratings, 9, 4.0)[0] == 1.0  # fewer items than k: all are listed
    assert np.isnan(corrected_list(predicted, ratings, 2, 5.5)[0])
    assert corrected_list(ratings, ratings, 3, 4.0) == (1.0, 1.0)


def test_equal_predictions_are_averaged_over_their_orders():
    ratings = np.array([5.0, 1.0, 1.0])
    hr, ndcg = corrected_list(np.zeros(3), ratings, 1, 5.0)
    assert hr == pytest.approx(1 / 3)
    assert ndcg == pytest.approx((31 + 1 + 1) / 3 / 31)
    random = np.random.default_rng(0)
    predicted, ratings = random.integers(0, 3, 7).astype(float), random.integers(1, 6, 7).astype(float)
    orders = [corrected_list(predicted + 1e-6 * random.random(7), ratings, 3, 4.0) for _ in range(20000)]
    np.testing.assert_allclose(corrected_list(predicted, ratings, 3, 4.0), np.mean(orders, axis=0), atol=0.01)


class Rater:
    """Says 3.4 of even items and 2.6 of odd ones, and notes whom it was asked about."""

    kind_attribute = ""

    def __init__(self, own_split=None):
        self.own_split = own_split
        self.asked = []

    def rate(self, inputs):
        tf.py_function(lambda *pair: self.asked.extend(zip(*np.array(pair))), [inputs["user"], inputs["item"]], [])
        expected = tf.where(inputs["item"] % 2 == 0, 3.4, 2.6)
        return expected, tf.round(expected)


@pytest.fixture(scope="module")
def rated_data(tmp_path_factory):
    directory, sequences = str(tmp_path_factory.mktemp("rated") / "data"), rated.random_sequences(40, 30)
    return directory, rated.prepared(directory, sequences, 30), sequences


def test_each_held_out_rating_is_judged_once(rated_data):
    directory, manifest, sequences = rated_data
    for split, boundary in (("valid", 0), ("test", 1)):
        rater = Rater()
        metrics, seconds = RatedList((1, 2)).measurement(rater, directory, manifest)(split)
        expected, errors = [], []
        for user, (ends, items, _, ratings) in sequences.items():
            own = slice(ends[boundary], ends[1] if split == "valid" else None)
            expected += [(user, item) for item in items[own]]
            errors += [(3.4 if item % 2 == 0 else 2.6) - rating for item, rating in zip(items[own], ratings[own])]
        assert sorted(rater.asked) == sorted(expected) and seconds > 0
        assert metrics["mae"] == pytest.approx(np.abs(errors).mean(), abs=1e-6)
        assert metrics["rmse"] == pytest.approx(np.sqrt(np.square(errors).mean()), abs=1e-6)
        assert metrics["users"] == metrics["users@2"] == len({user for user, _ in expected})
        assert 0 < metrics["ndcg@1"] <= metrics["ndcg@2"] <= 1


@pytest.mark.parametrize("published", [False, True])
def test_ratings_that_are_no_numbers_stop_the_evaluation(rated_data, published):
    directory, manifest, sequences = rated_data

    held_out_items = [items[ends[1] :] for ends, items, *_ in sequences.values()]
    broken = next(items[0] for items in held_out_items if items)

    class Broken(Rater):
        def rate(self, inputs):
            expected, likely = super().rate(inputs)
            return tf.where(inputs["item"] == broken, np.nan, expected), likely

    count, bad = sum(map(bool, held_out_items)), sum(broken in items for items in held_out_items)
    assert 0 < bad < count
    with pytest.raises(NotFiniteError, match=f"Broken: NaN or infinite scores for {bad} of {count} test users"):
        RatedList((), published).measurement(Broken(), directory, manifest)("test")


def test_the_random_split_is_over_whole_sequences(rated_data):
    directory, manifest, sequences = rated_data
    rater = Rater(random_split(0.4, 5))
    metrics, _ = RatedList((1, 2), published=True).measurement(rater, directory, manifest, rater.own_split)("test")
    pairs = [(user, item) for user, (_, items, *_) in sequences.items() for item in items]
    chosen = held_out(*np.array(pairs).T, 0.4, 5).numpy()
    assert sorted(rater.asked) == sorted(pair for pair, out in zip(pairs, chosen) if out)
    assert metrics["users@2"] < metrics["users@1"] == metrics["users"] and "rmse" not in metrics


def test_each_published_list_is_of_one_user(rated_data):
    """Users are read shard after shard, not in order of their ids; the lists are made anew from the sequences."""
    directory, manifest, sequences = rated_data
    rater = Rater(random_split(0.4, 5))
    metrics, _ = RatedList((2,), published=True).measurement(rater, directory, manifest, rater.own_split)("test")
    expected = []
    for user, (_, items, _, ratings) in sequences.items():
        users, items, ratings = np.full(len(items), user), np.array(items, np.int64), np.array(ratings, np.float64)
        order = np.argsort(position(users, items, 0), kind="stable")
        own = order[held_out(users, items, 0.4, 5).numpy()[order]]
        expected.append(published_list(items[own], np.full(len(own), 3.0), ratings[own], 2, 3.0))
    expected = np.array(expected)
    assert metrics["hr@2"] == pytest.approx(np.nanmean(expected[:, 0]))
    assert metrics["ndcg@2"] == pytest.approx(np.nanmean(expected[:, 1]))
    assert metrics["users@2"] == np.isfinite(expected[:, 1]).sum()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_whole_way_with_the_model(rated_data, share):
    """Trained on what the split leaves, judged on what it holds out, beside the baselines on the same ratings."""
    directory, manifest, sequences = rated_data
    given = {"random_split": share, "embedding_dim": 4, "max_seq": 3}
    model = ARERec(**given, **ARERec.data_arguments(directory, manifest, given))
    model.adapt(directory, manifest, "train")
    everything = [(user, item) for user, (_, items, *_) in sequences.items() for item in items]
    part = "all" if share else "train"
    batches = training_batches.TrainingBatches(
        directory,
        manifest,
        model.training_examples,
        weights=ONE_EACH,
        batch_size=8,
        seed=0,
        split=part,
        fields=model.fields,
    )
    seen = [pair for batch in batches() for pair in zip(batch["user"].numpy(), batch["item"].numpy())]
    if share:
        chosen = model.own_split(*np.array(everything).T).numpy()
        held = [pair for pair, out in zip(everything, chosen) if out]
        assert sorted(seen + held) == sorted(everything) and len(held) > 20
    for published in (True, False):
        data, lists = (directory, manifest), RatedList((1, 2), published)
        own, _ = lists.measurement(model, *data, model.own_split)("test")
        for name, rater in rating_baselines.fit(*data, part, model.rating_classes, model.own_split).items():
            found, _ = lists.measurement(rater, *data, model.own_split)("test")
            assert found.keys() == own.keys() and found["users"] == own["users"], name
            assert all(np.isfinite(value) for value in [*found.values(), *own.values()])


def test_models_without_ratings_are_refused(rated_data):
    with pytest.raises(InputError, match="^protocol rated_list: object predicts no ratings"):
        RatedList().measurement(object(), *rated_data[:2])


@pytest.mark.parametrize("kind, share, said", [("leave_one_out", 0.0, 1), ("leave_one_out", 0.3, 0), ("ratio", 0.0, 0)])
def test_lists_of_one_rating_are_pointed_out(rated_data, capsys, kind, share, said):
    directory, manifest, _ = rated_data
    manifest = dataclasses.replace(manifest, split={"kind": kind})
    evaluator.create(Rater(random_split(share, 0)), TrainConfig(protocol="rated_list"), None, directory, manifest)
    assert capsys.readouterr().err.count("a list of one is always in order") == said
