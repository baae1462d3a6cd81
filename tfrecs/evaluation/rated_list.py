"""Lists of held-out ratings, ranked by predicted rating: ARERec's protocol, as published and corrected."""

import itertools
import time

import numpy as np
import tensorflow as tf

from tfrecs.data import statistics, training_batches
from tfrecs.data.hashing import position
from tfrecs.errors import InputError, NotFiniteError
from tfrecs.evaluation.rating_baselines import ItemMean, MatrixFactorisation
from tfrecs.models.scoring import not_finite

CUTOFFS = (3, 5, 7, 10)
HELD_OUT_SPLITS = {"valid": 0, "test": 1}
FIELDS = ("item", "timestamp", "rating")
USERS, PAIRS = 256, 512  # users read, and ratings predicted, at a time: bounds memory


class RatedList:
    """Ranks each user's own held-out items by predicted rating.

    Put right (`published` False): items are ranked by expected rating; `hr@k` is the share of the relevant items,
    those rated `min_rating` or higher, that are among the first k, out of at most k; `ndcg@k` has gains
    `2^rating - 1`. Equal predictions are averaged over their orders, so that a constant scores what chance does.
    Users with fewer than k items count; a user without a relevant item does not for `hr@k`. `rmse` and `mae` of the
    expected ratings go with it.

    As published: see `published_list`; a user's items come in random order, always the same.
    `users@k` says how many users a metric is the mean over.

    Args:
        rater: anything with `rate(inputs) -> (expected, most likely)`, as `ARERec` has it, with an `own_split`, which
            decides what is held out, whatever `split` says, where it is not None.
        data_dir: str.
        manifest: its `Manifest`.
        published: bool.
        min_rating: float, from which on an item is relevant.
        cutoffs: ints, the k.

    Call arguments:
        split: `valid` or `test`: all ratings of that part of each sequence.
        max_users: int or None, only the first so many users with any.
        Returns a dict of metric to float, and the seconds it took.

    Raises:
        InputError: the model predicts no ratings.
        NotFiniteError: it predicts ratings that are NaN or infinite; naming for how many users.

    Source: github umapornp/ARERec `evaluate.py`.
    """

    def __init__(self, rater, data_dir, manifest, published=False, min_rating=3.0, cutoffs=CUTOFFS):
        if not hasattr(rater, "rate"):
            raise InputError(f"--protocol rated_list: {type(rater).__name__} predicts no ratings")
        self.rater, self.data_dir, self.manifest = rater, data_dir, manifest
        self.published, self.min_rating, self.cutoffs = published, min_rating, tuple(cutoffs)
        signature = {name: tf.TensorSpec([None], tf.int64) for name in ("user", "item", "now")}
        self._rate = tf.function(rater.rate, input_signature=[signature])

    def __call__(self, split, max_users=None):
        started = time.perf_counter()
        values, errors = {name: [] for name in names(self.cutoffs)}, [np.zeros(0)]
        users, unsound = 0, 0
        for items, expected, likely, ratings in itertools.islice(self.lists(split), max_users):
            users += 1
            if not np.isfinite(expected).all():
                unsound += 1
                continue
            errors.append(expected - ratings)
            for k in self.cutoffs:
                if self.published:
                    found = published_list(items, likely, ratings, k, self.min_rating)
                else:
                    found = judged_list(expected, ratings, k, self.min_rating)
                values[f"hr@{k}"].append(found[0])
                values[f"ndcg@{k}"].append(found[1])
        if unsound:
            raise NotFiniteError(not_finite(type(self.rater).__name__, unsound, users, split))
        counted = {name: np.array(found)[~np.isnan(found)] for name, found in values.items()}
        metrics = {name: float(found.mean()) for name, found in counted.items() if len(found)}
        metrics |= {f"users@{k}": len(counted[f"ndcg@{k}"]) for k in self.cutoffs}
        metrics["users"] = users
        errors = np.concatenate(errors)
        if len(errors) and not self.published:
            metrics |= {"rmse": float(np.sqrt(np.mean(errors**2))), "mae": float(np.mean(np.abs(errors)))}
        return metrics, time.perf_counter() - started

    def lists(self, split):
        """Items, expected and most likely ratings, and ratings of each user with any held out.

        In order of time; as published, in random order, by which the published code breaks ties.
        """
        for batch in training_batches.sequences(self.data_dir, self.manifest, FIELDS, USERS):
            rows, chosen = batch["item"].value_rowids(), self._chosen(batch, split)
            row = tf.boolean_mask(rows, chosen)
            user = tf.gather(batch["user"], row)
            item, now, rating = (tf.boolean_mask(batch[name].flat_values, chosen) for name in FIELDS)
            pairs = {"user": user, "item": item, "now": now}
            predicted = [np.zeros([2, 0])]
            for first in range(0, len(user), PAIRS):
                block = {name: value[first : first + PAIRS] for name, value in pairs.items()}
                predicted.append(np.stack([value.numpy() for value in self._rate(block)]))
            columns = [item.numpy(), *np.concatenate(predicted, axis=1), rating.numpy().astype(np.float64)]
            if self.published:
                order = np.lexsort((position(user, item, 0), row))
                columns = [column[order] for column in columns]
            ends = np.flatnonzero(np.diff(row)) + 1
            if len(user):
                yield from zip(*(np.split(column, ends) for column in columns))

    def _chosen(self, batch, split):
        """Which ratings of a batch of users are held out, bool over their flat values."""
        items, rows = batch["item"], batch["item"].value_rowids()
        if self.rater.own_split is not None:
            return self.rater.own_split(tf.gather(batch["user"], rows), items.flat_values)
        place = tf.range(tf.size(rows, tf.int64)) - tf.gather(items.row_starts(), rows)
        first = batch["split"][:, HELD_OUT_SPLITS[split]]
        end = batch["split"][:, 1] if split == "valid" else items.row_lengths()
        return tf.logical_and(place >= tf.gather(first, rows), place < tf.gather(end, rows))


