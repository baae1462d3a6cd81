"""The protocols with one held-out item per user: its rank among all items, or pairs with items the user never met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfrecs import metrics
from tfrecs.data.kinds import Kinds
from tfrecs.data.schema import PAD
from tfrecs.evaluation.protocols import EvaluationConfig
from tfrecs.models.catalogue import Catalogue


class Ranker(Protocol):
    """What ranks the catalogue: a model or a baseline."""

    @property
    def checked_rank(self) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """`f(batch, target, excluded)`, see `metrics.checked_rank`; a model with a `catalogue` takes that as well."""


class Scorer(Protocol):
    """What scores candidates: a model or a baseline; it may have a `pair_loss`, see `PairAUC`."""

    def score(self, batch: Mapping[str, tf.Tensor], items: tf.Tensor, /) -> tf.Tensor:
        """Scores `[batch, count]` of items `[batch, count]`."""


class FullRanking:
    """Every item is a candidate; `metrics.checked_rank` of the held-out one.

    Args:
        exclude_seen: bool, leave the items of the history out; False lets them compete.
        recall: bool, report HR@k under the name Recall@k too, which with one relevant item is the same number.
        topk: ints, cutoffs besides `metrics.CUTOFFS`.

    Example:
        >>> FullRanking().summarise(np.array([1, 3]))["mrr"]
        0.6666666716337204
    """

    num_negatives = 0
    kinds = None
    measures_ranks = True  # what is measured of a user is the rank of the held-out item

    def __init__(self, exclude_seen: bool = True, recall: bool = False, topk: Iterable[int] = ()) -> None:
        self.exclude_seen, self.recall = exclude_seen, recall
        self.cutoffs = tuple(sorted({*metrics.CUTOFFS, *topk}))

    @classmethod
    def from_config(cls, config: EvaluationConfig, kinds: Kinds | None = None) -> FullRanking:
        """The protocol of a `TrainConfig`. NOTE: `recbole` keeps seen items, as RecBole does for repeatable data."""
        return cls(config.exclude_seen, config.protocol == "recbole", config.topk)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics reported, by which an epoch may be chosen."""
        return tuple(self._named(metrics.of_rank(tf.ones([1], tf.int64), self.cutoffs)))

    def measure(self, ranker: Ranker) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """`f(batch, *table) -> (int64 ranks [batch], sound bool [batch])`.

        `ranker` is anything with `checked_rank(inputs, target, excluded, *table)`, see `metrics.checked_rank`; a table
        is what a model's `catalogue` gives.
        """

        def rank(batch: Mapping[str, tf.Tensor], *table: Catalogue) -> tuple[tf.Tensor, tf.Tensor]:
            excluded = batch["seen"] if self.exclude_seen else batch["seen"][:, :0]
            return ranker.checked_rank(batch, batch["target"], excluded, *table)

        return rank

    def summarise(self, ranks: np.ndarray) -> dict[str, float]:
        """Means over users, each counted once.

        Args:
            ranks: int array `[users]`, from 1.

        Returns:
            dict of metric to float, and `users`; no metrics where there is no user.
        """
        return _means(self.of_users(ranks), len(ranks))

    def of_users(self, ranks: np.ndarray) -> dict[str, np.ndarray]:
        """The metrics of each user: dict of metric to float array `[users]`; arguments as for `summarise`."""
        values = self._named(metrics.of_rank(tf.constant(ranks, tf.int64), self.cutoffs))
        return {name: value.numpy() for name, value in values.items()}

    def _named(self, values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if not self.recall:
            return values
        return values | {name.replace("hr@", "recall@"): value for name, value in values.items() if "hr@" in name}


class PairAUC:
    """The held-out item against items the user never met, the same ones at every evaluation.

    `auc` is the share of pairs in which the held-out item scores higher, a tie counting as a loss (ATRank,
    `atrank/model.py:197`); `gauc` is the mean over users of the area under each one's own curve, a tie counting half.
    With kinds, the unseen items are of the held-out one's kind, and `auc_<kind>` is that of the users whose held-out
    item is of it (`multi/train.py`). `loss` is a model's own, of the held-out item and its unseen ones.

    Args:
        num_negatives: int, unseen items per user.
        kinds: `data.kinds.Kinds`, or None.

    Example:
        >>> summary = PairAUC(2).summarise(np.array([[1.0, 0.0, 1.0], [0.0, 0.5, 1.0]]))
        >>> summary["auc"], summary["gauc"]
        (0.5, 0.625)
    """

    exclude_seen = True
    measures_ranks = False

    def __init__(self, num_negatives: int = 1, kinds: Kinds | None = None) -> None:
        self.num_negatives, self.kinds = num_negatives, kinds

    @classmethod
    def from_config(cls, config: EvaluationConfig, kinds: Kinds | None = None) -> PairAUC:
        """The protocol of a `TrainConfig`, and `data.kinds.Kinds` where the data has them."""
        return cls(config.num_eval_negatives, kinds)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics reported, by which an epoch may be chosen."""
        return ("auc", "gauc", *(f"auc_{name}" for name in (self.kinds.names if self.kinds else ())))

    def measure(self, scorer: Scorer) -> Callable[[Mapping[str, tf.Tensor]], tuple[tf.Tensor, tf.Tensor]]:
        """`f(batch) -> (float32 [batch, columns], sound bool [batch])`.

        The values are what `summarise` takes; a NaN wins nothing and is won against by nothing. `scorer` is anything
        with `score(inputs, items)`, and maybe a `pair_loss` of its own; the batch holds `target` and `negatives`.
        """
        loss = getattr(scorer, "pair_loss", None)
        kind_of = tf.constant(self.kinds.of_item) if self.kinds else None

        def compare(batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            candidates = tf.concat([batch["target"][:, tf.newaxis], batch["negatives"]], axis=1)
            scores = scorer.score(batch, candidates)
            positive, negative = scores[:, :1], scores[:, 1:]
            won = tf.reduce_mean(tf.cast(positive > negative, tf.float32), axis=1)
            drawn = tf.reduce_mean(tf.cast(tf.equal(positive, negative), tf.float32), axis=1)
            columns = [won, drawn, tf.cast(batch["negatives"][:, 0] != PAD, tf.float32)]
            columns += [tf.cast(tf.gather(kind_of, batch["target"]), tf.float32)] if self.kinds else []
            columns += [loss(tf.cast(scores, tf.float32))] if loss else []
            return tf.stack(columns, axis=1), tf.reduce_all(metrics.is_score(scores), axis=1)

        return compare

    def summarise(self, shares: np.ndarray) -> dict[str, float]:
        """Means over users who have an unseen item.

        Args:
            shares: float array `[users, columns]`: the shares of negatives won and drawn, 1 where there were any;
                with kinds, that of the held-out item; and, where a model has one, the loss.

        Returns:
            dict of `auc`, `gauc`, `auc_<kind>` of every kind that was held out, `loss` where there is one, and
            `users`; no metrics where there is no user.
        """
        values = self.of_users(shares)
        return _means(values, len(values["auc"]))

    def of_users(self, shares: np.ndarray) -> dict[str, np.ndarray]:
        """The metrics of each user who has an unseen item; as `FullRanking.of_users`, those by kind of fewer users."""
        known = 4 if self.kinds else 3
        shares = np.reshape(shares, [len(shares), -1]) if len(shares) else np.zeros([0, known])
        shares = shares[shares[:, 2] > 0]
        won, drawn = shares[:, 0], shares[:, 1]
        values = {"auc": won, "gauc": won + drawn / 2}
        for kind, name in enumerate(self.kinds.names if self.kinds else (), 1):
            if (shares[:, 3] == kind).any():
                values[f"auc_{name}"] = won[shares[:, 3] == kind]
        return values | ({"loss": shares[:, known]} if shares.shape[1] > known else {})


def _means(values: Mapping[str, np.ndarray], users: int) -> dict[str, float]:
    if not users:
        return {"users": 0}
    return {name: float(np.mean(value, dtype=np.float64)) for name, value in values.items()} | {"users": users}
