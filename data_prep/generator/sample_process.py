"""The generating process of the `sample` source, and the best score anything can reach on it.

Items live in categories; within a category they form a ring (a series read in both directions).
A user has a few favourite categories. The next item is drawn

* with probability `transition` from the neighbours, on their rings, of the user's most recent
  items (weights `RECENCY`, newest first; ring distance weights `KERNEL`), and otherwise
* from the user's taste: a favourite category, or with probability `BACKGROUND` any category, and
  in it an item by popularity,

restricted to items the user has not had, renormalised.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

RECENCY = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
KERNEL = np.array([5, 4, 3, 2, 1]) / 15
NUM_FAVOURITES = 3
BACKGROUND = 0.05


@dataclasses.dataclass(frozen=True)
class Process:
    """The parameters shared by all users.

    Args:
        category: int array `[num_items]`, ascending; ring neighbours are adjacent in it.
        first: int array `[num_categories]`, a category's first item.
        size: int array `[num_categories]`.
        popularity: float array `[num_items]`, sums to 1.
        transition: float, probability of going on from a recent item.
    """

    category: np.ndarray
    first: np.ndarray
    size: np.ndarray
    popularity: np.ndarray
    transition: float

    @classmethod
    def create(cls, num_items: int, items_per_category: int = 50, transition: float = 0.78, seed: int = 7) -> Process:
        """A process over `num_items` items in rings of about `items_per_category`.

        Example:
            >>> Process.create(120).size.tolist()
            [60, 60]
        """
        random = np.random.default_rng([seed, 0])
        num_categories = max(1, num_items // items_per_category)
        category = np.arange(num_items) * num_categories // num_items
        size = np.bincount(category)
        first = np.concatenate([[0], np.cumsum(size)[:-1]])
        within = np.concatenate([1.0 / (5 + random.permutation(n)) ** 0.6 for n in size])
        share = 1.0 / (3 + random.permutation(num_categories)) ** 0.5
        within /= np.add.reduceat(within, first)[category]
        popularity = within * share[category]
        return cls(category, first, size, popularity / popularity.sum(), transition)

    def cumulative(self) -> np.ndarray:
        """Float array `[num_items + 1]`: popularity of the items before each item."""
        return np.concatenate([[0.0], np.cumsum(self.popularity)])

    def tastes(self, random: np.random.Generator, num_users: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws `(favourites, weights)`, both `[num_users, NUM_FAVOURITES]`."""
        shape = (num_users, min(NUM_FAVOURITES, len(self.first)))
        ends = np.cumsum(np.add.reduceat(self.popularity, self.first))
        favourites = np.searchsorted(ends[:-1], random.random(shape))
        weights = random.gamma(1.0, size=shape) + 0.1
        return favourites, weights / weights.sum(axis=1, keepdims=True)

    def neighbour(self, item: np.ndarray, offset: np.ndarray | int) -> np.ndarray:
        """The item `offset` places further on the ring of `item`; arrays broadcast."""
        category = self.category[item]
        first = self.first[category]
        return first + (item - first + offset) % self.size[category]

    def next_item(self, history: np.ndarray, favourites: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The conditional distribution of the next item.

        Args:
            history: 1-D int array, the user's items, oldest first; maybe empty.
            favourites: int array `[NUM_FAVOURITES]`.
            weights: float array `[NUM_FAVOURITES]`, sums to 1.

        Returns:
            float64 array `[num_items]`, sums to 1, zero at the items of the history.
        """
        masses = self.masses(history, favourites, weights)
        return masses / masses.sum()

    def masses(
        self,
        history: np.ndarray,
        favourites: np.ndarray,
        weights: np.ndarray,
        by_taste: float = 1.0,
        by_continuing: float = 1.0,
    ) -> np.ndarray:
        """As `next_item`, not normalised; items that taste or a recent item brings are weighed by a factor each."""
        taste = BACKGROUND * self.popularity
        for favourite, weight in zip(favourites, weights, strict=True):
            begin = self.first[favourite]
            items = slice(begin, begin + self.size[favourite])
            within = self.popularity[items] / self.popularity[items].sum()
            taste[items] += (1 - BACKGROUND) * weight * within
        masses = taste * by_taste
        if len(history):
            recent = np.asarray(history[::-1][: len(RECENCY)])
            recency = RECENCY[: len(recent)] / RECENCY[: len(recent)].sum()
            masses = (1 - self.transition) * by_taste * taste
            for distance, kernel in enumerate(KERNEL, start=1):
                for offset in (-distance, distance):
                    mass = self.transition * by_continuing * recency * kernel / 2
                    np.add.at(masses, self.neighbour(recent, offset), mass)
            masses[history] = 0.0
        return masses


def draw_items(
    process: Process, random: np.random.Generator, length: np.ndarray, favourites: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a sequence for each of a block of users, exactly from the process.

    Candidates come from the unrestricted mixture and are drawn again while the user has had them,
    which is the mixture restricted to unseen items and renormalised.

    Args:
        process: a `Process`.
        random: a numpy Generator.
        length: int array `[users]`, the number of items each user gets.
        favourites: int array `[users, NUM_FAVOURITES]`.
        weights: float array `[users, NUM_FAVOURITES]`.

    Returns:
        `(items, continued)`, `[users, max(length)]`: int32 items, -1 behind a user's end, and bool,
        True where the item continued from a recent one.
    """
    num_users, longest = len(length), int(length.max())
    items = np.full((num_users, longest), -1, np.int32)
    continued = np.zeros((num_users, longest), bool)
    taste_ends = np.cumsum(weights, axis=1)[:, :-1]
    cumulative = process.cumulative()
    for step in range(longest):
        pending = np.flatnonzero(length > step)
        while len(pending):
            goes_on = random.random(len(pending)) < (process.transition if step else 0.0)
            candidate = _draw_taste(process, random, cumulative, favourites[pending], taste_ends[pending])
            if step:
                neighbour = _draw_neighbour(process, random, items, pending, step)
                candidate = np.where(goes_on, neighbour, candidate)
            seen = (items[pending, :step] == candidate[:, None]).any(axis=1)
            users = pending[~seen]
            items[users, step] = candidate[~seen]
            continued[users, step] = goes_on[~seen]
            pending = pending[seen]
    return items, continued


def _draw_taste(
    process: Process,
    random: np.random.Generator,
    cumulative: np.ndarray,
    favourites: np.ndarray,
    taste_ends: np.ndarray,
) -> np.ndarray:
    """Draws items from tastes: by popularity within a favourite category or from all."""
    count = len(favourites)
    which = (random.random((count, 1)) > taste_ends).sum(axis=1)
    category = favourites[np.arange(count), which]
    anywhere = random.random(count) < BACKGROUND
    first = np.where(anywhere, 0, process.first[category])
    last = np.where(anywhere, len(process.category), first + process.size[category])
    low, high = cumulative[first], cumulative[last]
    drawn = np.searchsorted(cumulative, low + random.random(count) * (high - low), side="right") - 1
    return np.clip(drawn, first, last - 1)


def _draw_neighbour(
    process: Process, random: np.random.Generator, items: np.ndarray, users: np.ndarray, step: int
) -> np.ndarray:
    """Draws ring neighbours of the users' most recent items before `step`."""
    ends = np.cumsum(RECENCY[:step])
    back = np.searchsorted(ends[:-1], random.random(len(users)) * ends[-1])
    ends = np.cumsum(KERNEL)
    distance = 1 + np.searchsorted(ends[:-1], random.random(len(users)) * ends[-1])
    offset = np.where(random.random(len(users)) < 0.5, -distance, distance)
    return process.neighbour(items[users, step - 1 - back], offset)


def expected_metrics(
    process: Process, histories: Sequence[np.ndarray], favourites: np.ndarray, weights: np.ndarray
) -> dict[str, float]:
    """Metrics of ranking every item by its true probability, in expectation over the next item.

    Args:
        process: a `Process`.
        histories: list of int arrays, each user's items before the one to predict.
        favourites: int array `[users, NUM_FAVOURITES]`.
        weights: float array `[users, NUM_FAVOURITES]`.

    Returns:
        dict: `hr@10`, `hr@50`, `ndcg@10`, `mrr` and `num_users`.
    """
    ranks = np.arange(1, len(process.category) + 1)
    discount = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0.0)
    mean_by_rank = np.zeros(len(ranks))
    for history, favourite, weight in zip(histories, favourites, weights, strict=True):
        mean_by_rank += np.sort(process.next_item(history, favourite, weight))[::-1]
    mean_by_rank /= len(histories)
    return {
        "hr@10": float(mean_by_rank[:10].sum()),
        "hr@50": float(mean_by_rank[:50].sum()),
        "ndcg@10": float(mean_by_rank @ discount),
        "mrr": float(mean_by_rank @ (1 / ranks)),
        "num_users": len(histories),
    }
