"""Measures every user of a split once: of a model on any strategy, or of a counting baseline."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecs.data.evaluation_batches import EvaluationBatches
from tfrecs.errors import NotFiniteError
from tfrecs.models.scoring import not_finite


class Measurement:
    """Measures the held-out item of each user once and summarises; traced once, used for every epoch.

    Args:
        measure: `f(batch, *fixed) -> (values [batch, ...], sound bool [batch])`, traceable by `tf.function`; `sound` is
            False where a score is NaN or +inf.
        summarise: `f(array of all users' values) -> dict of metric to float`.
        strategy: `tf.distribute.Strategy` or None; a batch is shared among its replicas.
        name: str, what is measured, for messages.
        prepare: function without arguments that gives `fixed`, a tuple that holds for all batches of a split, such
            as a model's catalogue; default none.

    Call arguments:
        batches: `data.evaluation_batches.EvaluationBatches`.
        split: str, what they hold, for messages.
        Returns the summary and the seconds it took.

    Raises:
        NotFiniteError: naming for how many users a score is NaN or +inf: no metric says what those users are offered.

    `measure_users(batches, split)` returns what the summary is made of: the users' ids, what was measured of each, and
    the seconds.
    """

    def __init__(
        self,
        measure: Callable[..., tuple[tf.Tensor, tf.Tensor]],
        summarise: Callable[[np.ndarray], dict[str, float]],
        strategy: tf.distribute.Strategy | None = None,
        name: str = "model",
        prepare: Callable[[], tuple[Any, ...]] = tuple,
    ) -> None:
        self.strategy = strategy or tf.distribute.get_strategy()
        self._measure, self._summarise, self._name = measure, summarise, name
        self._step: Callable[..., Any] | None = None
        self._prepare = prepare

    def __call__(self, batches: EvaluationBatches, split: str = "") -> tuple[dict[str, float], float]:
        _, values, seconds = self.measure_users(batches, split)
        return self._summarise(values), seconds

    def measure_users(self, batches: EvaluationBatches, split: str = "") -> tuple[np.ndarray, np.ndarray, float]:
        """Measures each user once.

        Args:
            batches, split: as for a call.

        Returns:
            `(users, values, seconds)`: int64 `[users]`, the ids; what `measure` gives, `[users, ...]`; float.
        """
        started = time.perf_counter()
        fixed = self._prepare()
        if self._step is None:
            self._step = self._trace(batches.element_spec, fixed)
        shared: Iterable[Mapping[str, tf.Tensor]] = batches
        if self.strategy.num_replicas_in_sync > 1:
            shared = self.strategy.experimental_distribute_dataset(batches.dataset())
        columns: tuple[list[np.ndarray], ...] = ([], [], [])
        for batch in shared:
            for found, into in zip(self._step(batch, fixed), columns, strict=True):
                into.extend(part.numpy() for part in self.strategy.experimental_local_results(found))
        users, values, sound = (np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in columns)
        if not sound.all():
            raise NotFiniteError(not_finite(self._name, int(np.sum(~sound)), len(sound), split))
        return users, values, time.perf_counter() - started

    def _trace(self, spec: Mapping[str, tf.TensorSpec], fixed: tuple[Any, ...]) -> Callable[..., Any]:
        def measure(batch: Mapping[str, tf.Tensor], fixed: tuple[Any, ...]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            return batch["user"], *self._measure(batch, *fixed)

        def step(batch: Mapping[str, tf.Tensor], fixed: tuple[Any, ...]) -> Any:
            return self.strategy.run(measure, args=(batch, fixed))

        if self.strategy.num_replicas_in_sync > 1:  # a batch is then several tensors, which no signature describes
            return tf.function(step, reduce_retracing=True)
        return tf.function(step, input_signature=[spec, tf.nest.map_structure(tf.TensorSpec.from_tensor, fixed)])
