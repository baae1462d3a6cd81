"""Full-ranking evaluation of anything that ranks: models on any strategy, and the counting baselines."""

import time

import numpy as np
import tensorflow as tf

from tfrecs import metrics


class Evaluator:
    """Ranks each user's held-out item once and averages; traced once, used for every epoch.

    Args:
        rank: `f(batch) -> int64 ranks [batch]`, traceable by `tf.function`.
        strategy: `tf.distribute.Strategy` or None; a batch is shared among its replicas.

    Call arguments:
        batches: `data.pipeline.EvaluationBatches`. Returns a dict of metric to float, with `users`, how many were
        ranked, and the seconds it took.
    """

    def __init__(self, rank, strategy=None):
        self.strategy = strategy or tf.distribute.get_strategy()
        self._rank, self._step = rank, None

    def __call__(self, batches):
        started = time.perf_counter()
        if self._step is None:
            self._step = self._trace(batches.element_spec)
        if self.strategy.num_replicas_in_sync > 1:
            batches = self.strategy.experimental_distribute_dataset(batches.dataset())
        ranks = [np.zeros(0, np.int64)]
        for batch in batches:
            parts = self.strategy.experimental_local_results(self._step(batch))
            ranks.extend(part.numpy() for part in parts)
        return summarise(np.concatenate(ranks)), time.perf_counter() - started

    def _trace(self, spec):
        def step(batch):
            return self.strategy.run(self._rank, args=(batch,))

        if self.strategy.num_replicas_in_sync > 1:  # a batch is then several tensors, which no signature describes
            return tf.function(step, reduce_retracing=True)
        return tf.function(step, input_signature=[spec])


def summarise(ranks):
    """Means over users, each counted once.

    Args:
        ranks: int array `[users]`, from 1.

    Returns:
        dict of metric to float, and `users`; empty metrics where there is no user.

    Example:
        >>> summarise(np.array([1, 3]))["mrr"]
        0.6666666716337204
    """
    if not len(ranks):
        return {"users": 0}
    values = metrics.of_rank(tf.constant(ranks))
    summary = {name: float(np.mean(value.numpy(), dtype=np.float64)) for name, value in values.items()}
    return summary | {"users": len(ranks)}


def model_rank(model, exclude_seen=True):
    """The `rank` function of a model; `exclude_seen` False lets items of the history compete."""

    def rank(batch):
        excluded = batch["seen"] if exclude_seen else tf.zeros([tf.shape(batch["target"])[0], 0], tf.int64)
        return model.rank(batch, batch["target"], excluded)

    return rank
