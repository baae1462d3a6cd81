"""The sample with several kinds of objects: queries before items, coupons after them.

A user's items follow each other as in `sample_process`. Around them,

* with probability `QUERY_RATE` a query precedes an item, one of those that search for the item's stretch of its ring;
* after an item a coupon of its category comes with a probability that depends on the action: `COUPON_RATES`.

Nobody meets a query or a coupon twice: where no new one is left, none comes. A user's events are the first `length` of
these. Queries come in the gap before their item, which says how it was chosen; what follows a query or brings a coupon
follows at once. The next event's distribution, given the events before and the time since the last one, is therefore
known exactly, and with it the best score that anything can reach.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_prep.generator.sample_process import Process

KINDS = ("item", "query", "coupon")
ITEMS_PER_STRETCH = 10
QUERIES_PER_STRETCH = 4
COUPONS_PER_CATEGORY = 8
QUERY_RATE = 0.4
COUPON_RATES = (0.15, 0.35, 0.6)  # after view, cart, buy
SEARCH, RECEIVE = 3, 4  # actions on queries and coupons, after those on items
SOON = 60.0  # seconds, the mean gap after a query and before a coupon
GAPS = (86_400.0, 300.0)  # the mean gap before an item that taste chose, and before one that continues a run


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """All objects, numbered: items, then queries, then coupons.

    Args:
        process: a `sample_process.Process`.
        stretch: int array `[num_items]`, the stretch of each item, over all rings.
        stretch_category: int array `[stretches]`, the category of each.
    """

    process: Process
    stretch: np.ndarray
    stretch_category: np.ndarray

    @classmethod
    def create(cls, process: Process) -> Catalogue:
        """The objects around a process's items.

        Example:
            >>> from data_prep.generator.sample_process import Process
            >>> Catalogue.create(Process.create(120)).counts
            (120, 48, 16)
        """
        per_category = -(-process.size // ITEMS_PER_STRETCH)
        begin = np.concatenate([[0], np.cumsum(per_category)[:-1]])
        within = (np.arange(len(process.category)) - process.first[process.category]) // ITEMS_PER_STRETCH
        return cls(process, begin[process.category] + within, np.repeat(np.arange(len(process.size)), per_category))

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many objects each of `KINDS` has."""
        queries = QUERIES_PER_STRETCH * len(self.stretch_category)
        return len(self.stretch), queries, COUPONS_PER_CATEGORY * len(self.process.size)

    @property
    def kind(self) -> np.ndarray:
        """Int array `[objects]`, an index into `KINDS` for each."""
        return np.repeat(np.arange(len(KINDS)), self.counts)

    def queries(self, stretch: int) -> np.ndarray:
        """The queries that search for a stretch."""
        return self.counts[0] + QUERIES_PER_STRETCH * stretch + np.arange(QUERIES_PER_STRETCH)

    def coupons(self, category: int) -> np.ndarray:
        """The coupons of a category."""
        return sum(self.counts[:2]) + COUPONS_PER_CATEGORY * category + np.arange(COUPONS_PER_CATEGORY)

    def category_of_coupons(self) -> np.ndarray:
        """Int array `[coupons]`."""
        return np.repeat(np.arange(len(self.process.size)), COUPONS_PER_CATEGORY)


