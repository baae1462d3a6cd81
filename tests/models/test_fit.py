"""The batches that `fit` reads: one pass for each epoch, whether Keras or the caller counts the epochs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrecs.errors import InputError
from tfrecs.models.attrec import AttRec
from tfrecs.models.sasrec import SASRec


@pytest.fixture
def make(shop):
    def made():
        keras.utils.set_random_seed(2)
        model = AttRec.from_preset("recommended", shop, embedding_dim=4, dropout=0.0)
        model.compile(keras.optimizers.Adam(0.01))
        return model

    return made


@pytest.mark.slow
def test_epoch_e_reads_pass_e(shop, make, deterministic):
    """Read by hand, with a length: where Keras finds the end of a dataset by a step that fails, that step counts."""
    by_hand, at_once, in_two, in_one = (make() for _ in range(4))
    batches = shop.training_batches(by_hand, batch_size=64, seed=9)
    for epoch in range(3):
        known = tf.data.experimental.assert_cardinality(len(batches))
        by_hand.fit(batches(epoch, epoch + 1).apply(known), verbose=0)
    at_once.fit(batches, epochs=3, verbose=0)
    in_two.fit(batches, epochs=1, verbose=0)
    in_two.fit(batches, epochs=3, initial_epoch=1, verbose=0)
    in_one.fit(batches, steps_per_epoch=3 * len(batches), verbose=0)
    for model in (at_once, in_two, in_one):
        assert model.optimizer.iterations == 3 * len(batches)
        for one, other in zip(by_hand.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_steps_per_execution_change_no_bit(shop, make, deterministic):
    one, many = make(), make()
    many.compile(keras.optimizers.Adam(0.01), steps_per_execution=3)
    batches = shop.training_batches(one, batch_size=64, seed=9)
    assert len(batches) % 3
    logs = [model.fit(batches, epochs=2, verbose=0).history for model in (one, many)]
    assert logs[0] == logs[1]
    assert many.optimizer.iterations == 2 * len(batches)
    for weight, other in zip(one.get_weights(), many.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_nobody_to_rank_is_said(shop, make):
    held_out = shop.evaluation_batches(make(), "valid")
    held_out._length = 0
    with pytest.raises(InputError, match="^validation_data: no user has a held-out item to rank"):
        make().fit(shop.training_batches(make()), validation_data=held_out)


def test_batches_of_another_model_are_refused(shop, make):
    """Its histories are as long as that model reads them, so that another one would be judged on less."""
    model, other = make(), SASRec.from_preset("recommended", shop, dim=4, inner_dim=4, num_heads=1)
    longer = AttRec.from_preset("recommended", shop, embedding_dim=4, dropout=0.0, max_history=7)
    for call, batches in (
        (model.evaluate, shop.evaluation_batches(other, "valid")),
        (model.predict, shop.evaluation_batches(other, "valid")),
        (model.fit, shop.training_batches(other)),
        (lambda batches: model.fit(shop.training_batches(model), validation_data=batches), None),
    ):
        batches = shop.evaluation_batches(other, "valid") if batches is None else batches
        with pytest.raises(InputError, match="batches made for SASRec, not AttRec: data.(training|evaluation)_batches"):
            call(batches)
    for call in (model.evaluate, model.predict):
        with pytest.raises(InputError, match="batch_size: AttRec"):
            call(shop.evaluation_batches(model, "valid"), batch_size=3)
    for steps in (0, -1, 1.5):
        with pytest.raises(InputError, match=f"steps_per_execution: expected an integer of at least 1, got {steps}"):
            model.compile(keras.optimizers.Adam(), steps_per_execution=steps)
    with pytest.raises(InputError, match="x: batches made for max_history 7, not 5: data.training_batches"):
        model.fit(shop.training_batches(longer))


def test_batches_that_cannot_be_read_are_named_and_others_train_after_them(shop, make):
    model, wrong = make(), tf.data.Dataset.from_tensor_slices
    examples = dict(next(iter(shop.training_batches(model, batch_size=64)(0, 1))))
    held_out = dict(next(iter(shop.evaluation_batches(model, "valid"))))
    good, ranked = (wrong(tensors).batch(32) for tensors in (examples, held_out))

    def without(tensors, name):
        return wrong({key: value for key, value in tensors.items() if key != name}).batch(32)

    for x, validation_data, message in (
        (without(examples, "targets"), None, "x: AttRec reads 'targets', but a batch has only 'user', 'history', "),
        (wrong(np.ones([8, 3])).batch(4), None, "x: expected batches that are dicts of tensors, got a "),
        (wrong((examples, np.ones(64))).batch(4), None, "y: AttRec reads targets among the tensors of `x`"),
        (wrong(examples), None, r"x: expected 'user' to be integers \[batch\], got int64 \(\)"),
        (
            wrong(examples | {"history": tf.zeros([64, 5])}).batch(4),
            None,
            r"x: expected 'history' to be integers \[batch, time\], got float32 \(None, 5\)",
        ),
        (None, None, "x: expected batches, as from data.training_batches"),
        ("data/shop", None, "x: expected batches, as from data.training_batches.*, got 'data/shop'"),
        (shop, None, r"x: expected batches, as from data.training_batches.*, got Dataset\("),
        (good, "valid", "validation_data: expected batches, as from data.evaluation_batches.*, got 'valid'"),
        (good, without(held_out, "target"), "validation_data, or x of evaluate: AttRec reads 'target', but a batch"),
    ):
        with pytest.raises(InputError, match=f"^{message}"):
            model.fit(x, validation_data=validation_data, verbose=0)
    for call in (model.evaluate, model.predict):
        with pytest.raises(InputError, match="^x: expected batches, as from data.evaluation_batches.*, got 'test'"):
            call("test")
    assert np.isfinite(model.fit(good, validation_data=ranked, verbose=0).history["loss"]).all()
