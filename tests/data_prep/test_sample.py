import numpy as np
import pytest

from data_prep.sources import sample, sample_process
from tfrecs.errors import InputError

OPTIONS = {"num_users": 300, "num_items": 120, "mean_length": 8, "seed": 3}


def tiny_process():
    return sample_process.Process.create(24, items_per_category=8, transition=0.6, seed=1)


def probability_by_hand(process, history, favourites, weights, item):
    """The mixture written out for one item, before the restriction to unseen items."""
    category = process.category[item]
    popularity = process.popularity
    in_category = popularity[process.category == category].sum()
    taste = 0.05 * popularity[item]
    for favourite, weight in zip(favourites, weights, strict=True):
        if favourite == category:
            taste += 0.95 * weight * popularity[item] / in_category
    if not len(history):
        return taste
    total, follow = 0.0, 0.0
    for recency, last in zip((0.3, 0.25, 0.2, 0.15, 0.1), reversed(history), strict=False):
        total += recency
        if process.category[last] != category:
            continue
        size = int((process.category == category).sum())
        for distance, weight in ((1, 5), (2, 4), (3, 3), (4, 2), (5, 1)):
            hits = ((item - last - distance) % size == 0) + ((item - last + distance) % size == 0)
            follow += recency * hits * weight / 15 / 2
    return 0.4 * taste + 0.6 * follow / total


@pytest.mark.parametrize("history", [[], [3], [3, 4, 20], [0, 9, 1, 10, 2, 17, 3]])
def test_next_item_is_the_mixture_over_unseen_items(history):
    process = tiny_process()
    favourites, weights = [0, 2, 0], [0.5, 0.3, 0.2]
    expected = np.array(
        [
            0 if item in history else probability_by_hand(process, history, favourites, weights, item)
            for item in range(24)
        ]
    )
    expected /= expected.sum()
    actual = process.next_item(np.array(history, int), favourites, weights)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_draws_follow_the_distribution():
    process = tiny_process()
    users = 60_000
    favourites = np.tile([0, 2, 0], (users, 1))
    weights = np.tile([0.5, 0.3, 0.2], (users, 1))
    random = np.random.default_rng(0)
    items, _ = sample_process.draw_items(process, random, np.full(users, 2), favourites, weights)
    first = process.next_item(np.array([], int), [0, 2, 0], [0.5, 0.3, 0.2])
    np.testing.assert_allclose(np.bincount(items[:, 0], minlength=24) / users, first, atol=0.007)
    after_three = items[items[:, 0] == 3, 1]
    expected = process.next_item(np.array([3]), [0, 2, 0], [0.5, 0.3, 0.2])
    share = np.bincount(after_three, minlength=24) / len(after_three)
    assert len(after_three) > 2000
    np.testing.assert_allclose(share, expected, atol=5 * np.sqrt(0.25 / len(after_three)))


def test_oracle_is_what_its_ranking_reaches():
    """Ranks of the drawn items, under a ranking found independently, average to the oracle's."""
    log = sample.open_log("sample", OPTIONS | {"num_users": 2000})
    oracle = log.oracle()
    process = sample_process.Process.create(120, transition=sample.TRANSITION, seed=3)
    drawn = sample.generate_block(process, OPTIONS | {"num_users": 2000}, 0)
    ranks = []
    for user in range(2000):
        items = drawn["items"][user][: drawn["length"][user]].tolist()
        score = process.next_item(np.array(items[:-1]), drawn["favourites"][user], drawn["weights"][user])
        ranks.append(1 + sum(score[other] > score[items[-1]] for other in range(120)))
    ranks = np.array(ranks)
    assert oracle["num_users"] == 2000
    for cutoff in (10, 50):
        assert abs((ranks <= cutoff).mean() - oracle[f"hr@{cutoff}"]) < 0.035
    assert abs((1 / ranks).mean() - oracle["mrr"]) < 0.025
    gain = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0)
    assert abs(gain.mean() - oracle["ndcg@10"]) < 0.025


def test_expected_metrics_by_hand():
    """Two equally likely items left of three: the ranks are 1 and 2, each half the time."""

    class Fixed:
        category = np.zeros(3, int)

        def next_item(self, history, favourites, weights):
            return np.array([0.5, 0.0, 0.5])

    metrics = sample_process.expected_metrics(Fixed(), [[1]], [[0]], [[1.0]])
    assert metrics["hr@10"] == 1
    assert metrics["mrr"] == pytest.approx((1 + 1 / 2) / 2)
    assert metrics["ndcg@10"] == pytest.approx((1 + 1 / np.log2(3)) / 2)


def test_log_has_what_it_promises():
    tables = [table.to_pandas() for table, _ in sample.open_log("sample", OPTIONS).chunks()]
    assert len(tables) == 1
    frame = tables[0]
    by_user = frame.groupby("user")
    assert by_user.ngroups == 300
    assert by_user.size().between(6, 10).all()
    assert not frame.duplicated(["user", "item"]).any()
    assert by_user["timestamp"].apply(lambda t: (t.diff().dropna() > 0).all()).all()
    assert set(frame["rating"]) == {1, 2, 3, 4, 5}
    assert set(frame["action"]) == {"view", "cart", "buy"}
    mean_rating = frame.groupby("action")["rating"].mean()
    assert mean_rating["buy"] > mean_rating["view"] + 0.3


def test_seed_decides():
    def read(seed):
        log = sample.open_log("sample", OPTIONS | {"seed": seed})
        return [table for table, _ in log.chunks()]

    assert read(3) == read(3)
    assert read(3) != read(4)


def test_default_is_hard_for_counts_and_not_hopeless():
    """Popularity is far below the oracle; last-item counts reach .5 to .75 of it."""
    options = {name: option.default for name, option in sample.OPTIONS.items()}
    log = sample.open_log("sample", options)
    assert 0.5 <= log.oracle()["hr@10"] <= 0.65
    process = sample_process.Process.create(600, transition=sample.TRANSITION, seed=7)
    drawn = sample.generate_block(process, options, 0)
    sequences = [row[:length] for row, length in zip(drawn["items"], drawn["length"], strict=True)]
    popularity = np.bincount(np.concatenate([s[:-1] for s in sequences]), minlength=600)
    follows = np.zeros((600, 600))
    for sequence in sequences:
        np.add.at(follows, (sequence[:-2], sequence[1:-1]), 1)

    def hit_rate(score):
        hits = 0
        for sequence in sequences:
            scores = score(sequence[-2]).astype(float)
            target = scores[sequence[-1]]
            scores[sequence[:-1]] = -1
            hits += (scores > target).sum() < 10
        return hits / len(sequences)

    best = log.oracle()["hr@10"]
    assert hit_rate(lambda last: popularity) < 0.15 * best
    assert 0.5 * best < hit_rate(lambda last: follows[last] + 1e-6 * popularity) < 0.75 * best


def test_too_few_items():
    with pytest.raises(InputError, match="--num_items 30: at least 40"):
        sample.open_log("sample", OPTIONS | {"num_items": 30})
