"""ARERec in the shared harness, and what is its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.arerec.lists import ITEMS, TIMES, USERS, add_lists, enlarge, plain
from tests.models.harness import ModelCase, variant
from tfrecs.errors import InputError
from tfrecs.models.arerec import ARERec
from tfrecs.models.presets import PRESETS

SIZES = {"num_users": 9, "num_items": ITEMS, "num_units": 60, "embedding_dim": 6, "region_size": 3, "max_seq": 4}
SIZES |= {"dropout": (0.0,) * 9}


class TestARERec(ModelCase):
    cls = ARERec
    arguments = SIZES | {"num_heads": 3}

    def make(self, seed=0, **arguments):
        model = super().make(seed, **arguments)
        add_lists(model)
        enlarge(model)
        return model

    def inputs(self, random, batch):
        return {"user": random.integers(0, 10, batch), "now": random.integers(45, 60, batch)}

    def examples(self, random, batch):
        found = self.inputs(random, batch)
        return found | {"item": random.integers(1, 12, batch), "label": random.integers(0, 5, batch)}

    without_dropout = {"dropout": (0.0,) * 9}

    def layer_inputs(self, model):
        return model.lists, [np.array([[3, 5, 0], [11, 2, 9]])]

    def lengthen(self, model, inputs):
        return self.make(max_seq=11), inputs

    @pytest.mark.slow
    def test_xla_trains_alike(self):
        """By what the models say: the key's bias has no gradient but rounding, of which Adam makes whole steps."""
        found = []
        for jit_compile in (False, True):
            model = self.compiled(jit_compile)
            examples = self.examples(np.random.default_rng(1), 8)
            model.fit(tf.data.Dataset.from_tensor_slices(examples).batch(4), epochs=2, verbose=0)
            found.append(model.score(examples, np.arange(1, 12)))
        np.testing.assert_allclose(*found, atol=1e-4)


@variant
class TestOriginal(TestARERec):
    arguments = SIZES | {"neighbours": "all", "padding_floor": True, "probability_floor": 1e-7}

    def lengthen(self, model, inputs):
        return None  # one padded neighbour more is a floor of 0


@variant
class TestWithoutAttention(TestARERec):
    arguments = SIZES | {"use_attention": False}

    def test_attention_weights_are_shares_of_what_is_there(self, model, batch):
        with pytest.raises(InputError, match="use_attention=False: this ARERec has no attention weights"):
            model.attention_weights(batch, np.arange(1, 7))


@pytest.fixture(scope="module")
def case():
    return TestARERec()


VARIANTS = [
    {},
    {"use_attention": False},
    {"neighbours": "all", "padding_floor": True},
    {"neighbours": "all"},
    {"padding_floor": True, "use_attention": False},
    {"embedding_dim": 1, "num_heads": 1, "region_size": 1, "max_seq": 1},
    {"embedding_dim": 4, "num_heads": 4, "rating_classes": (0.5, 3.0)},
]


@pytest.mark.parametrize("arguments", VARIANTS)
def test_against_plain_numpy(case, arguments):
    """Pairs as in training and whole catalogues as in ranking, against loops over neighbours and regions."""
    model = case.make(**arguments)
    inputs = case.inputs(np.random.default_rng(4), 5)
    expected = np.array([[plain(model, *pair, item) for item in range(1, 12)] for pair in zip(*inputs.values())])
    ratings = expected @ np.array(model.rating_classes)
    np.testing.assert_allclose(model.score(inputs, np.arange(1, 12)), ratings, atol=2e-5)
    own = np.tile(np.arange(11, 0, -1), (5, 1))
    np.testing.assert_allclose(model.score(inputs, own), ratings[:, ::-1], atol=2e-5)
    pairs = {name: np.repeat(value, 11) for name, value in inputs.items()} | {"item": np.tile(np.arange(1, 12), 5)}
    np.testing.assert_allclose(tf.nn.softmax(model.logits(pairs)), expected.reshape(55, -1), atol=1e-5)
    value, likely = model.rate(pairs)
    np.testing.assert_allclose(value, ratings.ravel(), atol=2e-5)
    classes = np.array(model.rating_classes)
    np.testing.assert_array_equal(likely, classes[expected.reshape(55, -1).argmax(axis=1)])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("arguments", VARIANTS)