def draw_events(
    catalogue: Catalogue,
    random: np.random.Generator,
    items: Sequence[np.ndarray],
    actions: Sequence[np.ndarray],
    gaps: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """Puts queries and coupons around the items of each user.

    Args:
        catalogue: a `Catalogue`.
        random: a numpy Generator.
        items: list of int arrays, the users' items.
        actions: list of int arrays, 0 to 2, for view, cart and buy.
        gaps: list of int arrays, seconds before each item.

    Returns:
        list of int arrays `[length, 3]`, a user's events, as many as items were given: object, action and the gap
        before it in seconds.
    """
    return [_user_events(catalogue, random, *user) for user in zip(items, actions, gaps, strict=True)]


def _user_events(
    catalogue: Catalogue, random: np.random.Generator, items: np.ndarray, actions: np.ndarray, gaps: np.ndarray
) -> np.ndarray:
    seen: set[int] = set()
    events: list[tuple[int, int, int]] = []
    length = len(items)
    category = catalogue.process.category
    chance = random.random((length, 4))
    soon = 1 + (SOON * random.exponential(size=(length, 2))).astype(np.int64)
    for item, action, gap, (searches, which, receives, what), (before, after) in zip(
        items, actions, gaps, chance, soon, strict=True
    ):
        if searches < QUERY_RATE and (query := _unseen(catalogue.queries(catalogue.stretch[item]), seen, which)) >= 0:
            events.append((query, SEARCH, gap))
            gap = before
        events.append((item, action, gap))
        if receives < COUPON_RATES[action] and (coupon := _unseen(catalogue.coupons(category[item]), seen, what)) >= 0:
            events.append((coupon, RECEIVE, after))
        if len(events) >= length:
            break
    return np.array(events[:length], np.int64)


def _unseen(choices: np.ndarray, seen: set[int], chance: float) -> int:
    """One of the choices that were not seen, -1 where there is none; it is seen then."""
    left = [int(choice) for choice in choices if int(choice) not in seen]
    if not left:
        return -1
    chosen = left[int(chance * len(left))]
    seen.add(chosen)
    return chosen


def next_event(
    catalogue: Catalogue, events: np.ndarray, gap: int, favourites: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The distribution of the next event's object.

    Args:
        catalogue: a `Catalogue`.
        events: int array `[events, 3]`, those before, as from `draw_events`.
        gap: int, seconds from the last of them to the next event.
        favourites, weights: as for `Process.next_item`.

    Returns:
        float64 array `[objects]`, sums to 1.
    """
    num_items, process = catalogue.counts[0], catalogue.process
    seen = events[:, 0]
    items = seen[seen < num_items]
    found = np.zeros(len(catalogue.kind))
    last = events[-1] if len(events) else None
    if last is not None and last[1] == SEARCH:
        # The query's gap says how the item was chosen; all items of the stretch had equal chances of the query.
        stretch = (last[0] - num_items) // QUERIES_PER_STRETCH
        masses = process.masses(items, favourites, weights, *_likelihoods(last[2]))
        found[:num_items] = np.where(catalogue.stretch == stretch, masses, 0.0)
        return found / found.sum()
    no_coupon = 1.0
    if last is not None and last[1] != RECEIVE:
        coupons = np.setdiff1d(catalogue.coupons(process.category[last[0]]), seen)
        if len(coupons):
            rate = COUPON_RATES[last[1]]
            found[coupons] = rate / len(coupons) * _density(gap, SOON)
            no_coupon = 1.0 - rate
    masses = process.masses(items, favourites, weights, *_likelihoods(gap))
    masses *= no_coupon / process.masses(items, favourites, weights).sum()
    queries = np.arange(num_items, sum(catalogue.counts[:2]))
    new = np.bincount(
        (np.setdiff1d(queries, seen) - num_items) // QUERIES_PER_STRETCH, minlength=len(catalogue.stretch_category)
    )
    of_stretch = np.bincount(catalogue.stretch, masses, minlength=len(new))
    found[queries] = np.repeat(QUERY_RATE * of_stretch / np.maximum(new, 1), QUERIES_PER_STRETCH)
    found[seen[seen >= num_items]] = 0.0
    found[:num_items] = masses * np.where(new > 0, 1.0 - QUERY_RATE, 1.0)[catalogue.stretch]
    return found / found.sum()


def _likelihoods(gap: int) -> list[float]:
    return [_density(gap, scale) for scale in GAPS]


def _density(gap: int, scale: float) -> float:
    """The probability of a whole number of seconds, 1 + the floor of an exponential draw; up to a common factor."""
    return np.exp(-(gap - 1) / scale) * -np.expm1(-1 / scale)


def expected_metrics(
    catalogue: Catalogue, users: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> dict[str, float]:
    """Metrics of ranking objects by their true probability, in expectation over each user's last event.

    Args:
        catalogue: a `Catalogue`.
        users: list of `(events, favourites, weights)`, each user's events with the one to predict.

    Returns:
        dict: `hr@10`, `hr@50`, `ndcg@10` and `mrr` among all objects; `auc` and `auc_<kind>` against an unseen object
        of the same kind; and `num_users`.
    """
    kind = catalogue.kind
    ranks = np.arange(1, len(kind) + 1)
    discount = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0.0)
    mean_by_rank, wins, shares = np.zeros(len(ranks)), np.zeros(len(KINDS)), np.zeros(len(KINDS))
    for events, favourites, weights in users:
        probability = next_event(catalogue, events[:-1], events[-1, 2], favourites, weights)
        mean_by_rank += np.sort(probability)[::-1]
        unseen = np.ones(len(kind), bool)
        unseen[events[:-1, 0]] = False
        for index in range(len(KINDS)):
            rivals = np.sort(probability[unseen & (kind == index)])
            if len(rivals) > 1:
                wins[index] += rivals @ np.arange(len(rivals)) / (len(rivals) - 1)
                shares[index] += rivals.sum()
    mean_by_rank /= len(users)
    return {
        "hr@10": float(mean_by_rank[:10].sum()),
        "hr@50": float(mean_by_rank[:50].sum()),
        "ndcg@10": float(mean_by_rank @ discount),
        "mrr": float(mean_by_rank @ (1 / ranks)),
        "auc": float(wins.sum() / shares.sum()),
        **{f"auc_{name}": float(won / share) for name, won, share in zip(KINDS, wins, shares, strict=True) if share},
        "num_users": len(users),
    }
