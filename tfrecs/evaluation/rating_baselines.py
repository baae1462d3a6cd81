"""What a model of ratings has to beat: one number, an item's mean, and matrix factorisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfrecs.data import statistics
from tfrecs.data.manifest import Manifest
from tfrecs.data.statistics import HeldOut


def fit(
    data_dir: str, manifest: Manifest, split: str, rating_classes: Sequence[float], own_split: HeldOut | None = None
) -> dict[str, ItemMean]:
    """Fits the baselines to the ratings that a model trains on.

    Args:
        data_dir: str.
        manifest: its `Manifest`, with ratings.
        split: str, the training split.
        rating_classes: floats, the ratings there are.
        own_split: `f(users, items) -> bool`, what the model holds out by itself, or None.

    Returns:
        dict of name to rater: `constant` (the mean of all), `item_mean` and `matrix_factorisation`.
    """
    known = statistics.training_ratings(data_dir, manifest, split, own_split)
    arguments = (*known, manifest.num_items, rating_classes)
    return {
        "constant": ItemMean(*arguments, strength=np.inf),
        "item_mean": ItemMean(*arguments),
        "matrix_factorisation": MatrixFactorisation(*arguments, num_users=manifest.num_users),
    }


class ItemMean:
    """Predicts an item's mean rating, drawn towards the mean of all by `strength` ratings of that value.

    Args:
        users, items: int arrays `[ratings]`, as from `data.statistics.training_ratings`.
        ratings: float array `[ratings]`.
        num_items: int.
        rating_classes: floats, the ratings there are.
        strength: float, above 0; infinite predicts the mean of all: a constant.

    Example:
        >>> baseline = ItemMean(np.array([1, 2]), np.array([1, 2]), np.array([5.0, 3.0]), 2, (1, 2, 3, 4, 5), 1.0)
        >>> [value.numpy().tolist() for value in baseline.rate({"item": tf.constant([1, 2])})]
        [[4.5, 3.5], [4.0, 3.0]]
    """

    def __init__(
        self,
        users: np.ndarray,
        items: np.ndarray,
        ratings: np.ndarray,
        num_items: int,
        rating_classes: Sequence[float],
        strength: float = 5.0,
    ) -> None:
        mean = np.mean(ratings, dtype=np.float64) if len(ratings) else float(np.mean(rating_classes))
        counts = np.bincount(items, minlength=num_items + 1)
        sums = np.bincount(items, ratings - mean, num_items + 1)
        self.means = tf.constant(mean + sums / (counts + strength), tf.float32)
        self.classes = tf.constant(rating_classes, tf.float32)

    def rate(self, inputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Expected ratings, float32 `[batch]`, and the classes nearest to them, the lower of two as near."""
        expected = self.expected(inputs)
        nearest = tf.argmin(tf.abs(expected[:, tf.newaxis] - self.classes), axis=1)
        return expected, tf.gather(self.classes, nearest)

    def expected(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Expected ratings, float32 `[batch]`; `inputs` holds `user` and `item`, int64 `[batch]`."""
        return tf.gather(self.means, inputs["item"])


class MatrixFactorisation(ItemMean):
    """Predicts `mean + b_u + b_i + p_u . q_i`, found by alternating least squares (Koren, Bell and Volinsky, 2009).

    Args:
        num_users: int.
        dim: int, width of p and q.
        l2: float, weight of the squared parameters of a user or item, for each of its ratings.
        sweeps: int, times that users and items are solved for.
        seed: int.
        others: see `ItemMean`.
    """

    def __init__(
        self,
        users: np.ndarray,
        items: np.ndarray,
        ratings: np.ndarray,
        num_items: int,
        rating_classes: Sequence[float],
        num_users: int,
        dim: int = 8,
        l2: float = 0.08,
        sweeps: int = 15,
        seed: int = 0,
    ) -> None:
        super().__init__(users, items, ratings, num_items, rating_classes)
        mean = np.mean(ratings, dtype=np.float64) if len(ratings) else float(np.mean(rating_classes))
        # A user is (b_u, 1, p), an item (1, b_i, q): the prediction is one product. Unknown ones stay (0, 1, 0).
        ids, residual = (users, items), ratings.astype(np.float64) - mean
        sides = [np.zeros([num_users + 1, dim + 2]), np.zeros([num_items + 1, dim + 2])]
        sides[0][:, 1], sides[1][:, 0] = 1.0, 1.0
        random = np.random.default_rng(seed)
        sides[1][np.unique(items), 2:] = random.normal(0.0, 0.1, [len(np.unique(items)), dim])
        orders = [np.argsort(own, kind="stable") for own in ids]
        for _ in range(sweeps):
            for own, other in ((0, 1), (1, 0)):
                free = np.delete(np.arange(dim + 2), other)
                known, starts = np.unique(ids[own][orders[own]], return_index=True)
                for row, part in zip(known, np.split(orders[own], starts[1:])):
                    met = sides[other][ids[other][part]]
                    square = met[:, free].T @ met[:, free] + l2 * len(part) * np.eye(dim + 1)
                    right = met[:, free].T @ (residual[part] - met[:, other])
                    sides[own][row, free] = np.linalg.solve(square, right)
        self.mean, self.sides = mean, [tf.constant(side, tf.float32) for side in sides]

    def expected(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        user, item = tf.gather(self.sides[0], inputs["user"]), tf.gather(self.sides[1], inputs["item"])
        return self.mean + tf.reduce_sum(user * item, axis=1)