def test_gradients_are_those_of_the_whole_maximum(case, arguments, tied):
    """The sparse gradient equals the one TensorFlow finds through every neighbour, which tied ones share."""
    model = case.make(**arguments)
    if tied:
        model.items.assign(tf.zeros_like(model.items))  # all ratings are 0
    batch = {name: tf.constant(value) for name, value in case.examples(np.random.default_rng(5), 20).items()}
    batch["label"] %= len(model.rating_classes)
    sources = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        sparse = tf.reduce_mean(model.loss_terms(batch)[0])
    found = tape.gradient(sparse, sources, unconnected_gradients="zero")
    with tf.GradientTape() as tape:
        probabilities = through_every_neighbour(model, batch)
        whole = -tf.reduce_mean(tf.math.log(tf.gather(probabilities, batch["label"], batch_dims=1)))
    expected = tape.gradient(whole, sources, unconnected_gradients="zero")
    assert float(sparse) == pytest.approx(float(whole), rel=1e-5)
    for ours, theirs in zip(found, expected, strict=True):
        ours, theirs = tf.convert_to_tensor(ours).numpy(), tf.convert_to_tensor(theirs).numpy()
        np.testing.assert_allclose(ours, theirs, atol=2e-6 * max(1.0, np.abs(theirs).max()))
    rows = {variable.path: gradient for variable, gradient in zip(model.trainable_variables, found)}
    ties = model.max_seq if tied else 1
    for table in (model.region.for_item, model.region.for_user):
        assert rows[table.path].values.shape[0] == 20 * model.region_size * ties


def through_every_neighbour(model, batch):
    """Probabilities by way of `score_items`'s pieces, which read and differentiate every neighbour."""
    pairs = []
    for row in range(len(batch["user"])):
        query = model.encode({name: batch[name][row : row + 1] for name in ("user", "now")})
        pairs.append(model.probabilities(query, batch["item"][row : row + 1])[:, 0])
    return tf.concat(pairs, axis=0)


def test_blocks_score_alike(case, monkeypatch):
    model, inputs = case.make(), case.inputs(np.random.default_rng(0), 4)
    items, own = np.arange(1, 12), np.random.default_rng(1).integers(1, 12, (4, 7))
    whole = model.score(inputs, items).numpy(), model.score(inputs, own).numpy()
    for block in (1, 30, 250):
        monkeypatch.setattr("tfrecs.models.arerec.model.BLOCK", block)
        np.testing.assert_allclose(model.score(inputs, items), whole[0], atol=1e-6)
        np.testing.assert_allclose(model.score(inputs, own), whole[1], atol=1e-6)


def test_no_candidates_have_no_scores(case):
    """As a served request may ask; their number is not known to the graph."""
    model = case.make()
    inputs = case.inputs(np.random.default_rng(4), 5)
    score = tf.function(
        model.score,
        input_signature=[
            {"user": tf.TensorSpec([None], tf.int64), "now": tf.TensorSpec([None], tf.int64)},
            tf.TensorSpec([None, None], tf.int64),
        ],
    )
    for count in (0, 3):
        assert score(inputs, tf.ones([5, count], tf.int64)).shape == (5, count)


def test_what_comes_later_changes_nothing(case):
    """Neighbours at or after the moment, and the user among the neighbours, are not seen."""
    model = case.make()
    inputs = {"user": np.array([3, 3]), "now": np.array([50, 47])}
    before = model.score(inputs, np.arange(1, 12)).numpy()
    other = np.random.default_rng(0).integers(1, 10, len(USERS))
    add_lists(model, users=np.where(TIMES >= 50, other, USERS))
    np.testing.assert_array_equal(model.score(inputs, np.arange(1, 12)), before)
    add_lists(model, users=np.where(TIMES < 47, other, USERS))
    assert (np.abs(model.score(inputs, np.arange(1, 12)) - before).max(axis=1) > 1e-3).all()
    add_lists(model)
    row = model.users.numpy()
    row[3] += 1.0  # as a neighbour; the attention would ask otherwise too
    model.users.assign(row)
    model.attention.query.kernel.assign(np.zeros((6, 6)))
    alone = model.score(inputs, np.arange(1, 12)).numpy()
    row[3] -= 1.0
    model.users.assign(row)
    np.testing.assert_array_equal(model.score(inputs, np.arange(1, 12)), alone)


def test_without_a_moment_every_earlier_rating_counts(case):
    model = case.make()
    inputs = {"user": np.array([0, 2])}
    late = inputs | {"now": np.array([10**9, 10**9])}
    np.testing.assert_array_equal(model.score(inputs, np.arange(1, 12)), model.score(late, np.arange(1, 12)))


