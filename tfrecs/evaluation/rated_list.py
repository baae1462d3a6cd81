"""Lists of held-out ratings, ranked by predicted rating: ARERec's protocol, as published and corrected."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfrecs.data import training_batches
from tfrecs.data.evaluation_batches import HELD_OUT_SPLITS
from tfrecs.data.hashing import position
from tfrecs.data.kinds import Kinds
from tfrecs.data.manifest import Manifest
from tfrecs.data.statistics import HeldOut
from tfrecs.errors import InputError, NotFiniteError, option
from tfrecs.evaluation.protocols import EvaluationConfig
from tfrecs.models.scoring import not_finite

CUTOFFS = (3, 5, 7, 10)
RELEVANT = 3.0  # the rating from which on an item is relevant
FIELDS = ("item", "timestamp", "rating")
USERS, PAIRS = 256, 512  # users read, and ratings predicted, at a time: bounds memory


class Rater(Protocol):
    """What predicts ratings: a model or a baseline."""

    def rate(self, inputs: Mapping[str, tf.Tensor], /) -> tuple[tf.Tensor, tf.Tensor]:
        """Expected and most likely ratings of pairs of `user` and `item`."""


class RatedList:
    """Ranks each user's own held-out items by predicted rating.

    Corrected (`published` False): items are ranked by expected rating; `hr@k` is the share of the relevant items, those
    rated 3 or higher, that are among the first k, out of at most k; `ndcg@k` has gains `2^rating - 1`. Equal
    predictions are averaged over their orders, so that a constant scores what chance does. Users with fewer than k
    items count; a user without a relevant item does not for `hr@k`. `rmse` and `mae` of the expected ratings go with
    it.

    As published: see `published_list`; a user's items come in random order, always the same.
    `users@k` says how many users a metric is the mean over.

    Args:
        topk: ints, cutoffs besides `CUTOFFS`.
        published: bool.

    Source: github umapornp/ARERec `evaluate.py`.
    """

    num_negatives = 0
    exclude_seen = False
    kinds = None
    measures_ranks = False

    def __init__(self, topk: Iterable[int] = (), published: bool = False) -> None:
        self.cutoffs, self.published = tuple(sorted({*CUTOFFS, *topk})), published

    @classmethod
    def from_config(cls, config: EvaluationConfig, kinds: Kinds | None = None) -> RatedList:
        """The protocol of a `TrainConfig`."""
        return cls(config.topk, config.published_lists)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics by which an epoch may be chosen.

        Example:
            >>> RatedList().names[:5]
            ('hr@3', 'hr@5', 'hr@7', 'hr@10', 'ndcg@3')
        """
        return tuple(f"{name}@{k}" for name in ("hr", "ndcg") for k in self.cutoffs)

    def measurement(
        self, rater: Rater, data_dir: str, manifest: Manifest, own_split: HeldOut | None = None
    ) -> Callable[..., tuple[dict[str, float], float]]:
        """Measures one rater; traced once, used for every epoch.

        Args:
            rater: anything with `rate(inputs) -> (expected, most likely)`, as `ARERec` has it.
            data_dir: str.
            manifest: its `Manifest`.
            own_split: as for `held_out_ratings`.

        Returns:
            `f(split, max_users=None) -> (dict of metric to float, seconds)`: all ratings of that part of each sequence,
            of the first so many users with any. It raises `NotFiniteError` where a predicted rating is NaN or
            infinite, naming for how many users.

        Raises:
            InputError: the rater predicts no ratings.
        """
        if not hasattr(rater, "rate"):
            raise InputError(f"{option('protocol')} rated_list: {type(rater).__name__} predicts no ratings")
        signature = {name: tf.TensorSpec([None], tf.int64) for name in ("user", "item", "now")}
        rate = tf.function(rater.rate, input_signature=[signature])

        def measure(split: str, max_users: int | None = None) -> tuple[dict[str, float], float]:
            started = time.perf_counter()
            lists = self._lists(rate, held_out_ratings(data_dir, manifest, split, own_split))
            metrics = self._summary(itertools.islice(lists, max_users), type(rater).__name__, split)
            return metrics, time.perf_counter() - started

        return measure

    def _lists(
        self,
        rate: Callable[[Mapping[str, tf.Tensor]], tuple[tf.Tensor, tf.Tensor]],
        batches: Iterable[tuple[np.ndarray, dict[str, tf.Tensor], tf.Tensor]],
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """Items, expected and most likely ratings, and ratings of each user with any held out.

        In order of time; as published, in random order, by which the published code breaks ties.
        """
        for row, pairs, rating in batches:
            predicted = [np.zeros([2, 0])]
            for first in range(0, len(row), PAIRS):
                block = {name: value[first : first + PAIRS] for name, value in pairs.items()}
                predicted.append(np.stack([value.numpy() for value in rate(block)]))
            columns = [pairs["item"].numpy(), *np.concatenate(predicted, axis=1), rating.numpy().astype(np.float64)]
            if self.published:
                order = np.lexsort((position(pairs["user"], pairs["item"], 0), row))
                columns = [column[order] for column in columns]
            ends = np.flatnonzero(np.diff(row)) + 1
            yield from zip(*(np.split(column, ends) for column in columns))

    def _summary(self, lists: Iterable[tuple[np.ndarray, ...]], name: str, split: str) -> dict[str, float]:
        values: dict[str, list[float]] = {metric: [] for metric in self.names}
        differences = [np.zeros(0)]
        users, unsound = 0, 0
        for items, expected, likely, ratings in lists:
            users += 1
            if not np.isfinite(expected).all():
                unsound += 1
                continue
            differences.append(expected - ratings)
            for k in self.cutoffs:
                if self.published:
                    hr, ndcg = published_list(items, likely, ratings, k, RELEVANT)
                else:
                    hr, ndcg = corrected_list(expected, ratings, k, RELEVANT)
                values[f"hr@{k}"].append(hr)
                values[f"ndcg@{k}"].append(ndcg)
        if unsound:
            raise NotFiniteError(not_finite(name, unsound, users, split))
        known = {metric: np.array(value)[~np.isnan(value)] for metric, value in values.items()}
        metrics = {metric: float(value.mean()) for metric, value in known.items() if len(value)}
        metrics |= {f"users@{k}": len(known[f"ndcg@{k}"]) for k in self.cutoffs}
        metrics["users"] = users
        errors = np.concatenate(differences)
        if len(errors) and not self.published:
            metrics |= {"rmse": float(np.sqrt(np.mean(errors**2))), "mae": float(np.mean(np.abs(errors)))}
        return metrics


def held_out_ratings(
    data_dir: str, manifest: Manifest, split: str, own_split: HeldOut | None = None
) -> Iterator[tuple[np.ndarray, dict[str, tf.Tensor], tf.Tensor]]:
    """Reads the held-out ratings, some users at a time.

    Args:
        data_dir: str.
        manifest: its `Manifest`.
        split: `valid` or `test`.
        own_split: `f(users, items) -> bool`, what a model holds out by itself, see `SequentialRecommender.own_split`:
            that part of whole sequences then, whatever `split` says; or None.

    Yields:
        `(row, pairs, rating)` of users with any: int64 array `[ratings]`, equal for the ratings of one user; dict of
        `user`, `item` and `now`, int64 tensors `[ratings]`; and the ratings, a tensor `[ratings]`.
    """
    for batch in training_batches.sequences(data_dir, manifest, FIELDS, USERS):
        rows, items = batch["item"].value_rowids(), batch["item"].flat_values
        if own_split is None:
            place = tf.range(tf.size(rows, tf.int64)) - tf.gather(batch["item"].row_starts(), rows)
            first = batch["split"][:, HELD_OUT_SPLITS[split]]
            end = batch["split"][:, 1] if split == "valid" else batch["item"].row_lengths()
            held_out = tf.logical_and(place >= tf.gather(first, rows), place < tf.gather(end, rows))
        else:
            held_out = own_split(tf.gather(batch["user"], rows), items)
        row = tf.boolean_mask(rows, held_out)
        if len(row):
            item, now, rating = (tf.boolean_mask(batch[name].flat_values, held_out) for name in FIELDS)
            yield row.numpy(), {"user": tf.gather(batch["user"], row), "item": item, "now": now}, rating


def corrected_list(predicted: np.ndarray, ratings: np.ndarray, k: int, min_rating: float) -> tuple[float, float]:
    """One user's list, corrected.

    Args:
        predicted: float array `[items]`, higher is better; of equal ones every order is as likely.
        ratings: float array `[items]`.
        k: int.
        min_rating: float, from which on an item is relevant.

    Returns:
        `(hr, ndcg)`; NaN where no item is relevant, or none has a gain.

    Example:
        >>> corrected_list(np.array([3.0, 2.0, 1.0]), np.array([1.0, 5.0, 4.0]), 2, 4.0)[0]
        0.5
    """
    _, group, count = np.unique(-predicted, return_inverse=True, return_counts=True)

    def in_order(values: np.ndarray) -> np.ndarray:
        """The mean of each group of equal predictions, at every place the group takes."""
        return np.repeat(np.bincount(group, values) / count, count)[:k]

    relevant, gains = (ratings >= min_rating).astype(np.float64), np.exp2(ratings) - 1
    discount = 1 / np.log2(np.arange(2, min(k, len(ratings)) + 2))
    ideal = (np.sort(gains)[::-1][:k] * discount).sum()
    hr = in_order(relevant).sum() / min(k, relevant.sum()) if relevant.any() else np.nan
    ndcg = (in_order(gains) * discount).sum() / ideal if ideal > 0 else np.nan
    return float(hr), float(ndcg)


def published_list(
    items: np.ndarray, predicted: np.ndarray, ratings: np.ndarray, k: int, min_rating: float
) -> tuple[float, float]:
    """One user's list as the published code evaluates it.

    The ideal list is the first k items by rating, the predicted one the first k by predicted class, ties in either in
    order of appearance (`evaluate.py:60,66`). `hr`: the share of ideal items rated `min_rating` or higher that the
    predicted list has. `ndcg`: an ideal item that the predicted list has at position p gains the rating of the ideal
    item at p, not its own (:72), and is discounted by the rank of its own rating among the ideal ones (:140).

    Args:
        items: int array; of an item that repeats the last rating counts, at the first place.
        predicted, ratings: float arrays, classes.
        k: int, users with fewer items are left out (:56).
        min_rating: float.

    Returns:
        `(hr, ndcg)`; NaN for a user left out, and where no ideal item is relevant.
    """
    said, rated = dict(zip(items, predicted)), dict(zip(items, ratings))
    if len(rated) < k:
        return np.nan, np.nan
    ideal = sorted(rated, key=rated.__getitem__, reverse=True)[:k]
    listed = sorted(said, key=said.__getitem__, reverse=True)[:k]
    best = np.array([rated[item] for item in ideal])
    hits = [item in listed for item in ideal if rated[item] >= min_rating]
    gained = [best[listed.index(item)] if item in listed else 0.0 for item in ideal]
    discount = np.log2(1 + (best[None] > best[:, None]).sum(axis=1) + 1)
    ideal_gain = ((np.exp2(best) - 1) / discount).sum()
    ndcg = ((np.exp2(gained) - 1) / discount).sum() / ideal_gain if ideal_gain else np.nan
    return float(np.mean(hits)) if hits else np.nan, float(ndcg)
