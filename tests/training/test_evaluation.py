import numpy as np
import pytest
import tensorflow as tf

from tfrecs import metrics
from tfrecs.data import pipeline, records
from tfrecs.data.manifest import Manifest
from tfrecs.models.attrec import AttRec
from tfrecs.models.baselines import Popularity, Transitions
from tfrecs.training import evaluation, strategy

NUM_USERS, NUM_ITEMS = 23, 12


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """`(sequences, f(batch_size) -> batches)`: leave-one-out test items, one user in five without any."""
    random = np.random.default_rng(0)
    directory = str(tmp_path_factory.mktemp("prepared"))
    sequences = {}
    with records.ShardWriter(directory, 2) as writer:
        for user in range(1, NUM_USERS + 1):
            items = random.integers(1, NUM_ITEMS + 1, random.integers(2, 9)).tolist()
            end = len(items) if user % 5 == 0 else len(items) - 1
            sequences[user] = (items[:end], items[end:])
            writer.write(user, (end - 1, end), {"item": items})
    manifest = Manifest("test", ("item",), NUM_USERS, NUM_ITEMS, 0, {}, writer.shards, {}, {}, None, {}, {})
    model = AttRec(NUM_USERS, NUM_ITEMS, embedding_dim=4, max_history=4)

    def batches(size):
        return pipeline.EvaluationBatches(directory, manifest, model.history_inputs, size, "test")

    return sequences, batches, model


def expected_ranks(data, scores, exclude_seen=True):
    """`scores(user) -> [items + 1]`; the rank of every user's test item, by hand."""
    found = []
    for user, (history, held_out) in data[0].items():
        if held_out:
            row, target = scores(user), held_out[0]
            rivals = [i for i in range(1, NUM_ITEMS + 1) if i != target and not (exclude_seen and i in history)]
            found.append(1 + sum(row[item] >= row[target] for item in rivals))
    return sorted(found)


def user_scores(user):
    return np.sin(np.arange(NUM_ITEMS + 1) * user)


def rank_by_table(batch):
    table = tf.constant(np.stack([user_scores(user) for user in range(NUM_USERS + 1)]))
    return metrics.pessimistic_rank(
        lambda ids: tf.gather(tf.gather(table, batch["user"]), ids, axis=1), batch["target"], batch["seen"], NUM_ITEMS
    )


def check(found, ranks):
    ranks = np.array(ranks)
    assert found["users"] == len(ranks)
    assert found["mrr"] == pytest.approx((1 / ranks).mean(), abs=1e-6)
    for k in (5, 10):
        assert found[f"hr@{k}"] == pytest.approx((ranks <= k).mean(), abs=1e-9)
        gains = np.where(ranks <= k, 1 / np.log2(ranks + 1), 0)
        assert found[f"ndcg@{k}"] == pytest.approx(gains.mean(), abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 100])
def test_each_user_counts_once(data, batch_size):
    found, seconds = evaluation.Evaluator(rank_by_table)(data[1](batch_size))
    ranks = expected_ranks(data, user_scores)
    assert len(ranks) == NUM_USERS - NUM_USERS // 5 and seconds > 0
    check(found, ranks)


@pytest.mark.parametrize("batch_size", [4, 5])
def test_two_replicas_count_as_one_device(data, batch_size):
    mirrored = strategy.create("mirrored")
    assert mirrored.num_replicas_in_sync == 2
    found, _ = evaluation.Evaluator(rank_by_table, mirrored)(data[1](batch_size))
    check(found, expected_ranks(data, user_scores))


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_model_is_ranked_by_its_scores(data, exclude_seen):
    sequences, batches, model = data
    found, _ = evaluation.Evaluator(evaluation.model_rank(model, exclude_seen))(batches(6))

    def scores(user):
        history = sequences[user][0][-4:]
        inputs = {"user": tf.constant([user]), "history": tf.constant([history + [0] * (4 - len(history))])}
        return np.r_[0.0, model.score(inputs, tf.range(1, NUM_ITEMS + 1, dtype=tf.int64)).numpy()[0]]

    check(found, expected_ranks(data, scores, exclude_seen))


def test_popularity_baseline(data):
    counts = np.array([0, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
    found, _ = evaluation.Evaluator(Popularity(counts).rank)(data[1](6))
    check(found, expected_ranks(data, lambda user: counts))


def test_transitions_baseline(data):
    """Counts of what followed the last item; popularity, as a fraction below one, breaks ties."""
    counts = np.array([0, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 2**25 - 1])
    pairs = np.random.default_rng(1).integers(1, NUM_ITEMS + 1, (300, 2))
    found, _ = evaluation.Evaluator(Transitions(counts, pairs).rank)(data[1](6))

    def scores(user):
        last = data[0][user][0][-1]
        followed = [np.sum((pairs == [last, item]).all(axis=1)) for item in range(NUM_ITEMS + 1)]
        return np.array(followed) + counts / (counts.max() + 1)

    check(found, expected_ranks(data, scores))


def test_transitions_without_any_pair_or_history():
    baseline = Transitions(np.array([0, 2, 5, 1]), np.zeros([0, 2], np.int64))
    batch = {
        "history": tf.zeros([1, 3], tf.int64),
        "target": tf.constant([1], tf.int64),
        "seen": tf.zeros([1, 0], tf.int64),
    }
    assert baseline.rank(batch).numpy().tolist() == [2]


def test_nobody_to_rank(data):
    nobody = tf.data.Dataset.from_tensors({"target": tf.zeros([1], tf.int64)}).take(0)
    assert evaluation.Evaluator(rank_by_table)(nobody)[0] == {"users": 0}


def test_summary_by_hand():
    found = evaluation.summarise(np.array([1, 3, 60]))
    assert found["users"] == 3
    assert found["hr@5"] == pytest.approx(2 / 3)
    assert found["ndcg@50"] == pytest.approx((1 + 1 / 2) / 3)
    assert found["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 60) / 3)
