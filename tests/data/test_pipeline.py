import functools
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from tests.prepared import write
from tfrecs.data import evaluation_batches, statistics, training_batches, windows
from tfrecs.data import manifest as manifests
from tfrecs.errors import InputError

NUM_ITEMS = 9


@pytest.fixture(scope="module")
def data(prepare, random_sequences):
    sequences = random_sequences(np.random.default_rng(3), 37, NUM_ITEMS)
    sequences[4] = ((0, 0), [])
    sequences[5] = ((1, 2), [3, 4, 5])  # too short to train on
    sequences[6] = ((9, 10), [*range(1, 10), 2, 3])  # has every item in training: nothing to draw
    return sequences, *prepare(sequences, NUM_ITEMS, num_shards=3)


def make_examples(sequences, draw, seed):
    """One example per position: user, the three items before, the item there, two negatives, some noise."""
    items = sequences["item"]
    positions = windows.target_positions(items.row_lengths(), 1, 1)
    rows, starts = positions.value_rowids(), positions.flat_values
    return {
        "user": tf.gather(sequences["user"], rows),
        "history": windows.history_before(items, rows, starts, 3),
        "target": windows.items_from(items, rows, starts, 1)[:, 0],
        "negatives": draw(rows, 2),
        "noise": tf.random.stateless_uniform([tf.size(rows)], seed),
    }


@pytest.fixture(scope="module")
def batches(data):
    """`f(seed=..., users_per_block=..., ...)(first, end, skip)` gives a list of dicts of lists."""

    @functools.cache
    def build(directory, options):
        manifest = manifests.load(directory)
        weights = statistics.sampling_weights(directory, manifest, "uniform")
        return training_batches.TrainingBatches(directory, manifest, make_examples, weights=weights, **dict(options))

    def make(seed=1, batch_size=4, sequences=None, **options):
        directory, _ = data[1:] if sequences is None else sequences
        options = dict(seed=seed, batch_size=batch_size) | options
        built = build(directory, tuple(options.items()))

        def run(*epochs_and_skip):
            return [{k: v.numpy().tolist() for k, v in batch.items()} for batch in built(*epochs_and_skip)]

        return run

    return make


def test_only_who_leaves_no_negative_is_left_out_and_only_if_some_are_drawn(tmp_path):
    manifest = write(str(tmp_path / "data"), {1: ((3, 3), {"item": [1, 2, 3]}), 2: ((2, 2), {"item": [2, 1]})}, 3)

    def users(sequences, draw, seed):
        return {"user": sequences["user"]}

    for weights, expected in ((np.array([0, 1, 1, 1]), [2]), (None, [1, 2])):
        found = training_batches.TrainingBatches(
            str(tmp_path / "data"), manifest, users, weights=weights, batch_size=4, seed=0
        )()
        assert sorted(user for batch in found for user in batch["user"].numpy()) == expected


@pytest.fixture(scope="module")
def whole(batches):
    """Three epochs."""
    return batches()(0, 3)


@pytest.fixture(scope="module")
def one_epoch(whole):
    return [batch for batch in whole if batch["epoch"][0] == 0]


def examples(found):
    return Counter(
        (user, tuple(history), target)
        for batch in found
        for user, history, target in zip(batch["user"], batch["history"], batch["target"], strict=True)
    )


def brute_force(sequences, boundary=0):
    found = Counter()
    for user, (split, items) in sequences.items():
        training = items[: split[boundary]]
        if len(set(training)) < NUM_ITEMS:
            for position in range(1, len(training)):
                history = (training[max(position - 3, 0) : position] + [0, 0])[:3]
                found[user, tuple(history), training[position]] += 1
    return found


@pytest.mark.parametrize(
    "options, boundary",
    [({}, 0), ({"users_per_block": 1, "batch_size": 7}, 0), ({"users_per_block": 5, "split": "train_valid"}, 1)],
)
def test_every_example_exactly_once(batches, data, options, boundary):
    found = batches(**options)(0, 1)
    assert examples(found) == brute_force(data[0], boundary)
    sizes = [len(batch["user"]) for batch in found]
    assert set(sizes[:-1]) == {options.get("batch_size", 4)} and 0 < sizes[-1] <= sizes[0]


@pytest.mark.parametrize("num_shards", [1, 50])
def test_any_number_of_shards(batches, data, prepare, num_shards):
    prepared = prepare(data[0], NUM_ITEMS, num_shards=num_shards)
    assert examples(batches(sequences=prepared)(0, 1)) == brute_force(data[0])


def test_negatives_are_unseen_in_training(one_epoch, data):
    drawn = Counter()
    for batch in one_epoch:
        for user, row in zip(batch["user"], batch["negatives"], strict=True):
            split, items = data[0][user]
            assert not set(row) & ({0} | set(items[: split[0]]))
            drawn.update((user, item) for item in row)
    evaluation_batches = {(user, item) for user, (split, items) in data[0].items() for item in items[split[0] :]}
    assert set(drawn) & evaluation_batches  # what is held out looks like any other unseen item


def test_equal_seeds_give_equal_batches(one_epoch, batches):
    tf.random.set_seed(99)  # the global seed has no say
    assert batches()(0, 1) == one_epoch
    other = batches(seed=2)(0, 1)
    assert [batch["user"] for batch in other] != [batch["user"] for batch in one_epoch]
    assert examples(other) == examples(one_epoch)


