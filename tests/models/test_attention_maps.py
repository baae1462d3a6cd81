"""Attention weights are those of the scores: with them, the layers' outputs come out again."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.arerec.test_arerec import TestARERec as ARERecCase
from tests.models.atrank.test_atrank import TestATRank as ATRankCase
from tests.models.attrec.test_attrec import TestAttRec as AttRecCase
from tests.models.dif_sr.test_dif_sr import DIFSRCase
from tests.models.sasrec.test_sasrec import SASRecCase
from tfrecs.errors import InputError
from tfrecs.layers.masks import last_valid
from tfrecs.models.recommender import SequentialRecommender

BATCH = 6
CANDIDATES = np.arange(2, 2 + BATCH)


@pytest.fixture(params=[ARERecCase, ATRankCase, AttRecCase, DIFSRCase, SASRecCase], ids=lambda case: case.cls.__name__)
def case(request):
    return request.param()


def made(case, **arguments):
    case = case()
    return case.make(**arguments), case.inputs(np.random.default_rng(0), BATCH)


def score_of(vector, model, items):
    return np.einsum("bd,bd->b", vector, model.item_vectors().numpy()[items - 1])


def heads_of(layer, values, num_heads):
    """A projection `[batch, time, dim]` as `[batch, heads, time, dim / heads]`."""
    return np.stack(np.split(layer(values).numpy(), num_heads, axis=2), axis=1)


def read(weights, values):
    """Weighted sums, the heads side by side again."""
    return np.concatenate(list(np.moveaxis(weights.numpy() @ values, 1, 0)), axis=2)


def test_attrec_means_the_vectors_of_the_window():
    model, inputs = made(AttRecCase)
    (found,) = model.attention_weights(inputs)
    history = inputs["history"]
    values = model.items_short.embeddings.numpy()[history] * (history > 0)[:, :, None]
    sums = found.weights.numpy()[:, 0] @ values
    mean = sums.sum(axis=1) / np.maximum((history > 0).sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(model.encode(inputs)["intent"], mean, atol=1e-6)
    assert not found.weights.numpy()[:, 0].diagonal(axis1=1, axis2=2)[(history > 0).sum(axis=1) > 1].any()


@pytest.mark.parametrize("normalization", ["post", "pre", "pre_residual"])
def test_sasrec(normalization):
    model, inputs = made(SASRecCase, num_layers=1, normalization=normalization)
    (found,) = model.attention_weights(inputs)
    attention, history = model.encoder.attentions[0], inputs["history"]
    x = model.items(history) + model.positions(np.arange(history.shape[1]))[None]
    x = model.encoder.norm(x) if normalization == "post" else x
    normed = x if normalization == "post" else attention.norm(x)
    values = heads_of(attention.value, x if normalization == "pre_residual" else normed, model.num_heads)
    added = attention.output_projection(read(found.weights, values))
    x = attention.norm(added + x) if normalization == "post" else added + (x if normalization == "pre" else normed)
    x = model.encoder.feed_forwards[0](x)
    x = x if normalization == "post" else model.encoder.norm(x)
    vector = last_valid(x, tf.constant(history > 0)).numpy()
    expected = model.score(inputs, CANDIDATES[:, None]).numpy()[:, 0]
    np.testing.assert_allclose(score_of(vector, model, CANDIDATES), expected, atol=1e-5)


@pytest.mark.parametrize("fusion", ["sum", "concat", "gate"])
def test_dif_sr(fusion):
    model, inputs = made(DIFSRCase, fusion=fusion)
    (found,) = model.attention_weights(inputs)
    attention, history = model.encoder.attentions[0], inputs["history"]
    x = model.encoder.norm(tf.gather(tf.pad(model.item_vectors(), [[1, 0], [0, 0]]), history))
    added = attention.projections["output"](
        read(found.weights, heads_of(attention.projections["value"], x, model.num_heads))
    )
    x = model.encoder.feed_forwards[0](attention.norm(added + x))
    vector = last_valid(x, tf.constant(history > 0)).numpy()
    expected = model.score(inputs, CANDIDATES[:, None]).numpy()[:, 0]
    np.testing.assert_allclose(score_of(vector, model, CANDIDATES), expected, atol=1e-5)


def block_output(block, x, weights, memory):
    """The rest of a `LatentAttentionBlock` after its weights."""
    x = block.norms[0](x + read(weights, np.moveaxis(memory["values"].numpy(), 2, 1)))
    return block.norms[1](x + block.outer(block.inner(x)))


@pytest.mark.parametrize("num_blocks", [1, 2])
def test_atrank(num_blocks):
    """From the behaviours' vectors to the score, block by block."""
    model, inputs = made(ATRankCase, num_blocks=num_blocks)
    maps = model.attention_weights(inputs, CANDIDATES)
    assert [(found.query, found.key) for found in maps] == (
        [("history", "history")] * num_blocks + [("candidate", "history")] * num_blocks
    )
    history = tf.constant(inputs["history"])
    groups = tf.maximum(inputs["action"], 1)
    s = model.behaviours(model.objects(history), groups, tf.constant(inputs["action"]), tf.constant(inputs["bucket"]))
    for found, block in zip(maps, model.self_attention):
        s = block_output(block, s, found.weights, block.memorize(s))
    h = e = model.candidates(model.objects(CANDIDATES[:, None]))
    for found, block in zip(maps[num_blocks:], model.candidate_attention):
        e = block_output(block, e, found.weights, block.memorize(s))
    scores = np.einsum("bid,bid->b", e, h) + model.item_bias.numpy()[CANDIDATES]
    np.testing.assert_allclose(scores, model.score(inputs, CANDIDATES[:, None]).numpy()[:, 0], atol=1e-5)
    without = model.attention_weights(inputs)
    assert [found.layer for found in without] == [found.layer for found in maps[:num_blocks]]


