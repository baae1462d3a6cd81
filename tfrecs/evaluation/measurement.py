"""Measures every user of a split once: of a model on any strategy, or of a counting baseline."""

import time

import numpy as np
import tensorflow as tf

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

    def __init__(self, measure, summarise, strategy=None, name="model", prepare=tuple):
        self.strategy = strategy or tf.distribute.get_strategy()
        self._measure, self._summarise, self._step, self._name = measure, summarise, None, name
        self._prepare = prepare

    def __call__(self, batches, split=""):
        _, values, seconds = self.measure_users(batches, split)
        return self._summarise(values), seconds

    def measure_users(self, batches, split=""):
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
        if self.strategy.num_replicas_in_sync > 1:
            batches = self.strategy.experimental_distribute_dataset(batches.dataset())
        columns = [], [], []
        for batch in batches:
            for found, into in zip(self._step(batch, fixed), columns, strict=True):
                into.extend(part.numpy() for part in self.strategy.experimental_local_results(found))
        users, values, sound = (np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in columns)
        if not sound.all():
            raise NotFiniteError(not_finite(self._name, np.sum(~sound), len(sound), split))
        return users, values, time.perf_counter() - started

    def _trace(self, spec, fixed):
        def measure(batch, fixed):
            return batch["user"], *self._measure(batch, *fixed)

        def step(batch, fixed):
            return self.strategy.run(measure, args=(batch, fixed))

        if self.strategy.num_replicas_in_sync > 1:  # a batch is then several tensors, which no signature describes
            return tf.function(step, reduce_retracing=True)
        return tf.function(step, input_signature=[spec, tf.nest.map_structure(tf.TensorSpec.from_tensor, fixed)])