@pytest.mark.parametrize("preset", ["recommended", "original"])
def test_nobody_to_ask(preset):
    """Unknown users, items without neighbours, moments before everything: finite, by the classes' biases alone."""
    keras.utils.set_random_seed(0)
    model = ARERec(**SIZES | PRESETS["arerec"][preset]["model"] | {"embedding_dim": 6, "max_seq": 4})
    model.lists.fill(*np.zeros([2, 0], np.int64), np.zeros(ITEMS + 2, np.int64))
    model.classes.bias.assign([0.0, 0.0, 0.0, 0.0, np.log(4.0)])
    found = model.score({"user": np.array([0, 4]), "now": np.array([0, 99])}, np.arange(0, 12)).numpy()
    np.testing.assert_allclose(found, (1 + 2 + 3 + 4 + 4 * 5) / 8, atol=1e-6)
    add_lists(model)
    assert np.isfinite(model.score({"user": np.array([0])}, np.arange(0, 12))).all()


def test_clipped_probabilities():
    """Keras's loss of probabilities: at most -log(1e-7), and no gradient beyond."""
    model = ARERec(**SIZES | {"probability_floor": 1e-7})
    model.classes.bias.assign([0.0, 30.0, 0.0, 0.0, 0.0])
    batch = {"user": [1], "item": [2], "label": [0]}
    batch = {name: tf.constant(value, tf.int64) for name, value in batch.items()}
    with tf.GradientTape() as tape:
        terms, _ = model.loss_terms(batch)
    assert float(terms[0]) == pytest.approx(-np.log(1e-7), rel=1e-5)
    assert not tape.gradient(terms, model.classes.bias.value).numpy().any()


def test_dropout_hits_what_it_names(case):
    """Each rate alone changes training; the same mask finds and differentiates the highest neighbour."""
    batch = {name: tf.constant(value) for name, value in case.examples(np.random.default_rng(5), 20).items()}
    quiet = case.make().rating_vector(batch, training=True).numpy()
    for index in range(9):
        rates = [0.0] * 9
        rates[index] = 0.5
        model = case.make(dropout=rates)
        assert np.abs(model.rating_vector(batch, training=True) - quiet).max() > 0
        np.testing.assert_array_equal(model.rating_vector(batch), quiet)
    seeds = [v.path for v in model.non_trainable_variables if "seed" in v.path]
    assert seeds and all(path.endswith("seed_generator_state") for path in seeds)


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("embedding_dim", 7, "num_heads: 2 heads do not divide embedding_dim 7"),
        ("region_size", 0, "region_size: expected an integer of at least 1, got 0"),
        ("max_seq", -1, "max_seq: expected an integer of at least 1, got -1"),
        ("dropout", (0.5,) * 8, "dropout: expected 9 numbers, got 8: (0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)"),
        ("dropout", [0.0] * 8 + [1.0], "dropout: expected a number in [0, 1), got 1.0"),
        ("l2", None, "l2: expected a tuple, got None"),
        ("l2", 0.1, "l2: expected 5 numbers, got 1: 0.1"),
        ("l2", ("a",) * 5, "l2: expected numbers, got ('a', 'a', 'a', 'a', 'a')"),
        ("rating_classes", (2.0, 1.0), "rating_classes: expected increasing numbers, got (2.0, 1.0)"),
        ("rating_classes", (), "rating_classes: expected increasing numbers, got ()"),
        ("rating_classes", (1.0, float("nan")), "rating_classes: expected a finite number, got nan"),
        ("neighbours", "al", "neighbours: unknown value 'al'; did you mean 'all'?"),
        ("random_split", 1.0, "random_split: expected a number in [0, 1), got 1.0"),
        ("random_split_seed", -1, "random_split_seed: expected an integer of at least 0, got -1"),
        ("num_units", 0, "num_units: expected an integer of at least 1, got 0"),
    ],
)
def test_bad_arguments(name, value, expected):
    with pytest.raises(InputError) as caught:
        ARERec(**SIZES | {name: value})
    assert str(caught.value) == expected


def test_ratings_that_lie_close_together_do_not_tie_in_mixed_precision():
    """What is predicted in bfloat16 is told apart in float32: of logits in bfloat16, most would be equal."""
    model = TestARERec().make(dtype="mixed_bfloat16")
    kernel, bias = model.classes.trainable_variables
    kernel.assign(kernel * 1e-3)
    bias.assign(tf.linspace(2.0, 3.0, 5))
    user, item = np.repeat(np.arange(1, 7), ITEMS), np.tile(np.arange(1, ITEMS + 1), 6)
    vectors = tf.cast(model.rating_vector({"user": user, "item": item, "now": np.full(len(user), 60)}), tf.float32)
    scores = model.score({"user": np.arange(1, 7), "now": np.full(6, 60)}, np.arange(1, ITEMS + 1)).numpy()
    for row, found in enumerate(np.split(vectors.numpy(), 6)):
        assert len(set(scores[row])) >= 0.8 * len({tuple(vector) for vector in found}) > 1
