"""Training on two mirrored CPU devices against training on one, step by step."""

import keras
import numpy as np
import tensorflow as tf

from tfrecs.training import strategy as strategies

OPTIMIZERS = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}


def train(make, examples, steps, batch_size, optimizer, strategy=None, **options):
    """Trains and gives the weights.

    Args:
        make: `f() -> model`, seeded.
        examples: dict of arrays; their number need not divide by `batch_size`.
        steps: int, batches, the examples over and over.
        batch_size: int, over all replicas.
        optimizer: a key of `OPTIMIZERS`.
        strategy: `tf.distribute.Strategy` or None.
        **options: for the optimizer.

    Returns:
        list of arrays.
    """
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        model = make()
        model.compile(optimizer=OPTIMIZERS[optimizer](**options), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
    dataset = tf.data.Dataset.from_tensor_slices(examples).batch(batch_size).repeat().take(steps)
    dataset = strategy.experimental_distribute_dataset(dataset)
    # One trace serves every batch size.
    step = tf.function(
        lambda batch: strategy.run(model.train_step, args=(batch,)), input_signature=[dataset.element_spec]
    )
    for batch in dataset:
        step(batch)
    return model.get_weights()


def mirrored():
    """The process's strategy over both CPU devices."""
    return strategies.create("mirrored")


def compare(make, examples, optimizer, tolerance=1e-5, steps=50, batch_size=7, **options):
    """Asserts that two replicas end where one device ends, and that training moved the weights at all."""
    one = train(make, examples, steps, batch_size, optimizer, **options)
    two = train(make, examples, steps, batch_size, optimizer, mirrored(), **options)
    for start, single, double in zip(make().get_weights(), one, two, strict=True):
        assert np.abs(single - start).max() > 100 * tolerance
        np.testing.assert_allclose(double, single, rtol=0, atol=tolerance)
