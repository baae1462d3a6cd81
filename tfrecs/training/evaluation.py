"""Evaluation of anything that scores items: models on any strategy, and the counting baselines."""

import time

import numpy as np
import tensorflow as tf


class Evaluator:
    """Measures each user's held-out item once and summarises; traced once, used for every epoch.

    Args:
        measure: `f(batch) -> tensor [batch, ...]`, traceable by `tf.function`.
        summarise: `f(array of all users' values) -> dict of metric to float`.
        strategy: `tf.distribute.Strategy` or None; a batch is shared among its replicas.

    Call arguments:
        batches: `data.held_out.EvaluationBatches`. Returns the summary and the seconds it took.
    """

    def __init__(self, measure, summarise, strategy=None):
        self.strategy = strategy or tf.distribute.get_strategy()
        self._measure, self._summarise, self._step = measure, summarise, None

    def __call__(self, batches):
        started = time.perf_counter()
        if self._step is None:
            self._step = self._trace(batches.element_spec)
        if self.strategy.num_replicas_in_sync > 1:
            batches = self.strategy.experimental_distribute_dataset(batches.dataset())
        values = []
        for batch in batches:
            parts = self.strategy.experimental_local_results(self._step(batch))
            values.extend(part.numpy() for part in parts)
        values = np.concatenate(values) if values else np.zeros(0, np.int64)
        return self._summarise(values), time.perf_counter() - started

    def _trace(self, spec):
        def step(batch):
            return self.strategy.run(self._measure, args=(batch,))

        if self.strategy.num_replicas_in_sync > 1:  # a batch is then several tensors, which no signature describes
            return tf.function(step, reduce_retracing=True)
        return tf.function(step, input_signature=[spec])
