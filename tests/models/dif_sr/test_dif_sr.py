"""DIF-SR in the shared harness, and what is its own."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.harness import NextItemsCase, variant
from tfrecs.errors import InputError
from tfrecs.models.dif_sr import DIFSR
from tfrecs.models.presets import PRESETS

FUSIONS = ("sum", "concat", "gate")
SIZES = {
    "num_users": 7,
    "num_items": 13,
    "attribute_sizes": (4, 5),
    "attribute_lengths": (0, 3),
    "max_history": 6,
    "num_layers": 1,
    "num_heads": 2,
    "dim": 8,
    "inner_dim": 12,
    "attribute_dim": (4, 6),
    "attribute_weight": (0.5, 2.0),
    "fusion": "gate",
    "attribute_predictor": "linear",
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "initializer_range": 0.3,
}
NO_PREDICTOR = {"attribute_predictor": "none", "attribute_weight": (10.0,)}
ITEMS = np.arange(1, 14)


class DIFSRCase(NextItemsCase):
    cls = DIFSR
    arguments = SIZES

    def make(self, seed=0, **arguments):
        model = super().make(seed, **arguments)
        random = np.random.default_rng(5)
        for table, size in zip(model.tables, model.attribute_sizes):
            values = random.integers(0, size + 1, table.values.shape)
            values[[0, 4]] = 0  # PAD, and an item without attributes
            table.values.assign(-np.sort(-values, axis=1))
        return self.move(model, random)

    without_dropout = {"dropout": 0.0, "attention_dropout": 0.0}

    def layer_inputs(self, model):
        items = np.array([[3, 5, 0], [13, 2, 9]])
        return model.items, [items, [np.asarray(table(items)) for table in model.tables]]

    def examples(self, random, batch):
        return self.targets(random, batch) | {"negatives": random.integers(1, 14, (batch, 4))}


class TestDIFSR(DIFSRCase):
    pass


@variant
@pytest.mark.slow
class TestOriginal(DIFSRCase):
    arguments = SIZES | {
        name: PRESETS["dif_sr"]["original"]["model"][name]
        for name in ("causal_fusion", "additive_mask", "train_attributes", "mask_attributes", "pad_class")
    }

    def lengthen(self, model, inputs):
        return None  # padding takes part: see `test_the_published_fusion_sees_the_future`


@pytest.fixture(scope="module")
def case():
    return TestDIFSR()


def hidden(model, history):
    history = tf.constant(history)
    return model.hidden(history, model.items(history, [table(history) for table in model.tables]))[-1]["output"].numpy()


def change_of_the_past(model):
    """How far the outputs of positions 0 to 2 move as items 3 and 4 change, and as padding is added."""
    history = np.array([[3, 5, 9, 2, 7], [1, 2, 3, 12, 4]])
    before = hidden(model, history)[:, :3]
    changed, cut = history.copy(), history[:, :3]
    changed[:, 3:] = [[11, 1], [6, 0]]
    return np.abs(hidden(model, changed)[:, :3] - before).max(), np.abs(hidden(model, cut) - before).max()


@pytest.mark.parametrize("attributes", [True, False])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_nothing_comes_from_the_future(case, fusion, attributes):
    without = {} if attributes else {"attribute_sizes": (), "attribute_lengths": ()}
    model = case.make(fusion=fusion, **without)
    assert max(change_of_the_past(model)) < 2e-6
    assert np.abs(hidden(model, np.array([[3, 5, 9]])) - hidden(model, np.array([[3, 5, 8]])))[:, 2].max() > 1e-2


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_published_fusion_sees_the_future(case, fusion):
    """NOTE of `causal_fusion`: only the sum is causal as published."""
    model = case.make(fusion=fusion, causal_fusion=False, additive_mask=True)
    assert (change_of_the_past(model)[0] > 1e-3) == (fusion != "sum")


@pytest.mark.parametrize("fusion", FUSIONS)
def test_loss_at_every_position_is_that_of_each_prefix(case, fusion):
    model = case.make(fusion=fusion)
    history = np.array([[3, 5, 9, 2], [1, 12, 0, 0]])
    targets = np.array([[5, 9, 2, 7], [12, 4, 0, 0]])
    found = model.loss_terms({"history": tf.constant(history), "targets": tf.constant(targets)})[0].numpy()
    prefixes = case.make(fusion=fusion, all_positions=False)
    prefixes.set_weights(model.get_weights())
    cut = [(row[: end + 1], target[end]) for row, target in zip(history, targets) for end in range(4) if target[end]]
    expected = [
        prefixes.loss_terms({"history": tf.constant(row[None]), "targets": tf.constant([[target]])})[0].numpy()[0]
        for row, target in cut
    ]
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_pad_is_no_class_unless_asked_for(case):
    """Whatever lies in row 0, recommended losses and scores do not change."""
    batch = {name: tf.constant(value) for name, value in case.examples(np.random.default_rng(0), 6).items()}
    for pad_class in (False, True):
        model = case.make(pad_class=pad_class)
        before = model.loss_terms(batch)[0].numpy(), model.score(batch, ITEMS).numpy()
        model.items.embeddings.assign(tf.tensor_scatter_nd_update(model.items.embeddings.value, [[0]], tf.ones([1, 8])))
        after = model.loss_terms(batch)[0].numpy(), model.score(batch, ITEMS).numpy()
        np.testing.assert_allclose(after[1], before[1], atol=1e-6)
        assert np.allclose(before[0], after[0], atol=1e-6) != pad_class


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        {"attribute_sizes": (), "attribute_lengths": (), "attributes": ()},
        {"item_loss": "bpr", "fusion": "sum", "attributes_in_items": False},
        {"all_positions": False, "fusion": "concat", "pooling": "max", "attribute_predictor": "mlp"},
        {"num_layers": 3, "pooling": "mean", "loss_reduction": "sum"} | NO_PREDICTOR,
    ],
)
def test_variants_learn(case, arguments):
    model = case.compiled(**arguments)
    examples = case.examples(np.random.default_rng(1), 12)
    if not model.all_positions:
        examples = {name: value if name == "history" else value[:, :1] for name, value in examples.items()}
    dataset = tf.data.Dataset.from_tensor_slices(examples).batch(4)
    losses = model.fit(dataset, epochs=4, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_an_empty_history_scores_every_item_alike(case):
    scores = case.make().score({"user": np.array([0]), "history": np.zeros((1, 4), np.int64)}, ITEMS).numpy()
    assert not scores.any()


def test_scores_are_products_with_extended_items(case):
    model, inputs = case.make(), case.inputs(np.random.default_rng(0), 6)
    tables = [table.values.numpy() for table in model.tables]
    extensions = [extension.numpy() for extension in model.items.extensions]
    vectors = model.items.embeddings.numpy()
    for table, extension in zip(tables, extensions):
        vectors = vectors + (extension[table] * (table > 0)[..., None]).sum(axis=1)
    np.testing.assert_allclose(
        model.score(inputs, ITEMS), model.encode(inputs)["vector"].numpy() @ vectors[1:].T, atol=1e-5
    )
    plain = case.make(attributes_in_items=False)
    np.testing.assert_allclose(
        plain.score(inputs, ITEMS),
        plain.encode(inputs)["vector"].numpy() @ plain.items.embeddings.numpy()[1:].T,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("dim", 9, "expected a multiple of num_heads 2, got 9"),
        ("num_heads", 0, "expected an integer of at least 1, got 0"),
        ("num_layers", 1.5, "expected an integer from 1 to 1000, got 1.5"),
        ("max_history", True, "expected an integer of at least 1, got True"),
        ("attribute_dim", (1,), "expected at least num_heads 2, got 1"),
        ("attribute_dim", (4, 4, 4), "expected 1 or 2 values, one for each attribute, got 3"),
        ("attribute_dim", (), "expected 1 or 2 values, one for each attribute, got 0"),
        ("attribute_weight", (-1.0,), "expected a number of at least 0, got -1.0"),
        ("attribute_sizes", (0, 3), "expected an integer of at least 1, got 0"),
        ("attribute_lengths", (3,), "expected 2 values, one for each attribute, got 1"),
        ("attributes", "brand", "expected a tuple, got 'brand'"),
        ("attribute_dim", None, "expected a tuple, got None"),
        ("attribute_dim", {"brand": 16}, "expected a tuple, got {'brand': 16}"),
        ("attributes", ("brand",), "expected 2 values, one for each attribute, got 1"),
        ("dropout", 1.0, "expected a number in [0, 1), got 1.0"),
        ("attention_dropout", -0.1, "expected a number in [0, 1), got -0.1"),
        ("item_dropout", 1.0, "expected a number in [0, 1), got 1.0"),
        ("initializer_range", 0, "expected a number above 0, got 0"),
        ("fusion", "gated", "unknown value 'gated'; did you mean 'gate'?"),
        ("pooling", "avg", "unknown value 'avg'; choose from max, mean, sum"),
        ("activation", "gleu", "unknown value 'gleu'; did you mean 'gelu'?"),
        ("attribute_predictor", "liner", "unknown value 'liner'; did you mean 'linear'?"),
        ("item_loss", "CE", "unknown value 'CE'; choose from bpr, ce"),
    ],
)
def test_bad_arguments(name, value, expected):
    with pytest.raises(InputError) as caught:
        DIFSR(**SIZES | {name: value})
    assert str(caught.value) == f"{name}: {expected}"


def test_one_number_is_a_tuple_of_one():
    one = DIFSR(**SIZES | {"attribute_dim": 16, "attribute_weight": np.float32(2)})
    assert (one.attribute_dim, one.attribute_weight, one.label_weights) == ((16,), (2.0,), (2.0, 2.0))
    assert DIFSR(**SIZES | {"attribute_dim": np.array([4, 6])}).attribute_dim == (4, 6)
    single = DIFSR(1, 9, 3, 0, ("brand",), dim=8, num_heads=2, attribute_dim=4)
    assert single.get_config()["attribute_sizes"] == (3,)


@pytest.mark.parametrize("preset", sorted(PRESETS["dif_sr"]))
def test_presets(preset):
    arguments = PRESETS["dif_sr"][preset]["model"]
    config = DIFSR(**DIFSR.minimal_sizes | arguments).get_config()
    assert config | arguments == config
