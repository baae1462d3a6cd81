"""Evaluates a model and its baselines under one protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfrecs.data import evaluation_batches, kinds, statistics
from tfrecs.data.evaluation_batches import EvaluationBatches
from tfrecs.data.manifest import Manifest
from tfrecs.errors import option
from tfrecs.evaluation import protocols, rated_list, rating_baselines
from tfrecs.evaluation.baselines import Popularity, Transitions
from tfrecs.evaluation.measurement import Measurement
from tfrecs.evaluation.protocols import EvaluationConfig
from tfrecs.models.catalogue import Catalogue
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.progress import note

CHECKED_USERS = 64  # users whose scores are checked when there is no validation


def create(
    model: SequentialRecommender,
    config: EvaluationConfig,
    strategy: tf.distribute.Strategy,
    data_dir: str,
    manifest: Manifest,
) -> Evaluator:
    """The evaluator of a configuration's protocol; arguments as for `Evaluator`."""
    classes = {cls.__name__: cls for cls in (Evaluator, ListEvaluator)}
    return classes[protocols.PROTOCOLS[config.protocol].evaluator](model, config, strategy, data_dir, manifest)


class Evaluator:
    """Measures one model, and its baselines, under the protocol of a configuration.

    Args:
        model: a built model.
        config: `TrainConfig`.
        strategy: `tf.distribute.Strategy`, which the model was built under.
        data_dir: str.
        manifest: its `Manifest`.
    """

    def __init__(
        self,
        model: SequentialRecommender,
        config: EvaluationConfig,
        strategy: tf.distribute.Strategy,
        data_dir: str,
        manifest: Manifest,
    ) -> None:
        self.model, self.config, self.data_dir, self.manifest = model, config, data_dir, manifest
        self.kinds = kinds.load(data_dir, manifest, model.kind_attribute)
        protocols.check_metric(config, self.kinds)
        self.protocol = protocols.create(config, self.kinds)
        self._batches: dict[tuple[str, int | None], EvaluationBatches] = {}
        self._measure = self._measurement(model, strategy)

    def evaluate(self, split: str) -> tuple[dict[str, float], float]:
        """Metrics of the model as it stands, and the seconds they took; `split` is `valid` or `test`.

        Raises:
            NotFiniteError: the model's scores are NaN or infinite.
        """
        return self._measure(self.batches(split), split)

    def check(self) -> None:
        """Looks at the scores of a few users, whatever they are worth, where no validation does.

        Raises:
            NotFiniteError: the model's scores are NaN or infinite.
        """
        self._measure(self.batches("test", CHECKED_USERS), "test")

    def measure_users(
        self, split: str
    ) -> tuple[dict[str, float], dict[str, np.ndarray], tuple[np.ndarray, np.ndarray] | None, float]:
        """What `evaluate` averages.

        Args:
            split: `valid` or `test`.

        Returns:
            `(metrics, values, ranks, seconds)`: as from `evaluate`; dict of metric to float array, a value per user;
            `(user ids, ranks)`, both int64 `[users]`, or None where the protocol ranks no catalogue; float.
        """
        users, measured, seconds = self._measure.measure_users(self.batches(split), split)
        ranks = (users, measured) if self.protocol.measures_ranks else None
        return self.protocol.summarise(measured), self.protocol.of_users(measured), ranks, seconds

    def evaluate_baselines(self, split: str, trained_on: str) -> dict[str, dict[str, float]]:
        """Metrics of the baselines on the same users, items and exclusions.

        Args:
            split: `valid` or `test`.
            trained_on: str, the training split of the weights that are evaluated: the baselines learn from the same.

        Returns:
            dict of name to dict of metrics.
        """
        return {name: self._score(baseline, split) for name, baseline in self.fit_baselines(trained_on).items()}

    def is_empty(self, split: str) -> bool:
        """Whether the split holds out nothing to evaluate on."""
        return next(iter(self.batches(split)), None) is None

    def batches(self, split: str, max_users: int | None = None) -> EvaluationBatches:
        """See `data.evaluation_batches.EvaluationBatches`; traced once, iterated many times."""
        if (split, max_users) not in self._batches:
            self._batches[split, max_users] = evaluation_batches.EvaluationBatches(
                self.data_dir,
                self.manifest,
                self.model.history_inputs,
                self.config.eval_batch_size,
                split,
                max_users=max_users,
                fields=self.model.fields,
                num_negatives=self.protocol.num_negatives,
                kinds=self.kinds.of_item if self.kinds else None,
                max_history=self.model.max_history,
            )
        return self._batches[split, max_users]

    def fit_baselines(self, trained_on: str) -> dict[str, Any]:
        """The protocol's baselines by name, fitted to the training split `trained_on`."""
        counts = statistics.item_counts(self.data_dir, self.manifest, trained_on)
        pairs = statistics.transition_pairs(self.data_dir, self.manifest, trained_on)
        return {"popularity": Popularity(counts), "transitions": Transitions(counts, pairs)}

    def _measurement(self, scorer: Any, strategy: tf.distribute.Strategy | None = None) -> Any:
        def catalogue() -> tuple[Catalogue, ...]:
            table = scorer.catalogue() if self.protocol.measures_ranks and scorer is self.model else None
            return () if table is None else (table,)

        measure, name = self.protocol.measure(scorer), type(scorer).__name__
        return Measurement(measure, self.protocol.summarise, strategy, name, catalogue)

    def _score(self, scorer: Any, split: str) -> dict[str, float]:
        return self._measurement(scorer)(self.batches(split), split)[0]


class ListEvaluator(Evaluator):
    """The evaluator of `rated_list`, whose metrics belong to lists, not to one held-out item."""

    def __init__(
        self,
        model: SequentialRecommender,
        config: EvaluationConfig,
        strategy: tf.distribute.Strategy,
        data_dir: str,
        manifest: Manifest,
    ) -> None:
        super().__init__(model, config, strategy, data_dir, manifest)
        if manifest.split["kind"] == "leave_one_out" and model.own_split is None:
            note(
                f"{option('protocol')} rated_list: {data_dir} holds out one rating a user, and a list of one is always "
                f"in order; data prepared with {option('split')} ratio, or {option('random_split')}, gives longer lists"
            )

    def evaluate(self, split: str) -> tuple[dict[str, float], float]:
        return self._measure(split)

    def check(self) -> None:
        self._measure("test", CHECKED_USERS)

    def measure_users(self, split: str) -> tuple[dict[str, float], dict[str, np.ndarray], None, float]:
        metrics, seconds = self._measure(split)  # of lists, whose metrics are no means over users' ranks
        return metrics, {}, None, seconds

    def is_empty(self, split: str) -> bool:
        ratings = rated_list.held_out_ratings(self.data_dir, self.manifest, split, self.model.own_split)
        return next(ratings, None) is None

    def fit_baselines(self, trained_on: str) -> dict[str, Any]:
        model = self.model
        return rating_baselines.fit(self.data_dir, self.manifest, trained_on, model.rating_classes, model.own_split)

    def _measurement(self, scorer: Any, strategy: tf.distribute.Strategy | None = None) -> Any:
        return self.protocol.measurement(scorer, self.data_dir, self.manifest, self.model.own_split)

    def _score(self, scorer: Any, split: str) -> dict[str, float]:
        return self._measurement(scorer)(split)[0]
