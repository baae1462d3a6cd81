import numpy as np
import pytest
import tensorflow as tf

from tfrecs import metrics
from tfrecs.data import evaluation_batches, records
from tfrecs.data.kinds import Kinds
from tfrecs.data.manifest import Manifest
from tfrecs.errors import NotFiniteError
from tfrecs.evaluation import measurement
from tfrecs.evaluation.baselines import Popularity, Transitions
from tfrecs.evaluation.held_out_item import FullRanking, PairAUC
from tfrecs.models.attrec import AttRec
from tfrecs.training import strategy

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

    def batches(size, **options):
        return evaluation_batches.EvaluationBatches(directory, manifest, model.history_inputs, size, "test", **options)

    return sequences, batches, model


def evaluator(measure, replicas=None):
    return measurement.Measurement(measure, FullRanking().summarise, replicas)


def expected_ranks(data, scores, exclude_seen=True):
    """`scores(user) -> [items + 1]`; the rank of every user's test item, by hand."""
    found = []
    for user, (history, targets) in data[0].items():
        if targets:
            row, target = scores(user), targets[0]
            rivals = [i for i in range(1, NUM_ITEMS + 1) if i != target and not (exclude_seen and i in history)]
            found.append(1 + sum(row[item] >= row[target] for item in rivals))
    return sorted(found)


def user_scores(user):
    return np.sin(np.arange(NUM_ITEMS + 1) * user)


