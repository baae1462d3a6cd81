"""Several updates in one call of a traced function, which never cross the end of an epoch."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfrecs.models.recommender import SequentialRecommender

Run = Callable[[Iterator[Any], tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def mark_last(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Adds to each batch whether it is the last of its epoch.

    Args:
        dataset: `tf.data.Dataset` of dicts with `epoch` int64 `[batch]`, of `data.training_batches.TrainingBatches`.

    Returns:
        `tf.data.Dataset` of the same, with `last` bool `[batch]`.

    Example:
        >>> batches = tf.data.Dataset.from_tensor_slices({"epoch": tf.constant([0, 0, 1], tf.int64)}).batch(1)
        >>> [bool(batch["last"][0]) for batch in mark_last(batches)]
        [False, True, True]
    """
    nothing = {
        name: tf.zeros([0, *(size or 0 for size in spec.shape[1:])], spec.dtype)
        for name, spec in dataset.element_spec.items()
    }
    ended = dataset.concatenate(tf.data.Dataset.from_tensors(nothing))

    def of_batch(before: dict[str, tf.Tensor], batch: dict[str, tf.Tensor]) -> tuple[Any, Any]:
        last = _epoch(before) != _epoch(batch)
        return batch, {**before, "last": tf.fill(tf.shape(before["epoch"]), last)}

    return ended.scan(nothing, of_batch).skip(1).prefetch(2)


def _epoch(batch: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.concat([batch["epoch"][:1], [-1]], 0)[0]


def function(
    model: SequentialRecommender, strategy: tf.distribute.Strategy, first_bad: tf.Variable, jit_compile: bool
) -> Run:
    """Updates a model by the next batches.

    Args:
        model: compiled, with a built optimizer.
        strategy: `tf.distribute.Strategy`.
        first_bad: int64 variable, set to the number of the first step whose loss is not finite; negative before.
        jit_compile: bool, whether XLA compiles each step.

    Returns:
        `f(iterator, number, limit)`: of batches of `mark_last`, `number` of the first step, and how many steps to make
        at most; it stops after the last one of an epoch, and gives how many steps were made, of how many examples, and
        whether the epoch is over.
    """

    @tf.function(reduce_retracing=True, jit_compile=jit_compile)
    def step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return strategy.run(model.train_step, args=(batch,))

    @tf.function
    def run(iterator: Iterator[Any], number: tf.Tensor, limit: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        def one(done: tf.Tensor, examples: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            batch = next(iterator)
            last = tf.concat(strategy.experimental_local_results(batch.pop("last")), 0)
            loss = strategy.experimental_local_results(step(batch)["loss"])[0]
            bad = tf.logical_and(first_bad < 0, tf.logical_not(tf.math.is_finite(loss)))
            first_bad.assign(tf.where(bad, number + done, first_bad))
            return done + 1, examples + tf.size(last, tf.int64), last[0]

        zero = tf.constant(0, tf.int64)
        start = zero, zero, tf.constant(False)
        return tf.while_loop(lambda done, _, last: tf.logical_and(done < limit, tf.logical_not(last)), one, start)

    return run