@pytest.mark.parametrize("neighbours", ["earlier", "all"])
def test_arerec_weighs_the_neighbours_that_count(neighbours):
    model, inputs = made(ARERecCase, neighbours=neighbours)
    (found,) = model.attention_weights(inputs, CANDIDATES)
    users, times = (value.numpy() for value in model.lists(CANDIDATES)[1:])
    earlier = (times < inputs["now"][:, None]) & (users != inputs["user"][:, None])
    counts = (users > 0) & (earlier | (neighbours == "all"))
    np.testing.assert_array_equal(found.key_ids, users * counts)
    weights, vectors = model.attend(inputs["user"], tf.constant(users), tf.constant(counts))
    np.testing.assert_allclose(found.weights[:, :, 0], weights.numpy() * counts.any(axis=1)[:, None, None], atol=1e-6)
    combined = model.attention.combine(found.weights[:, :, 0], tf.gather(model.users.value, users))
    np.testing.assert_allclose(combined.numpy()[counts], vectors.numpy()[counts], atol=1e-6)


def test_what_the_attention_reads_is_given_and_nothing_else(case):
    model, inputs = made(type(case))
    if "history" not in model.attention_reads:
        with pytest.raises(InputError, match="^candidate: the attention of ARERec starts from an item"):
            model.attention_weights(inputs)
    if "candidate" in model.attention_reads:
        with pytest.raises(InputError, match="^candidate: expected ids, integers from 0 to"):
            model.attention_weights(inputs, [99] * BATCH)


def test_padding_that_a_preset_attends_keeps_its_weight():
    model = AttRecCase().make(mask_padding=False)
    (found,) = model.attention_weights({"user": np.array([1]), "history": np.array([[3, 5, 0, 0]])})
    weights = found.weights.numpy()[0, 0]
    assert (weights[:2, 2:] > 0).all() and not weights[2:].any()
    np.testing.assert_allclose(weights[:2].sum(axis=1), 1, atol=1e-6)


def test_a_model_without_attention_says_so():
    model = SequentialRecommender(3, 4)
    with pytest.raises(InputError, match="^SequentialRecommender has no attention weights"):
        model.attention_weights({"history": np.array([[1, 2]])})
