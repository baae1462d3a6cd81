"""`Dataset`: what it says of prepared data, what it refuses, and batches that are read again and again."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from data_prep.prepare import prepare
from tests.prepared import write
from tfrecs import json_files
from tfrecs.data.dataset import Dataset
from tfrecs.errors import InputError
from tfrecs.progress import StageProgress

ITEMS = 9


class Pairs:
    """As much of a model as batches ask for: every next item with two negatives."""

    num_users, num_items = 5, ITEMS
    fields, padded_fields, kind_attribute, max_history = ("item",), ("history",), "", 0
    draws_negatives, negatives_include_pad, negatives_exclude_held_out = True, False, False

    def training_examples(self, sequences, draw, seed):
        rows = sequences["item"].value_rowids()
        return {"history": sequences["item"].flat_values[:, None], "negatives": draw(rows, 2)}

    def history_inputs(self, sequences):
        return {"user": sequences["user"]}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Five users of 2 to 6 items: 15 training examples, each with a validation and a test item but the first user."""
    path = str(tmp_path_factory.mktemp("dataset") / "data")
    random = np.random.default_rng(0)
    items = {user: random.integers(1, ITEMS + 1, user + 2).tolist() for user in range(1, 6)}
    write(path, {user: ((user, user + (user > 1)), {"item": row}) for user, row in items.items()}, ITEMS)
    return path


@pytest.fixture(scope="module")
def data(directory):
    return Dataset(directory)


def contents(batches):
    return [{name: value.numpy().tolist() for name, value in batch.items()} for batch in batches]


def negatives(batches):
    return [batch["negatives"] for batch in contents(batches)]


def test_what_it_says(data, directory):
    assert data.users == [f"user{code}" for code in range(1, 6)] and data.items[ITEMS - 1] == f"item{ITEMS}"
    assert data.fields == ("item",) and data.manifest.num_interactions == 25
    assert repr(data) == f"Dataset({directory!r}: 5 users, 9 items, 25 interactions; fields item; leave_one_out)"


def test_attributes_are_listed(tmp_path):
    prepare("sample", str(tmp_path / "data"), StageProgress(None), num_users=20, num_items=30, mean_length=5)
    text = repr(Dataset(tmp_path / "data"))
    assert "20 users" in text and "timestamp" in text and "item attributes" in text and "category" in text


@pytest.mark.parametrize(
    "batch_size, length",
    [(4, 4), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((15, 1), (5, 3), (64, 1)))],
)
def test_a_pass_is_an_epoch_and_each_draws_other_negatives(data, batch_size, length):
    """15 training examples: 1 + 2 + 3 + 4 + 5."""
    batches, again = (data.training_batches(Pairs(), batch_size=batch_size, seed=3) for _ in range(2))
    assert len(batches) == length
    passes = [contents(batches) for _ in range(3)]
    assert [len(found) for found in passes] == [length] * 3
    assert [{code for batch in found for code in batch["epoch"]} for found in passes] == [{0}, {1}, {2}]
    drawn = [[batch["negatives"] for batch in found] for found in passes]
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]
    assert [contents(again) for _ in range(3)] == passes
    assert contents(batches(1, 2)) == passes[1]
    assert negatives(data.training_batches(Pairs(), batch_size=batch_size, seed=4)) != drawn[0]


def test_passes_for_fit(data):
    batches = data.training_batches(Pairs(), batch_size=4, seed=3)
    epoch = [0]
    dataset = batches.passes(lambda: epoch[0])
    assert int(dataset.cardinality()) == 4
    for epoch[0] in (0, 2, 1, 2):
        assert contents(dataset) == contents(batches(epoch[0], epoch[0] + 1))


@pytest.mark.parametrize("steps", [9, *(pytest.param(steps, marks=pytest.mark.slow) for steps in (1, 3, 5))])
def test_passes_of_a_number_of_steps_follow_each_other(data, steps):
    batches = data.training_batches(Pairs(), batch_size=4, seed=3)
    epoch = [0]
    dataset, found = batches.passes(lambda: epoch[0], steps), []
    assert int(dataset.cardinality()) == steps
    for epoch[0] in range(4):
        found += contents(dataset)
    assert found == contents(batches(0, 9))[: 4 * steps]


def test_epochs_of_different_lengths_are_as_long_as_the_first(data):
    """Batches of at least 2 tokens, of rows of 1, whose number is left to chance."""

    class Thinned(Pairs):
        draws_negatives = False

        def training_examples(self, sequences, draw, seed):
            items = sequences["item"].flat_values
            return {
                "history": tf.boolean_mask(items, tf.random.stateless_uniform(tf.shape(items), seed) < 0.5)[:, None]
            }

    batches = data.training_batches(Thinned(), batch_size=1)
    lengths = [len(contents(batches(epoch, epoch + 1))) for epoch in range(6)]
    assert len(set(lengths)) > 1 and len(batches) == lengths[0]
    epoch = [0]
    dataset = batches.passes(lambda: epoch[0])
    for epoch[0] in range(len(lengths)):
        whole = contents(batches(epoch[0], epoch[0] + 1))
        assert contents(dataset) == (whole * lengths[0])[: lengths[0]]