def names(cutoffs=CUTOFFS):
    """The metrics by which an epoch may be chosen.

    Example:
        >>> names([3])
        ('hr@3', 'ndcg@3')
    """
    return tuple(f"{name}@{k}" for name in ("hr", "ndcg") for k in cutoffs)


def baselines(model, data_dir, manifest, trained):
    """What a model of ratings has to beat, fitted to the ratings it trains on; hand each to `RatedList`.

    Args:
        model: `ARERec`.
        data_dir, manifest: prepared data with ratings.
        trained: str, the training split.

    Returns:
        dict of name to rater: `constant` (the mean of all), `item_mean` and `matrix_factorisation`.
    """
    known = statistics.training_ratings(data_dir, manifest, trained, model.own_split)
    arguments = {"num_items": manifest.num_items, "rating_classes": model.rating_classes}
    found = {
        "constant": ItemMean(*known, **arguments, strength=np.inf),
        "item_mean": ItemMean(*known, **arguments),
        "matrix_factorisation": MatrixFactorisation(*known, **arguments, num_users=manifest.num_users),
    }
    for rater in found.values():
        rater.own_split = model.own_split
    return found


def judged_list(predicted, ratings, k, min_rating):
    """One user's list, put right.

    Args:
        predicted: float array `[items]`, higher is better; of equal ones every order is as likely.
        ratings: float array `[items]`.
        k: int.
        min_rating: float, from which on an item is relevant.

    Returns:
        `(hr, ndcg)`; NaN where no item is relevant, or none has a gain.

    Example:
        >>> judged_list(np.array([3.0, 2.0, 1.0]), np.array([1.0, 5.0, 4.0]), 2, 4.0)[0]
        0.5
    """
    _, group, count = np.unique(-predicted, return_inverse=True, return_counts=True)

    def in_order(values):
        """The mean of each group of equal predictions, at every place the group takes."""
        return np.repeat(np.bincount(group, values) / count, count)[:k]

    relevant, gains = (ratings >= min_rating).astype(np.float64), np.exp2(ratings) - 1
    discount = 1 / np.log2(np.arange(2, min(k, len(ratings)) + 2))
    ideal = (np.sort(gains)[::-1][:k] * discount).sum()
    hr = in_order(relevant).sum() / min(k, relevant.sum()) if relevant.any() else np.nan
    ndcg = (in_order(gains) * discount).sum() / ideal if ideal > 0 else np.nan
    return float(hr), float(ndcg)


def published_list(items, predicted, ratings, k, min_rating):
    """One user's list as the published code judges it.

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
    ideal = sorted(rated, key=rated.get, reverse=True)[:k]
    listed = sorted(said, key=said.get, reverse=True)[:k]
    best = np.array([rated[item] for item in ideal])
    hits = [item in listed for item in ideal if rated[item] >= min_rating]
    gained = [best[listed.index(item)] if item in listed else 0.0 for item in ideal]
    discount = np.log2(1 + (best[None] > best[:, None]).sum(axis=1) + 1)
    ideal_gain = ((np.exp2(best) - 1) / discount).sum()
    ndcg = ((np.exp2(gained) - 1) / discount).sum() / ideal_gain if ideal_gain else np.nan
    return np.mean(hits) if hits else np.nan, ndcg
