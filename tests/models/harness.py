"""What every model has to keep: a model's own test subclasses `ModelCase` and adds arguments and inputs.

class TestMyModel(ModelCase):
    cls = MyModel
    arguments = {"num_users": 7, "num_items": 11, ...}  # deterministic: no dropout

    def inputs(self, random, batch): ...                # what `history_inputs` gives
    def examples(self, random, batch): ...              # what `training_examples` gives
    def layer_inputs(self, model): ...                  # a layer of the model, and what it is called with

With other arguments, another subclass tests the same but what `KerasCase` and `ReplicaCase` have: `@variant`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.keras_case import KerasCase
from tests.models.replica_case import ReplicaCase
from tfrecs.errors import InputError, NotFiniteError

BATCH = 6
SEEN = [[1, 2, 3], [4, 4, 0], [0, 0, 0], [11, 0, 0], [5, 6, 0], [1, 11, 7]]


def arrays(tensors):
    return {name: np.asarray(value) for name, value in tensors.items()}


class ModelCase(KerasCase, ReplicaCase):
    """The shared tests. `num_items` of the arguments is at least 11, for `SEEN`."""

    cls = None
    arguments = {}

    def inputs(self, random, batch):
        """Arrays the model reads to rank; users and items from 1, histories of every length."""
        raise NotImplementedError

    def examples(self, random, batch):
        """Arrays the model trains on, padded targets among them."""
        raise NotImplementedError

    def lengthen(self, model, inputs):
        """`(model, inputs)` that pad more and are to score the same; None where there is nothing to pad."""
        return None

    def make(self, seed=0, **arguments):
        keras.utils.set_random_seed(seed)
        return self.cls(**self.arguments | arguments)

    def compiled(self, jit_compile=False, optimizer=None, **arguments):
        model = self.make(**arguments)
        model.compile(optimizer=optimizer or keras.optimizers.Adam(0.05), jit_compile=jit_compile)
        return model

    def held_out(self, batch=BATCH):
        """Inputs with `target` and `seen`, as `EvaluationBatches` gives them."""
        random = np.random.default_rng(2)
        target = random.integers(1, self.arguments["num_items"] + 1, batch)
        return self.inputs(random, batch) | {"target": target, "seen": np.array(SEEN * batch)[:batch]}

    @pytest.fixture(scope="class")
    def model(self):
        return self.make()

    @pytest.fixture(scope="class")
    def batch(self):
        return self.inputs(np.random.default_rng(0), BATCH)

    @pytest.fixture(scope="class")
    def catalogue(self, model, batch):
        """Scores of items 1 to `num_items`, which much of the rest has to agree with."""
        return model.score(batch, np.arange(1, model.num_items + 1)).numpy()

    def test_config_round_trip(self, model):
        again = self.cls.from_config(model.get_config())
        assert again.get_config() == model.get_config()
        for name, value in self.arguments.items():
            assert again.get_config()[name] == value

    def test_save_and_load(self, model, batch, catalogue, tmp_path):
        path = str(tmp_path / "model.keras")
        model.save(path)
        loaded = keras.saving.load_model(path)
        assert type(loaded) is self.cls and loaded.get_config() == model.get_config()
        np.testing.assert_array_equal(loaded.score(batch, np.arange(1, model.num_items + 1)), catalogue)

    def test_scores(self, model, batch, catalogue):
        assert catalogue.shape == (BATCH, model.num_items) and catalogue.dtype == np.float32
        assert np.isfinite(catalogue).all() and np.ptp(catalogue, axis=1).min() > 0
        own = np.random.default_rng(1).integers(1, model.num_items + 1, (BATCH, 4))
        expected = np.take_along_axis(catalogue, own - 1, axis=1)
        np.testing.assert_allclose(model.score(batch, own), expected, atol=1e-5)
        np.testing.assert_array_equal(model(batch), catalogue)
        np.testing.assert_allclose(model(batch | {"candidates": own}), expected, atol=1e-5)

    def test_rows_do_not_depend_on_each_other(self, model, batch, catalogue):
        items = np.arange(1, model.num_items + 1)
        for size in (1, 4):
            part = {name: value[:size] for name, value in batch.items()}
            np.testing.assert_allclose(model.score(part, items), catalogue[:size], atol=1e-5)

    def test_padding_changes_nothing(self, model, batch, catalogue):
        longer = self.lengthen(model, batch)
        if longer is not None:
            longer[0].set_weights(model.get_weights())
            found = longer[0].score(longer[1], np.arange(1, model.num_items + 1))
            np.testing.assert_allclose(found, catalogue, atol=1e-5)

    @pytest.mark.parametrize("chunk_size", [1, 3, 65536])
    @pytest.mark.parametrize("k", [1, 4, 99])
    def test_recommend_is_argsort(self, model, batch, catalogue, k, chunk_size):
        items, scores = (value.numpy() for value in model.recommend(batch, k=k, chunk_size=chunk_size))
        order = np.argsort(-catalogue, axis=1, kind="stable")[:, :k]
        assert items.tolist() == (order + 1).tolist() and items.dtype == np.int64
        np.testing.assert_allclose(scores, np.take_along_axis(catalogue, order, axis=1), atol=1e-5)

    @pytest.mark.parametrize("chunk_size", [2, 65536])
    def test_recommend_leaves_out_the_excluded(self, model, batch, catalogue, chunk_size):
        count = model.num_items
        items, scores = model.recommend(batch, k=count, excluded=np.array(SEEN), chunk_size=chunk_size)
        for row, seen in enumerate(SEEN):
            order = [item for item in np.argsort(-catalogue[row], kind="stable") + 1 if item not in seen]
            assert items[row].numpy().tolist() == order + [0] * (count - len(order))
            assert np.isneginf(scores[row, len(order) :]).all() and np.isfinite(scores[row, : len(order)]).all()

    def test_recommend_only_what_is_allowed(self, model, batch, catalogue):
        """One list for all rows, and a list for each; what is excluded stays so."""
        for allowed in ([[2, 5, 9]], [[2, 5, 9 - row] for row in range(BATCH)]):
            items, scores = model.recommend(
                batch, k=4, excluded=np.array(SEEN), allowed=np.array(allowed), chunk_size=4
            )
            for row, seen in enumerate(SEEN):
                wanted = set(allowed[row % len(allowed)]) - set(seen)
                order = [item for item in np.argsort(-catalogue[row], kind="stable") + 1 if item in wanted]
                assert items[row].numpy().tolist() == order + [0] * (4 - len(order))
                np.testing.assert_allclose(scores[row, : len(order)], [catalogue[row, i - 1] for i in order], atol=1e-5)

    def test_items_have_a_vector_each(self, model):
        vectors = np.asarray(model.item_vectors())
        assert vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == model.num_items
        assert np.isfinite(vectors).all() and len(np.unique(vectors, axis=0)) == model.num_items

    def test_attention_weights_are_shares_of_what_is_there(self, model, batch):
        if not model.attention_reads:
            with pytest.raises(InputError, match=f"{self.cls.__name__} has no attention weights"):
                model.attention_weights(batch)
            return
        candidate = np.arange(1, BATCH + 1) if "candidate" in model.attention_reads else None
        maps = model.attention_weights(batch, candidate)
        assert maps and len({found.layer for found in maps}) == len(maps)
        for found in maps:
            weights, keys = found.weights.numpy(), found.key_ids.numpy() != 0
            asked = (found.query_ids.numpy() != 0) | (found.query != "history")
            assert weights.dtype == np.float32 and (weights >= 0).all()
            expected = np.broadcast_to((asked & keys.any(axis=1, keepdims=True))[:, None], weights.shape[:3])
            np.testing.assert_allclose(weights.sum(axis=3), expected, atol=1e-5)
            assert not weights[~np.broadcast_to(asked[:, None, :, None] & keys[:, None, None], weights.shape)].any()
        if candidate is None:
            with pytest.raises(InputError, match=f"^candidate: the attention of {self.cls.__name__} reads no"):
                model.attention_weights(batch, np.arange(1, BATCH + 1))

    def test_nan_is_ranked_last_and_never_recommended(self, batch):
        """As after an update that overflowed."""
        model = self.make()
        for variable in model.trainable_variables:
            variable.assign(variable * np.nan)
        target, excluded = tf.ones([BATCH], tf.int64), tf.zeros([BATCH, 0], tf.int64)
        inputs = {name: tf.constant(value) for name, value in batch.items()}
        assert (model.rank(inputs, target, excluded).numpy() == model.num_items).all()
        assert (tf.function(model.rank)(inputs, target, excluded).numpy() == model.num_items).all()
        with pytest.raises(NotFiniteError, match=f"{self.cls.__name__}: NaN or infinite scores for {BATCH} of {BATCH}"):
            model.recommend(batch, k=2)

    def test_fit_evaluate_predict(self, catalogue, batch, model):
        fitted = self.compiled()
        examples = tf.data.Dataset.from_tensor_slices(self.examples(np.random.default_rng(1), 10))
        held_out = self.held_out(10)
        ranked = tf.data.Dataset.from_tensor_slices(held_out).batch(4)
        history = fitted.fit(examples.batch(4), epochs=3, validation_data=ranked, verbose=0).history
        assert np.isfinite(history["loss"]).all() and history["loss"][-1] < history["loss"][0]
        assert not [name for name in history if not name.startswith("val_") and name != "loss"]
        found = fitted.evaluate(ranked, verbose=0, return_dict=True)
        ranks = fitted.rank(held_out, held_out["target"], tf.constant(held_out["seen"])).numpy()
        assert found["mrr"] == pytest.approx((1 / ranks).mean(), abs=1e-6)
        assert found["hr@5"] == pytest.approx((ranks <= 5).mean(), abs=1e-6)
        fitted.set_weights(model.get_weights())
        dataset = tf.data.Dataset.from_tensor_slices(batch).batch(4)
        np.testing.assert_allclose(fitted.predict(dataset, verbose=0), catalogue, atol=1e-5)

    @pytest.mark.slow
    def test_autograph_converts_what_is_traced(self, caplog, monkeypatch):
        monkeypatch.setattr(tf.get_logger(), "propagate", True)
        model, held_out = self.compiled(), self.held_out()
        target, seen = held_out.pop("target"), held_out.pop("seen")
        examples = self.examples(np.random.default_rng(0), BATCH)
        with caplog.at_level("WARNING"):
            tf.function(model.train_step)(examples)
            tf.function(model.rank)(held_out, target, seen)
            tf.function(lambda inputs, seen: model.recommend(inputs, k=3, excluded=seen))(held_out, seen)
        messages = [record.getMessage() for record in caplog.records]
        assert not [message for message in messages if "AutoGraph" in message]

    @pytest.mark.slow
    def test_xla_trains_alike(self):
        weights = []
        for jit_compile in (False, True):
            model = self.compiled(jit_compile)
            examples = self.examples(np.random.default_rng(1), 8)
            model.fit(tf.data.Dataset.from_tensor_slices(examples).batch(4), epochs=2, verbose=0)
            weights.append(model.get_weights())
        for plain, compiled in zip(*weights, strict=True):
            np.testing.assert_allclose(plain, compiled, atol=1e-4)

    def test_mixed_precision(self, batch, catalogue):
        model = self.compiled(dtype="mixed_bfloat16")
        assert model.recommend(batch)[1].dtype == tf.float32
        scores = model.score(batch, np.arange(1, model.num_items + 1)).numpy()
        distinct = [[len(np.unique(row)) for row in rows] for rows in (scores, catalogue)]
        assert distinct[0] == distinct[1], "scores that were rounded to 8 bits tie"
        np.testing.assert_allclose(model.score(batch, np.arange(1, model.num_items + 1)), catalogue, atol=0.1)
        examples = tf.data.Dataset.from_tensor_slices(self.examples(np.random.default_rng(1), 8)).batch(8)
        losses = model.fit(examples.repeat(4), epochs=2, verbose=0).history["loss"]
        assert np.isfinite(losses).all() and losses[1] < losses[0]
        assert {variable.dtype for variable in model.trainable_variables} == {"float32"}

    def test_variable_batch_size_is_traced_once(self, model):
        traces = []

        @tf.function(reduce_retracing=True)
        def score(inputs):
            traces.append(1)
            return model.score(inputs, tf.range(1, model.num_items + 1, dtype=tf.int64))

        for size in (3, 1, 6, 2):
            inputs = {name: tf.constant(value) for name, value in self.inputs(np.random.default_rng(0), size).items()}
            np.testing.assert_allclose(score(inputs), model.score(inputs, np.arange(1, model.num_items + 1)), atol=1e-5)
        assert len(traces) <= 2


def variant(cls):
    """A case of a model that another case is of too: what plain Keras can do with it is tested there."""
    for name in (*vars(KerasCase), *vars(ReplicaCase)):
        if name.startswith("test_"):
            setattr(cls, name, None)
    return cls


class NextItemsCase(ModelCase):
    """Of models that read a history and predict the item after each position: 7 users, 13 items, 4 positions."""

    def compiled(self, jit_compile=False, optimizer=None, **arguments):
        # Some weights have no gradient but rounding (a softmax does not see a constant): no whole steps of that.
        return super().compiled(jit_compile, optimizer or keras.optimizers.Adam(0.02, epsilon=1e-3), **arguments)

    def move(self, model, random):
        """Moves biases and normalisations as training would have."""
        for variable in model.trainable_variables:
            variable.assign_add(random.normal(0, 0.1, variable.shape))
        return model

    def inputs(self, random, batch):
        lengths = np.arange(batch)[::-1] % 4 + 1
        history = random.integers(1, 14, (batch, 4)) * (np.arange(4) < lengths[:, None])
        return {"user": random.integers(0, 8, batch), "history": history}

    def targets(self, random, batch):
        """`history` and `targets` of training examples; some targets are padding."""
        history = self.inputs(random, batch)["history"]
        targets = random.integers(1, 14, (batch, 4)) * (history > 0) * (np.arange(4) != 1)
        targets[:, 0] = np.maximum(targets[:, 0], 1)
        return {"history": history, "targets": targets}

    def lengthen(self, model, inputs):
        return self.make(), inputs | {"history": np.pad(inputs["history"], [(0, 0), (0, 2)])}
