"""What plain Keras can do with every model on two replicas; see `tests.models.harness`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfrecs
from tests.models import replicas


class ReplicaCase:
    """The tests; they use `from_shop` and `fit` of `tests.models.keras_case.KerasCase`.

    Models have no dropout where two of them are compared: its draws differ between replicas.
    """

    def on_replicas(self, shop, arguments=None, clip=1.0, **options):
        """A model of two replicas, compiled as `from_shop` does, but for what is given."""
        with replicas.mirrored().scope():
            model = self.from_shop(shop, **self.without_dropout | (arguments or {}))
            model.compile(keras.optimizers.Adam(0.02, global_clipnorm=clip), **options)
        return model

    @pytest.mark.slow
    def test_steps_in_one_execution_on_replicas_train_alike(self, shop):
        one, other = self.on_replicas(shop), self.on_replicas(shop, steps_per_execution=3)
        histories = [self.fit(model, shop, epochs=2) for model in (one, other)]
        for name, values in histories[0].items():
            assert histories[1][name] == pytest.approx(values, abs=1e-4), name
        assert np.asarray(one.optimizer.iterations) == np.asarray(other.optimizer.iterations)
        for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(first, second, atol=2e-3)

    @pytest.mark.slow
    def test_callbacks_on_replicas(self, shop, tmp_path):
        """The best epoch's file, a falling rate and an early end, as on one device; training goes on from the file."""
        histories, best = [], str(tmp_path / "best.keras")
        for strategy in (tf.distribute.get_strategy(), replicas.mirrored()):
            with strategy.scope():
                model = self.from_shop(shop, **self.without_dropout)
            callbacks = [
                keras.callbacks.ModelCheckpoint(best, monitor="val_hr@10", save_best_only=True),
                keras.callbacks.ReduceLROnPlateau("val_ndcg@10", factor=0.5, patience=1, min_delta=1.0),
                keras.callbacks.EarlyStopping("val_mrr", patience=3, min_delta=1.0, restore_best_weights=True),
            ]
            histories.append(self.fit(model, shop, epochs=9, callbacks=callbacks))
        assert histories[0].keys() == histories[1].keys()
        assert [len(history["loss"]) for history in histories] == [4, 4]
        assert (
            histories[1]["learning_rate"] == histories[0]["learning_rate"] == pytest.approx([0.02, 0.02, 0.01, 0.005])
        )
        assert histories[1]["loss"] == pytest.approx(histories[0]["loss"], rel=1e-2)
        held_out = shop.evaluation_batches(model, "valid")
        with replicas.mirrored().scope():
            loaded = tfrecs.models.load_model(best)
        found = loaded.evaluate(held_out, verbose=0, return_dict=True)
        assert found["hr@10"] == pytest.approx(max(histories[1]["val_hr@10"]), abs=1e-6)
        restored = model.evaluate(held_out, verbose=0, return_dict=True)
        assert restored["mrr"] == pytest.approx(histories[1]["val_mrr"][0], abs=1e-6)
        done = np.asarray(loaded.optimizer.iterations)
        self.fit(loaded, shop, epochs=1)
        assert np.asarray(loaded.optimizer.iterations) == done + len(shop.training_batches(loaded, batch_size=64))

    @pytest.mark.slow
    def test_mixed_bfloat16_on_replicas_trains_as_on_one_device(self, shop):
        one = self.from_shop(shop, dtype="mixed_bfloat16", **self.without_dropout)
        two = self.on_replicas(shop, {"dtype": "mixed_bfloat16"})
        losses = [self.fit(model, shop, epochs=3)["loss"] for model in (one, two)]
        assert np.isfinite(losses).all() and losses[1][-1] < losses[1][0]
        assert losses[1] == pytest.approx(losses[0], rel=0.05)
        assert {variable.dtype for variable in two.trainable_variables} == {"float32"}

    @pytest.mark.slow
    def test_mixed_float16_on_replicas(self, shop):
        """The loss is scaled on both replicas alike; clipping, which would act after, is refused."""
        model = self.on_replicas(shop, {"dtype": "mixed_float16"}, clip=None)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        before = model.get_weights()
        losses = self.fit(model, shop, epochs=3)["loss"]
        assert np.isfinite(losses).all() and losses[-1] < losses[0]
        assert max(np.abs(one - other).max() for one, other in zip(before, model.get_weights())) > 1e-3
        clipping = self.on_replicas(shop, {"dtype": "mixed_float16"})
        with pytest.raises(ValueError, match="global_clipnorm acts after the loss is unscaled"):
            self.fit(clipping, shop, epochs=1)