@pytest.mark.parametrize("epoch, skip", [(0, 1), (0, -1), (1, 5), (2, 0)])
def test_skip_gives_the_tail(batches, whole, one_epoch, epoch, skip):
    steps = len(one_epoch)
    skip = steps if skip < 0 else skip
    assert batches()(epoch, 3, skip) == whole[epoch * steps + skip :]


def test_epochs_differ_and_no_batch_spans_two(whole):
    assert all(len(set(batch["epoch"])) == 1 for batch in whole)
    parts = [[batch for batch in whole if batch["epoch"][0] == epoch] for epoch in (0, 1, 2)]
    assert examples(parts[0]) == examples(parts[1]) == examples(parts[2])
    for name in ("user", "negatives", "noise"):
        assert [batch[name] for batch in parts[0]] != [batch[name] for batch in parts[1]]
        assert [batch[name] for batch in parts[1]] != [batch[name] for batch in parts[2]]


def test_blocks_are_independent(prepare, batches):
    """Equal users in different blocks get different negatives: the block's number is part of the seed."""
    prepared = prepare({user: ((9, 9), [1, 2] * 4 + [1]) for user in range(1, 9)}, NUM_ITEMS, num_shards=1)
    found = batches(sequences=prepared, users_per_block=1, batch_size=8)(0, 1)
    drawn = {str(sorted(batch["negatives"])) for batch in found}
    assert len(found) == len(drawn) == 8


def test_examples_of_a_block_are_mixed(batches, data):
    users = [batch["user"] for batch in batches(batch_size=16)(0, 1)]
    assert max(len(set(batch)) for batch in users) > 8  # in order, 16 examples come of two or three users


@pytest.mark.parametrize("split, boundary, end", [("valid", 0, 1), ("test", 1, None)])
@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_evaluation_ranks_each_user_with_a_held_out_item_once(data, split, boundary, end, batch_size):
    sequences, directory, manifest = data
    expected = {}
    for user, (splits, items) in sequences.items():
        start, stop = splits[boundary], len(items) if end is None else splits[end]
        if stop > start:
            expected[user] = (items[:start], items[start])
    found = {}
    loaded = evaluation_batches.EvaluationBatches(directory, manifest, lambda s: {"user": s["user"]}, batch_size, split)
    lengths = []
    for batch in loaded:
        for user, target, seen in zip(batch["user"].numpy(), batch["target"].numpy(), batch["seen"].numpy()):
            assert user not in found
            found[user] = ([item for item in seen.tolist() if item], target)
            lengths.append(len(found[user][0]))
        assert batch["seen"].shape[1] == lengths[-1]  # like lengths share a batch
    assert found == expected
    block = batch_size * evaluation_batches.BATCHES_PER_BLOCK
    assert block < len(lengths) or lengths == sorted(lengths)


def test_fields_are_cut_together(prepare, random_sequences):
    sequences = random_sequences(np.random.default_rng(0), 9, NUM_ITEMS)
    directory, manifest = prepare(sequences, NUM_ITEMS, ratings=True)
    for batch in training_batches.sequences(directory, manifest, manifest.fields):
        cut = training_batches.cut(batch, manifest.fields, batch["split"][:, 0])
        expected = [sequences[user][1][: sequences[user][0][0]] for user in batch["user"].numpy().tolist()]
        assert cut["item"].to_list() == expected
        assert cut["rating"].to_list() == [[item / 2 for item in row] for row in expected]


def test_a_model_that_draws_needs_weights(data):
    batches = training_batches.TrainingBatches(*data[1:], make_examples, weights=None, batch_size=4, seed=0)
    with pytest.raises(InputError, match="^weights: None, but the model draws negatives"):
        batches(0, 1)
    batches = training_batches.TrainingBatches(
        *data[1:], lambda s, draw, seed: {"user": s["user"]}, weights=None, batch_size=4, seed=0
    )
    assert next(iter(batches(0, 1)))["user"].shape == (4,)


def test_no_sequences_at_all(prepare, batches):
    directory, manifest = prepare({}, NUM_ITEMS)
    assert batches(sequences=(directory, manifest))(0, 2) == []
    assert not list(evaluation_batches.EvaluationBatches(directory, manifest, lambda s: {}, 4, "test"))


def test_batches_of_long_histories_hold_fewer_users(data, monkeypatch):
    """So many that users times the square of the longest history read stays within a bound, and all users once."""
    _, directory, manifest = data

    def batches(**options):
        return evaluation_batches.EvaluationBatches(
            directory, manifest, lambda s: {"user": s["user"]}, 16, "test", **options
        )

    whole = list(batches())
    monkeypatch.setattr(evaluation_batches, "PAIRS", 400)
    cut = batches()
    found = list(cut)
    assert len(cut) == len(found) > len(whole)
    assert [b["user"].numpy().tolist() for b in cut.dataset()] == [b["user"].numpy().tolist() for b in found]
    lengths = [(len(b["user"]), b["seen"].shape[1]) for b in found]
    assert all(users == 1 or users * longest**2 <= 400 for users, longest in lengths)
    together = [
        np.concatenate([b[name].numpy() for b in part]) for part in (whole, found) for name in ("user", "target")
    ]
    assert np.array_equal(together[0], together[2]) and np.array_equal(together[1], together[3])
    assert len(list(batches(max_history=2))) == len(whole)
