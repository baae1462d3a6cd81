"""ATRank in the shared harness, and what is its own."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.harness import ModelCase, variant
from tfrecs.errors import InputError
from tfrecs.models import declarations
from tfrecs.models.atrank import ATRank
from tfrecs.models.atrank.arguments import WITHOUT_EFFECT

SIZES = {
    "num_users": 7,
    "num_items": 13,
    "attribute_sizes": (4, 5),
    "attribute_lengths": (0, 3),
    "num_actions": 2,
    "num_groups": 2,
    "item_dim": 6,
    "attribute_dim": 3,
    "action_dim": 0,
    "time_dim": 4,
    "num_buckets": 12,
    "time_unit": 86400.0,
    "num_negatives": 1,
    "hidden_units": 8,
    "num_heads": 2,
    "max_history": 4,
}
NO_TIME = {"time": "none"} | {
    name: declarations.defaults("atrank")[name] for name, (other, _) in WITHOUT_EFFECT.items() if other == "time"
}


class TestATRank(ModelCase):
    cls = ATRank
    arguments = SIZES

    def make(self, seed=0, **arguments):
        model = super().make(seed, **arguments)
        random = np.random.default_rng(seed)
        for table, size in zip(model.objects.tables, SIZES["attribute_sizes"]):
            values = random.integers(0, size + 1, table.values.shape)
            values[0] = 0
            table.values.assign(values)
        model.item_bias.assign(random.normal(size=14) * 0.1)
        return model

    def layer_inputs(self, model):
        return model.objects, [np.array([[3, 5, 0], [13, 2, 9]])]

    def inputs(self, random, batch):
        lengths = np.arange(batch)[::-1] % 5
        real = np.arange(4) < lengths[:, None]
        return {
            "history": random.integers(1, 14, (batch, 4)) * real,
            "bucket": random.integers(-1, 14, (batch, 4)) * real,
            "action": random.integers(0, 3, (batch, 4)) * real,
        }

    def examples(self, random, batch):
        labels = np.tile(np.array([[1, 0, 0]], np.float32), (batch, 1))
        return self.inputs(random, batch) | {"targets": random.integers(1, 14, (batch, 3)), "labels": labels}

    def lengthen(self, model, inputs):
        longer = {name: np.pad(value, [(0, 0), (0, 5)]) for name, value in inputs.items()}
        longer["bucket"][:, 4:] = 9  # what is behind padding is not read
        longer["action"][:, 4:] = 2
        return self.make(), longer


@variant
@pytest.mark.slow
class TestTwoBlocks(TestATRank):
    """Dot similarity, two blocks, kinds of objects as groups, actions as a feature."""

    arguments = {name: value for name, value in SIZES.items() if name != "time_dim"} | {
        "similarity": "dot",
        "num_blocks": 2,
        "object_type": "kind",
        "action_dim": 3,
        "time": "one_hot",
    }
    arguments |= {"candidate": "group", "attribute_values": 2, "num_buckets": 5, "activation_penalty": 1e-3}

    def make(self, seed=0, **arguments):
        model = super().make(seed, **arguments)
        model.kinds.values.assign(np.array([0, *[1, 2] * 6, 1])[:, None])
        return model


@pytest.fixture(scope="module")
def case():
    return TestATRank()


ITEMS = np.arange(1, 14)


def test_what_is_behind_padding_changes_nothing(case):
    model, inputs = case.make(), case.inputs(np.random.default_rng(0), 6)
    before = model.score(inputs, ITEMS).numpy()
    table = model.objects.items.numpy()
    table[0] = 0.7
    model.objects.items.assign(table)
    np.testing.assert_array_equal(model.score(inputs, ITEMS), before)
    trimmed = {name: value[3:, :2] for name, value in inputs.items()}  # lengths 2, 1, 0
    np.testing.assert_allclose(model.score(trimmed, ITEMS), before[3:], atol=1e-6)


@pytest.mark.parametrize("name", ["history", "bucket", "action"])
def test_every_feature_of_a_behaviour_counts(case, name):
    model, inputs = case.make(), case.inputs(np.random.default_rng(0), 6)
    before = model.score(inputs, ITEMS).numpy()
    changed = inputs[name].copy()
    changed[1, 0] = changed[1, 0] % 2 + 1
    after = model.score(inputs | {name: changed}, ITEMS).numpy()
    differs = np.abs(after - before).max(axis=1) > 1e-4
    assert differs.tolist() == [row == 1 for row in range(6)]


def test_an_attribute_is_the_mean_of_its_values(case):
    model = case.make()
    vectors = model.objects.attributes[1].embeddings.numpy()
    model.objects.tables[1].values.assign(np.array([[0, 0, 0], [2, 5, 0], [3, 0, 0], *[[0, 0, 0]] * 11]))
    found = model.objects(np.array([1, 2, 3])).numpy()[:, -3:]
    np.testing.assert_allclose(found, [(vectors[2] + vectors[5]) / 2, vectors[3], np.zeros(3)], atol=1e-7)


def test_times_of_groups_are_apart(case):
    """Equal buckets of two actions have different vectors: with projections alike, the actions still differ."""
    model = case.make()
    first, second = model.behaviours.projection.layers
    for ours, theirs in zip(second.weights, first.weights, strict=True):
        ours.assign(theirs)
    inputs = {"history": np.array([[5], [5]]), "bucket": np.array([[3], [3]]), "action": np.array([[1], [2]])}
    found = model.score(inputs, ITEMS).numpy()
    assert np.abs(found[0] - found[1]).max() > 1e-5
    inputs["bucket"][:] = -1  # not known
    found = model.score(inputs, ITEMS).numpy()
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_scores_follow_the_equations():
    """Bilinear attention of one history in numpy, from the weights."""
    model = TestATRank().make(num_actions=0, num_groups=1, attribute_sizes=(), attribute_lengths=(), **NO_TIME)
    history, item = [3, 7, 3], 9
    v = {"items": model.objects.items.numpy(), "candidate": [w.numpy() for w in model.candidates.weights]}
    s = v["items"][history] @ model.behaviours.projection.layers[0].kernel.numpy()
    s += model.behaviours.projection.layers[0].bias.numpy()
    s = block(model.self_attention[0], s, s)
    h = (v["items"][[item]] @ v["candidate"][0] + v["candidate"][1]).astype(np.float64)
    e = block(model.candidate_attention[0], h, s)
    expected = (e * h).sum() + model.item_bias.numpy()[item]
    found = model.score({"history": np.array([[*history, 0]])}, np.array([item])).numpy()
    np.testing.assert_allclose(found, [[expected]], atol=1e-5)


def block(layer, x, s):
    def dense(part, values):
        return values @ part.kernel.numpy().astype(np.float64) + part.bias.numpy()

    def norm(part, values):
        centred = values - values.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-8)
        return scaled * part.gamma.numpy() + part.beta.numpy()

    query, value = (np.maximum(dense(part, of), 0) for part, of in ((layer.query, x), (layer.value, s)))
    read = []
    for space, matrix in enumerate(layer.bilinear.numpy().astype(np.float64)):
        columns = slice(4 * space, 4 * space + 4)
        similarity = np.exp(query[:, columns] @ matrix @ s.T)
        read.append(similarity / similarity.sum(axis=1, keepdims=True) @ value[:, columns])
    x = norm(layer.norms[0], x + np.concatenate(read, axis=1))
    return norm(layer.norms[1], x + dense(layer.outer, np.maximum(dense(layer.inner, x), 0)))


@pytest.mark.parametrize("sum_penalty", [True, False])
def test_the_penalty_is_on_activations(case, sum_penalty):
    model = case.make(activation_penalty=0.5, sum_penalty=sum_penalty)
    examples = {name: tf.constant(value) for name, value in case.examples(np.random.default_rng(0), 6).items()}
    scores, e, h, _ = model.match(model.encode(examples), examples["targets"])
    labels = examples["labels"].numpy()
    probability = 1 / (1 + np.exp(-scores.numpy().astype(np.float64)))
    entropy = -np.log(labels * probability + (1 - labels) * (1 - probability))
    squares = 0.5 * ((e.numpy() ** 2).sum(axis=2) + (h.numpy() ** 2).sum(axis=2)) / 2
    terms, weights = model.loss_terms(examples)
    np.testing.assert_allclose(terms, entropy + squares * (squares.size if sum_penalty else 1), rtol=1e-4)
    assert np.all(weights == 1)
    summed = case.make(activation_penalty=0.5, sum_penalty=sum_penalty, loss_reduction="sum")
    summed.set_weights(model.get_weights())
    np.testing.assert_allclose(tf.reduce_sum(summed.loss_terms(examples)[0]), (entropy + squares).sum(), rtol=1e-4)


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("num_heads", 3, "expected a divisor of the 8 hidden units, got 3"),
        ("hidden_units", -1, "expected an integer of at least 0, got -1"),
        ("item_dim", 0, "expected an integer of at least 1, got 0"),
        ("dropout", 1.0, "expected a number in [0, 1), got 1.0"),
        ("time", "hot", "unknown value 'hot'"),
        ("candidate", "row", "unknown value 'row'; did you mean 'raw'?"),
        ("similarity", "dots", "unknown value 'dots'; did you mean 'dot'?"),
        ("bucket_rule", "dubling", "unknown value 'dubling'; did you mean 'doubling'?"),
        ("time_unit", 0.0, "expected a number above 0, got 0.0"),
        ("activation_penalty", -1e-5, "expected a number of at least 0, got -1e-05"),
        ("attributes", "genres", "expected a tuple, got 'genres'"),
        ("attribute_sizes", None, "expected a tuple, got None"),
        ("max_history", 0, "expected an integer of at least 1, got 0"),
    ],
)
def test_bad_arguments(name, value, expected):
    with pytest.raises(InputError) as raised:
        ATRank(**SIZES | {name: value})
    assert str(raised.value).startswith(f"{name}: {expected}")


def test_a_raw_candidate_is_as_wide_as_the_behaviours():
    assert ATRank(**SIZES | {"candidate": "raw", "hidden_units": 0}).self_attention[0].dim == 12
    with pytest.raises(InputError, match="^hidden_units: expected 0 or 12, .* got 8"):
        ATRank(**SIZES | {"candidate": "raw"})
