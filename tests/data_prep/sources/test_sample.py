import numpy as np
import pytest

from data_prep.generator import sample_kinds, sample_process
from data_prep.prepare import prepare
from data_prep.sources import options, sample
from tfrecs.errors import InputError
from tfrecs.progress import StageProgress

OPTIONS = {"num_users": 300, "num_items": 120, "mean_length": 8, "seed": 3, "kinds": 0}


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
    defaults = {name: option.default for name, option in options.SAMPLE.items()}
    log = sample.open_log("sample", defaults)
    assert 0.5 <= log.oracle()["hr@10"] <= 0.65
    process = sample_process.Process.create(600, transition=sample.TRANSITION, seed=7)
    drawn = sample.generate_block(process, defaults, 0)
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
    with pytest.raises(InputError, match="num_items 30: at least 40"):
        sample.open_log("sample", OPTIONS | {"num_items": 30})


KINDS = OPTIONS | {"kinds": 1}


def frame_of(options):
    return next(iter(sample.open_log("sample", options).chunks()))[0].to_pandas()


def test_kinds_stand_around_the_items_of_the_plain_sample():
    plain, mixed = frame_of(OPTIONS), frame_of(KINDS)
    items = mixed[mixed["item"].str.startswith("i")]
    for user, rows in plain.groupby("user"):
        found = items.loc[items["user"] == user]
        assert found["item"].tolist() == rows["item"].tolist()[: len(found)]
        assert found["action"].tolist() == rows["action"].tolist()[: len(found)]
    by_user = mixed.groupby("user")
    assert by_user.size().tolist() == plain.groupby("user").size().tolist()
    assert not mixed.duplicated(["user", "item"]).any()
    assert by_user["timestamp"].apply(lambda t: (t.diff().dropna() > 0).all()).all()
    kind = mixed["item"].str[0]
    assert mixed.groupby(kind)["action"].unique().map(sorted).to_dict() == {
        "i": ["buy", "cart", "view"],
        "q": ["search"],
        "c": ["receive"],
    }
    assert kind.value_counts(normalize=True).between(0.1, 0.75).all()


def test_a_query_precedes_an_item_it_searches_for_and_a_coupon_follows_one_of_its_category():
    log = sample.open_log("sample", KINDS)
    values = {}
    for name, table in log.attribute_chunks():
        values.setdefault(name, {}).update(zip(*table.to_pydict().values(), strict=True))
    assert set(values["kind"].values()) == {"item", "query", "coupon"}
    assert {name[0] for name in values["category"]} == {"i", "c"} and {name[0] for name in values["tags"]} == {"i"}
    mixed = frame_of(KINDS)
    after = mixed.shift(-1)
    pairs = mixed[mixed["user"] == after["user"]].assign(after=after["item"])
    searches = pairs[pairs["action"] == "search"]
    assert searches["after"].str.startswith("i").all() and len(searches) > 300
    categories = searches["after"].map(values["category"]).groupby(searches["item"]).nunique()
    assert (categories == 1).all()
    coupons = pairs[pairs["after"].str.startswith("c")]
    assert len(coupons) > 200
    assert (coupons["item"].map(values["category"]) == coupons["after"].map(values["category"])).all()
    bought = coupons["action"].value_counts() / pairs["action"].value_counts()
    assert bought["buy"] > 2 * bought["view"]


@pytest.fixture(scope="module")
def events():
    """A catalogue and 300 users: events, favourites, weights."""
    process = sample_process.Process.create(120, transition=sample.TRANSITION, seed=3)
    catalogue = sample_kinds.Catalogue.create(process)
    drawn_events, drawn = sample._events(catalogue, KINDS, 0)
    return catalogue, list(zip(drawn_events, drawn["favourites"], drawn["weights"], strict=True))


def test_events_follow_the_distribution(events):
    """What was drawn against what was predicted, each as a sum over events divided by its standard deviation."""
    catalogue, users = events
    sums, variances = np.zeros(4), np.zeros(4)
    for rows, favourites, weights in users:
        for place in range(1, len(rows)):
            p = sample_kinds.next_event(catalogue, rows[:place], rows[place, 2], favourites, weights)
            assert p.sum() == pytest.approx(1) and not p[rows[:place, 0]].any() and p[rows[place, 0]] > 0
            of_kind = [np.where(catalogue.kind == kind, 1.0, 0.0) for kind in range(3)]
            for index, value in enumerate([p, *of_kind]):
                mean = p @ value
                sums[index] += value[rows[place, 0]] - mean
                variances[index] += p @ value**2 - mean**2
    assert np.abs(sums / np.sqrt(variances)).max() < 4
    assert variances.min() > 1


def test_the_oracle_of_kinds_by_pairs(events):
    catalogue, users = events
    found = sample_kinds.expected_metrics(catalogue, users[:40])
    won, share = np.zeros(3), np.zeros(3)
    for rows, favourites, weights in users[:40]:
        p = sample_kinds.next_event(catalogue, rows[:-1], rows[-1, 2], favourites, weights)
        for kind in range(3):
            here = [o for o in range(len(p)) if catalogue.kind[o] == kind and o not in rows[:-1, 0]]
            for target in here:
                if p[target]:
                    better = [(p[target] > p[o]) + 0.5 * (p[target] == p[o]) for o in here if o != target]
                    won[kind] += p[target] * np.mean(better)
                    share[kind] += p[target]
    expected = {f"auc_{name}": won[i] / share[i] for i, name in enumerate(sample_kinds.KINDS)}
    expected |= {"auc": won.sum() / share.sum()}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert found["hr@10"] < found["hr@50"] <= 1 and found["num_users"] == 40


def test_kinds_prepared(tmp_path):
    manifest = prepare("sample", str(tmp_path / "data"), StageProgress(None), **KINDS)
    assert manifest.name == "sample-kinds" and manifest.fields == ("item", "timestamp", "action")
    assert manifest.attributes == {"kind": "token", "category": "token", "tags": "list"}
    assert manifest.num_items == 120 + 48 + 16
    assert {"auc", "auc_item", "auc_query", "auc_coupon", "hr@10"} <= manifest.oracle.keys()
