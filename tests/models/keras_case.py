"""What plain Keras can do with every model: compile, fit, callbacks, files, layers; see `tests.models.harness`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tfrecs
from tests.models import replicas
from tfrecs.errors import InputError
from tfrecs.models import construction, declarations
from tfrecs.models.presets import MODULES
from tfrecs.models.saving import seed_states


def state(model):
    """All that training goes on from: weights, tables, the optimizer's variables, random states."""
    return [np.asarray(v) for v in (*model.weights, *model.optimizer.variables, *seed_states(model))]


def assert_equal(one, other, **tolerance):
    for first, second in zip(state(one), state(other), strict=True):
        if tolerance and first.dtype.kind == "f":
            np.testing.assert_allclose(first, second, **tolerance)
        elif not tolerance:
            np.testing.assert_array_equal(first, second)


class Stop(keras.callbacks.Callback):
    """Breaks off at the start of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


class KerasCase:
    """The tests; what they need of a model is in `tests.models.harness.ModelCase`."""

    def from_shop(self, shop, compiled=True, **arguments):
        """The preset `recommended`, dropout included, at the smallest sizes."""
        name = construction.name_of(self.cls)
        small = {key: v for key, v in MODULES[name].SMALLEST_RUN.items() if key in declarations.defaults(name)}
        keras.utils.set_random_seed(5)
        model = self.cls.from_preset("recommended", shop, **small | arguments)
        if compiled:
            model.compile(keras.optimizers.Adam(0.02, global_clipnorm=1.0))
        return model

    def fit(self, model, shop, **options):
        batches = shop.training_batches(model, batch_size=64, seed=3)
        options = {"validation_data": shop.evaluation_batches(model, "valid"), "verbose": 0} | options
        return model.fit(batches, **options).history

    without_dropout = {"dropout": 0.0}

    def layer_inputs(self, model):
        """A layer of the model, and the list of arrays, or lists of arrays, that it is called with."""
        raise NotImplementedError

    def test_recommended_is_made_for_the_data(self, shop):
        model = self.from_shop(shop, compiled=False, name="mine")
        assert (model.num_users, model.num_items, model.name) == (len(shop.users), len(shop.items), "mine")
        model.require_tables()

    def test_what_a_preset_does_not_have_is_named(self, shop):
        for arguments, message in (
            (("recommend", shop), "preset: unknown preset 'recommend'; did you mean 'recommended'"),
            (("recommended", "data/shop"), "data: expected a tfrecs.Dataset, got a str"),
        ):
            with pytest.raises(InputError, match=message):
                self.cls.from_preset(*arguments)
        for argument, message in (
            ({"loss_reductio": "sum"}, "loss_reductio: no argument of .*; did you mean 'loss_reduction'"),
            ({"num_items": 3}, "num_items: the data decide it; leave it out"),
            ({"split": "trian"}, "split: unknown value 'trian'; did you mean 'train'"),
        ):
            with pytest.raises(InputError, match=message):
                self.cls.from_preset("recommended", shop, **argument)

    @pytest.mark.parametrize("name, value", [("loss", "mse"), ("metrics", ["mae"]), ("weighted_metrics", ["mae"])])
    def test_a_loss_or_metrics_of_others_are_refused(self, model, name, value):
        with pytest.raises(InputError, match=f"^{name}: {self.cls.__name__} "):
            model.compile("sgd", **{name: value})
        with pytest.raises(InputError, match=f"^loss_weights: {self.cls.__name__} has one loss"):
            model.compile("sgd", loss_weights=[2.0])

    def test_what_fit_would_not_read_is_refused(self, shop):
        model = self.from_shop(shop)
        training, held_out = shop.training_batches(model), shop.evaluation_batches(model, "valid")
        held_out._length = 1  # it is not to be counted
        for name, value in (
            ("y", np.ones(3)),
            ("sample_weight", np.ones(3)),
            ("class_weight", {0: 2.0}),
            ("batch_size", 3),
            ("validation_batch_size", 3),
            ("validation_split", 0.5),
            ("shuffle", False),
        ):
            with pytest.raises(InputError, match=f"^{name}: {self.cls.__name__} "):
                model.fit(training, **{"validation_data": held_out, name: value})
        for call in (
            lambda: model.fit(held_out),
            lambda: model.fit(training, steps_per_epoch=0),
            lambda: model.fit(training, validation_data=training),
            lambda: model.evaluate(training),
            lambda: model.evaluate(held_out, np.ones(3)),
            lambda: model.predict(training),
        ):
            with pytest.raises(InputError, match="^(x|y|validation_data|steps_per_epoch): "):
                call()

    def test_the_summary_has_sizes_and_counts(self, model):
        lines = []
        model.summary(print_fn=lambda text, line_break=False: lines.append(text))
        text = "\n".join(lines)
        assert f"Total params: {model.count_params():,}" in text
        assert f" Sizes: num_users {model.num_users}, num_items {model.num_items}" in text
        rows = lines[-len(model.weights) :]
        for row, variable in zip(rows, model.weights, strict=True):
            assert str(tuple(variable.shape)) in row and f"{int(np.prod(variable.shape)):,}" in row
            assert row.endswith("not trained") != any(variable is trained for trained in model.trainable_variables)

    def test_a_layer_in_a_functional_model(self, model, tmp_path):
        layer, arrays = self.layer_inputs(model)
        inputs = keras.tree.map_structure(lambda a: keras.Input(a.shape[1:], dtype=str(a.dtype)), arrays)
        outputs = layer(*inputs)
        functional = keras.Model(inputs, outputs)
        expected = keras.tree.flatten(layer(*arrays))
        for found, value in zip(keras.tree.flatten(functional(arrays)), expected, strict=True):
            np.testing.assert_allclose(found, value, atol=1e-6)
        functional.save(tmp_path / "functional.keras")
        loaded = keras.saving.load_model(tmp_path / "functional.keras")
        for found, value in zip(keras.tree.flatten(loaded(arrays)), expected, strict=True):
            np.testing.assert_allclose(found, value, atol=1e-6)

    def test_a_subclass_adds_a_term_to_the_loss(self):
        """By `loss_terms`, or by `add_loss`; a constant moves nothing, a multiple of a variable moves it."""
        case = self

        class Larger(self.cls):
            def loss_terms(self, examples, training=True):
                terms, weights = super().loss_terms(examples, training)
                return terms + 3.0, weights

        class Pulled(self.cls):
            def loss_terms(self, examples, training=True):
                self.add_loss(7.0 * keras.ops.sum(self.trainable_variables[0]))
                return super().loss_terms(examples, training)

        def step(cls):
            model = type("Case", (type(case),), {"cls": cls})().make()
            model.compile(keras.optimizers.SGD(0.1))
            examples = {k: tf.constant(v) for k, v in case.examples(np.random.default_rng(1), 6).items()}
            losses = [float(model.train_step(examples)["loss"])]
            first = model.get_weights()
            model.train_step(examples)
            assert len(model._losses) <= 1
            return losses[0], first, model.trainable_variables

        (plain, before, variables), (larger, same, _), (pulled, after, _) = map(step, (self.cls, Larger, Pulled))
        assert larger == pytest.approx(plain + 3.0, abs=1e-4) and pulled == pytest.approx(plain, abs=1e-4)
        for one, other in zip(before, same):
            np.testing.assert_allclose(one, other, atol=1e-5)
        assert max(np.abs(one - other).max() for one, other in zip(before, after)) > 0.1

    @pytest.mark.slow
    def test_fit_goes_on_from_a_file(self, shop, tmp_path, deterministic):
        """Weights, tables, optimizer and random states: as if it had never stopped."""
        path = str(tmp_path / "model.keras")
        through, first = (self.from_shop(shop) for _ in range(2))
        whole = self.fit(through, shop, epochs=5)
        callbacks = [
            keras.callbacks.EarlyStopping("val_ndcg@10", patience=9),
            keras.callbacks.ModelCheckpoint(path, monitor="val_hr@10"),
        ]
        begun = self.fit(first, shop, epochs=3, callbacks=callbacks)
        again = tfrecs.models.load_model(path)
        assert type(again) is self.cls and again.get_config() == first.get_config()
        assert again.kind_names == first.kind_names and again.part_names == first.part_names
        assert_equal(again, first)
        rest = self.fit(again, shop, initial_epoch=3, epochs=5)
        assert {name: begun[name] + rest[name] for name in whole} == whole
        assert_equal(again, through)
        assert again.optimizer.iterations == 5 * len(shop.training_batches(again, batch_size=64))

    @pytest.mark.slow
    def test_backup_and_restore(self, shop, tmp_path, deterministic):
        through, stopped, restarted = (self.from_shop(shop) for _ in range(3))
        whole = self.fit(through, shop, epochs=3)
        with pytest.raises(KeyboardInterrupt):
            backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
            self.fit(stopped, shop, epochs=3, callbacks=[backup, Stop(2)])
        rest = self.fit(restarted, shop, epochs=3, callbacks=keras.callbacks.BackupAndRestore(tmp_path / "backup"))
        assert {name: values[2:] for name, values in whole.items()} == rest
        assert_equal(restarted, through)
        assert len(self.fit(restarted, shop, epochs=1)["loss"]) == 1

    @pytest.mark.slow
    def test_callbacks(self, shop, tmp_path, recwarn):
        """Each knows that more is better; a file of the best epoch is written, and a rate that brings nothing falls."""
        model, best = self.from_shop(shop), str(tmp_path / "best.keras")
        history = self.fit(
            model,
            shop,
            epochs=4,
            callbacks=[
                keras.callbacks.ModelCheckpoint(best, monitor="val_hr@10", save_best_only=True),
                keras.callbacks.ReduceLROnPlateau("val_ndcg@10", factor=0.5, patience=1, min_delta=1.0),
                keras.callbacks.EarlyStopping("val_mrr", patience=3, min_delta=1.0),
                keras.callbacks.TensorBoard(tmp_path / "board", update_freq=1),
                keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            ],
        )
        assert history["learning_rate"] == pytest.approx([0.02, 0.02, 0.01, 0.005])
        assert len((tmp_path / "log.csv").read_text().splitlines()) == 5
        held_out = shop.evaluation_batches(model, "valid")
        found = tfrecs.models.load_model(best).evaluate(held_out, verbose=0, return_dict=True)
        assert found["hr@10"] == pytest.approx(max(history["val_hr@10"]), abs=1e-6)
        events = EventAccumulator(str(tmp_path / "board" / "validation")).Reload()
        assert "evaluation_mrr_vs_iterations" in events.Tags()["tensors"]
        said = [str(warning.message) for warning in recwarn]
        assert not [text for text in said if "ran out of data" in text or "not available" in text]

    @pytest.mark.slow
    @pytest.mark.parametrize("options", [{"steps_per_execution": 3}, {"run_eagerly": True}])
    def test_steps_in_one_execution_or_eager_ones_train_alike(self, shop, options):
        one, other = (self.from_shop(shop) for _ in range(2))
        other.compile(keras.optimizers.Adam(0.02, global_clipnorm=1.0), **options)
        histories = [self.fit(model, shop, epochs=2) for model in (one, other)]
        for name, values in histories[0].items():
            assert histories[1][name] == pytest.approx(values, abs=1e-4), name
        assert_equal(one, other, atol=2e-3)

    @pytest.mark.slow
    def test_xla_ranks_alike(self):
        held_out = tf.data.Dataset.from_tensor_slices(self.held_out(8)).batch(4)
        plain, compiled = (self.compiled(xla).evaluate(held_out, verbose=0, return_dict=True) for xla in (False, True))
        assert compiled == pytest.approx(plain, abs=1e-6)

    @pytest.mark.slow
    @pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
    def test_fit_in_mixed_precision(self, shop, dtype):
        model = self.from_shop(shop, dtype=dtype)
        losses = self.fit(model, shop, epochs=4)["loss"]
        assert np.isfinite(losses).all() and losses[-1] < losses[0]
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (dtype == "mixed_float16")

    @pytest.mark.slow
    def test_two_replicas_fit_alike(self, shop, tmp_path):
        """Without dropout, whose draws differ between replicas: the same epochs, callbacks and files."""
        histories, models = [], []
        for strategy in (tf.distribute.get_strategy(), replicas.mirrored()):
            with strategy.scope():
                models.append(self.from_shop(shop, **self.without_dropout))
            path = str(tmp_path / f"{len(models)}.keras")
            callbacks = [keras.callbacks.ModelCheckpoint(path, monitor="val_hr@10")]
            histories.append(self.fit(models[-1], shop, epochs=2, callbacks=callbacks))
            scores = models[-1].predict(shop.evaluation_batches(models[-1], "test"), verbose=0)
            assert scores.shape == (len(shop.users), models[-1].num_items)
            loaded = tfrecs.models.load_model(path)
            assert_equal(loaded, models[-1])
        assert histories[1]["loss"] == pytest.approx(histories[0]["loss"], rel=1e-3)
        for one, two in zip(*(model.get_weights() for model in models), strict=True):
            np.testing.assert_allclose(one, two, atol=2e-3)
        # Rounding moves a rank now and then; the same weights rank alike.
        models[1].set_weights(models[0].get_weights())
        batches = shop.evaluation_batches(models[0], "valid")
        one, two = (model.evaluate(batches, verbose=0, return_dict=True) for model in models)
        assert two == pytest.approx(one, abs=1e-6)