def test_length_of_batches_by_tokens(data):
    batches = data.training_batches(Pairs(), batch_tokens=4)
    assert len(batches) == len(contents(batches(0, 1))) == 4  # 15 tokens


@pytest.mark.parametrize(
    "split, batch_size, users", [("valid", 2, 4), ("valid", 4, 4), ("test", 2, 5), ("test", 64, 5)]
)
def test_evaluation_batches_have_a_length(data, split, batch_size, users):
    batches = data.evaluation_batches(Pairs(), split, batch_size=batch_size)
    assert len(batches) == -(-users // batch_size) == int(batches.dataset().cardinality())
    for _ in range(2):
        assert sum(len(batch["target"]) for batch in contents(batches)) == users
        assert sum(len(batch["target"]) for batch in contents(batches.dataset())) == users


def test_nothing_to_train_on(data):
    class Nothing(Pairs):
        def training_examples(self, sequences, draw, seed):
            return {"history": tf.zeros([0, 1], tf.int64)}

    batches = data.training_batches(Nothing())
    assert len(batches) == 0
    with pytest.raises(InputError, match="no training examples"):
        batches.passes(lambda: 0)


def test_data_that_are_not_there_or_not_readable(tmp_path, directory):
    with pytest.raises(InputError, match=f"{tmp_path}/none/dataset.json: no prepared data here .no such directory"):
        Dataset(tmp_path / "none")
    with pytest.raises(InputError, match="no prepared data here"):
        Dataset(tmp_path)
    other = shutil.copytree(directory, tmp_path / "other")
    content = json_files.load(str(other / "dataset.json"), "", "")
    json_files.write(str(other / "dataset.json"), content | {"schema_version": 1})
    with pytest.raises(InputError, match="dataset.json: schema_version 1, but this tfrecs reads version 2"):
        Dataset(other)
    altered = shutil.copytree(directory, tmp_path / "altered")
    shard = altered / json.loads((altered / "dataset.json").read_text())["shards"][0]["path"]
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match=f"{shard}: truncated or altered"):
        Dataset(altered)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda data: data.training_batches(Pairs(), batch_size=0), "batch_size: expected an integer of at least 1"),
        (lambda data: data.training_batches(Pairs(), batch_size=2.5), "batch_size: expected an integer of at least 1"),
        (lambda data: data.training_batches(Pairs(), batch_tokens=-1), "batch_tokens: expected an integer of at least"),
        (
            lambda data: data.training_batches(Pairs(), split="trian"),
            "split: unknown value 'trian'; did you mean 'train'",
        ),
        (
            lambda data: data.training_batches(Pairs(), negative_sampling="uniforn"),
            "negative_sampling: unknown value 'uniforn'; did you mean 'uniform'",
        ),
        (lambda data: data.evaluation_batches(Pairs(), "tset"), "split: unknown value 'tset'; did you mean 'test'"),
        (lambda data: data.evaluation_batches(Pairs(), "test", batch_size=0), "batch_size: expected"),
    ],
)
def test_bad_arguments(data, call, message):
    with pytest.raises(InputError, match=f"^{message}"):
        call(data)


@pytest.mark.parametrize(
    "attribute, value, message",
    [
        ("num_items", 8, "model: this Pairs was made for num_items=8, but .* has num_items=9"),
        ("num_users", 6, "model: this Pairs was made for num_users=6, but .* has num_users=5"),
        (
            "made_for",
            ("0", "1"),
            "model: this Pairs was made for other users and items than ",
        ),
        ("fields", ("item", "timestamp"), "model: this Pairs reads timestamp, which .*test. lacks"),
    ],
)
def test_models_of_other_data_are_refused(data, attribute, value, message):
    model = Pairs()
    setattr(model, attribute, value)
    for use in (data.training_batches, lambda model: data.evaluation_batches(model, "test")):
        with pytest.raises(InputError, match=message):
            use(model)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"max_users": -1}, "max_users: expected an integer of at least 1, got -1"),
        ({"max_users": 0}, "max_users: expected an integer of at least 1, got 0"),
        ({"max_users": 2.5}, "max_users: expected an integer of at least 1, got 2.5"),
        ({"batch_size": 0}, "batch_size: expected an integer of at least 1, got 0"),
        ({"num_negatives": -1}, "num_negatives: expected an integer of at least 0, got -1"),
    ],
)
def test_arguments_of_evaluation_batches_are_named(data, given, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        data.evaluation_batches(Pairs(), "valid", **given)


@pytest.mark.parametrize("seed", [-1, "x", 1.5, 2**70, None])
def test_a_seed_is_named(data, seed):
    with pytest.raises(InputError, match=f"^seed: expected an integer of at least 0, got {seed!r}$"):
        data.training_batches(Pairs(), seed=seed)