def rank_by_table(batch):
    table = tf.constant(np.stack([user_scores(user) for user in range(NUM_USERS + 1)]))
    return metrics.checked_rank(
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
    found, seconds = evaluator(rank_by_table)(data[1](batch_size))
    ranks = expected_ranks(data, user_scores)
    assert len(ranks) == NUM_USERS - NUM_USERS // 5 and seconds > 0
    check(found, ranks)


@pytest.mark.parametrize("batch_size", [4, 5])
def test_two_replicas_count_as_one_device(data, batch_size):
    mirrored = strategy.create("mirrored")
    assert mirrored.num_replicas_in_sync == 2
    found, _ = evaluator(rank_by_table, mirrored)(data[1](batch_size))
    check(found, expected_ranks(data, user_scores))


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_model_is_ranked_by_its_scores(data, exclude_seen):
    sequences, batches, model = data
    found, _ = evaluator(FullRanking(exclude_seen).measure(model))(batches(6))

    def scores(user):
        history = sequences[user][0][-4:]
        inputs = {"user": tf.constant([user]), "history": tf.constant([history + [0] * (4 - len(history))])}
        return np.r_[0.0, model.score(inputs, tf.range(1, NUM_ITEMS + 1, dtype=tf.int64)).numpy()[0]]

    check(found, expected_ranks(data, scores, exclude_seen))


def test_popularity_baseline(data):
    counts = np.array([0, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
    found, _ = evaluator(FullRanking().measure(Popularity(counts)))(data[1](6))
    check(found, expected_ranks(data, lambda user: counts))


def test_transitions_baseline(data):
    """Counts of what followed the last item; popularity, as a fraction below one, breaks ties."""
    counts = np.array([0, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 2**25 - 1])
    pairs = np.random.default_rng(1).integers(1, NUM_ITEMS + 1, (300, 2))
    found, _ = evaluator(FullRanking().measure(Transitions(counts, pairs)))(data[1](6))

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
    assert baseline.rank(batch, batch["target"], batch["seen"]).numpy().tolist() == [2]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("replicas", ["none", "mirrored"])
def test_scores_that_are_no_numbers_stop_the_evaluation(data, value, replicas):
    """Three users with a test item have a score of that kind, each of an item that is not the one held out."""
    sequences, batches, _ = data
    table = np.stack([user_scores(user) for user in range(NUM_USERS + 1)])
    for user in [user for user in sequences if sequences[user][1]][:3]:
        table[user, [item for item in (1, 2) if item != sequences[user][1][0]][0]] = value

    def measure(batch):
        scores = tf.gather(tf.constant(table), batch["user"])
        return metrics.checked_rank(
            lambda ids: tf.gather(scores, ids, axis=1), batch["target"], batch["seen"], NUM_ITEMS
        )

    evaluate = measurement.Measurement(measure, FullRanking().summarise, strategy.create(replicas), "Mine")
    count = NUM_USERS - NUM_USERS // 5
    with pytest.raises(NotFiniteError, match=f"Mine: NaN or infinite scores for 3 of {count} test users"):
        evaluate(batches(4), "test")


@pytest.mark.parametrize("place", [0, 1])
def test_pairs_stop_at_a_score_that_is_no_number(place):
    """Neither a NaN of the held-out item nor one of a negative counts as won, in a graph either."""

    class Scorer:
        def score(self, batch, items):
            return tf.tensor_scatter_nd_update(-tf.cast(items, tf.float32), [[0, place]], [np.nan])

    batch = {"target": tf.constant([1, 2], tf.int64), "negatives": tf.constant([[3], [4]], tf.int64)}
    for mode in (lambda f: f, tf.function, lambda f: tf.function(f, jit_compile=True)):
        shares, sound = mode(PairAUC(1).measure(Scorer()))(batch)
        assert shares.numpy().tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
        assert sound.numpy().tolist() == [False, True]


def test_nobody_to_rank(data):
    nobody = tf.data.Dataset.from_tensors({"target": tf.zeros([1], tf.int64)}).take(0)
    assert evaluator(rank_by_table)(nobody)[0] == {"users": 0}


def test_summary_by_hand():
    found = FullRanking().summarise(np.array([1, 3, 60]))
    assert found["users"] == 3
    assert found["hr@5"] == pytest.approx(2 / 3)
    assert found["ndcg@50"] == pytest.approx((1 + 1 / 2) / 3)
    assert found["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 60) / 3)


def test_recall_is_hit_rate_under_another_name():
    found = FullRanking(exclude_seen=False, recall=True).summarise(np.array([1, 3, 60]))
    assert found["recall@50"] == found["hr@50"] == pytest.approx(2 / 3)
    assert {"recall@5", "ndcg@20", "mrr"} <= set(FullRanking(recall=True).names)


class Table:
    """Scores from a fixed table."""

    def score(self, batch, items):
        table = tf.constant(np.stack([user_scores(user) for user in range(NUM_USERS + 1)]))
        return tf.gather(tf.gather(table, batch["user"]), items, batch_dims=1)


def negatives_of(data, size, count):
    found = {}
    for batch in data[1](size, num_negatives=count):
        found |= dict(zip(batch["user"].numpy().tolist(), batch["negatives"].numpy().tolist(), strict=True))
    return found


def test_negatives_are_unseen_and_the_same_at_every_look(data):
    drawn = negatives_of(data, 4, 5)
    assert drawn == negatives_of(data, 9, 5)
    for user, (history, target) in data[0].items():
        if target:
            assert not {*history, *target} & set(drawn[user]) and 0 not in drawn[user]
    assert len({item for row in drawn.values() for item in row}) > NUM_ITEMS // 2
    assert {user: row[:2] for user, row in drawn.items()} == negatives_of(data, 4, 2)


@pytest.mark.parametrize("count", [1, 7])
def test_pair_auc_by_hand(data, count):
    protocol = PairAUC(count)
    found, _ = measurement.Measurement(protocol.measure(Table()), protocol.summarise)(data[1](5, num_negatives=count))
    wins = [
        user_scores(user)[data[0][user][1][0]] > user_scores(user)[row]
        for user, row in negatives_of(data, 6, count).items()
    ]
    assert found == {"auc": pytest.approx(np.mean(wins)), "gauc": pytest.approx(np.mean(wins)), "users": len(wins)}


KINDS = Kinds("kind", ("query", "item"), np.array([0, 2, 1, 1, 2, 1, 2, 2, 1, 1, 2, 2, 1]))


def test_pairs_of_one_kind_by_hand(data):
    """Negatives are unseen ones of the target's kind; each kind has the AUC of its own users."""
    drawn = {}
    for batch in data[1](5, num_negatives=6, kinds=KINDS.of_item):
        drawn |= dict(zip(batch["user"].numpy().tolist(), batch["negatives"].numpy().tolist(), strict=True))
    wins = {1: [], 2: []}
    for user, (history, target) in data[0].items():
        if target:
            kind = KINDS.of_item[target[0]]
            unseen = [i for i in range(1, 13) if KINDS.of_item[i] == kind and i not in history + target]
            assert set(drawn[user]) <= (set(unseen) or {0})
            if unseen:
                wins[kind].append(np.mean(user_scores(user)[target[0]] > user_scores(user)[drawn[user]]))
    protocol = PairAUC(6, KINDS)
    batches = data[1](4, num_negatives=6, kinds=KINDS.of_item)
    found, _ = measurement.Measurement(protocol.measure(Table()), protocol.summarise)(batches)
    assert protocol.names == ("auc", "gauc", "auc_query", "auc_item")
    expected = {"auc_query": np.mean(wins[1]), "auc_item": np.mean(wins[2]), "auc": np.mean(wins[1] + wins[2])}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert found["users"] == len(wins[1] + wins[2]) and min(map(len, wins.values())) > 3


def test_the_loss_of_pairs_is_the_models_own(data):
    class WithLoss(Table):
        def pair_loss(self, scores):
            return tf.reduce_sum(scores, axis=1)

    protocol = PairAUC(2)
    found, _ = measurement.Measurement(protocol.measure(WithLoss()), protocol.summarise)(data[1](4, num_negatives=2))
    sums = [user_scores(user)[[data[0][user][1][0], *row]].sum() for user, row in negatives_of(data, 6, 2).items()]
    assert found["loss"] == pytest.approx(np.mean(sums), abs=1e-6) and "loss" not in protocol.names


def test_pair_auc_of_baselines_agrees_with_their_rankings(data):
    counts = np.array([0, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
    pairs = np.random.default_rng(1).integers(1, NUM_ITEMS + 1, (40, 2))
    for baseline in (Popularity(counts), Transitions(counts, pairs), Transitions(counts, pairs[:0])):
        batch = next(iter(data[1](6)))
        catalogue = baseline.score(batch, tf.range(1, NUM_ITEMS + 1, dtype=tf.int64))
        own = np.random.default_rng(0).integers(1, NUM_ITEMS + 1, (6, 4))[: len(batch["user"])]
        expected = np.take_along_axis(catalogue.numpy(), own - 1, axis=1)
        np.testing.assert_array_equal(baseline.score(batch, tf.constant(own)), expected)


def test_a_user_who_has_every_item_is_left_out_of_pairs():
    shares = np.array([[0.5, 0.0, 1.0], [0.0, 1.0, 0.0]])
    assert PairAUC(2).summarise(shares) == {"auc": 0.5, "gauc": 0.5, "users": 1}
    assert PairAUC(2).summarise(np.zeros(0)) == {"users": 0}
