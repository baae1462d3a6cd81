"""The bias of items already in the history: in the shared harness as part of DIF-SR, in the loss, what it learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.dif_sr.test_dif_sr import ITEMS, SIZES, DIFSRCase
from tests.models.harness import variant
from tfrecs.command_line.arguments import parse
from tfrecs.models.presets import PRESETS


@variant
@pytest.mark.slow
class TestRepeatBias(DIFSRCase):
    arguments = SIZES | {"repeat_bias": True}


@pytest.fixture(scope="module")
def case():
    return TestRepeatBias()


ITEMS_ONLY = {"attribute_predictor": "none", "attribute_weight": (10.0,)}


@pytest.mark.parametrize("all_positions", [True, False])
@pytest.mark.parametrize("fusion", ["sum", "gate"])
def test_the_loss_with_a_repeat_bias_is_that_of_the_shifted_scores(case, fusion, all_positions):
    model = case.make(fusion=fusion, all_positions=all_positions, **ITEMS_ONLY)
    model.repeat_bias_layer.weight.assign(-0.13)
    history, targets = np.array([[3, 5, 3, 2], [1, 12, 0, 0]]), np.array([[5, 3, 2, 9], [12, 1, 0, 0]])
    ends = [(row, end) for row in range(2) for end in range(4) if targets[row, end]]
    if not all_positions:
        ends, targets = [(0, 3), (1, 1)], np.array([[5], [13]])
    examples = {"history": tf.constant(history), "targets": tf.constant(targets)}
    found = model.loss_terms(examples)[0].numpy()
    expected = []
    for row, end in ends:
        scores = model.score({"history": tf.constant(history[row : row + 1, : end + 1])}, ITEMS).numpy()[0]
        target = targets[row, end if all_positions else 0]
        expected.append(np.log(np.exp(scores).sum()) - scores[target - 1])
        model.repeat_bias_layer.weight.assign(0.0)
        plain = model.score({"history": tf.constant(history[row : row + 1, : end + 1])}, ITEMS).numpy()[0]
        model.repeat_bias_layer.weight.assign(-0.13)
        met = np.isin(ITEMS, history[row, : end + 1])
        np.testing.assert_allclose(scores - plain, -1.3 * met, atol=1e-5)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_repeat_bias_learns_what_users_do(case):
    """Nobody takes an item twice: the bias falls. Everybody does: it rises."""
    histories = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
    for targets, sign in ((np.roll(histories, -1, axis=1), -1), (histories, 1)):
        targets = targets * (np.arange(4) < 3)
        for loss in ("ce", "bpr"):
            model = case.compiled(item_loss=loss, optimizer=keras.optimizers.SGD(0.01))
            negatives = histories[[1, 2, 0]] if sign > 0 else np.roll(histories, 1, axis=1) * (np.arange(4) > 0)
            negatives = np.maximum(negatives, 1)
            dataset = tf.data.Dataset.from_tensors({"history": histories, "targets": targets, "negatives": negatives})
            model.fit(dataset, epochs=3, verbose=0)
            assert np.sign(model.repeat_bias_layer.weight.numpy()) == sign


def test_no_preset_excludes_seen_items_by_the_bias():
    """Under `recbole`, which keeps seen items, such a row could not be compared with published ones."""
    for preset in PRESETS["dif_sr"]:
        assert not arguments_of(preset).get("repeat_bias", False)
        assert arguments_of(preset, "--repeat_bias", "1")["repeat_bias"]


def arguments_of(preset, *flags):
    return parse(["--model", "dif_sr", "--preset", preset, *flags]).recipe.model_arguments


def test_everything_but_the_bias_trains_as_without_it(case):
    weights = []
    for repeat_bias in (False, True):
        model = case.compiled(repeat_bias=repeat_bias, optimizer=keras.optimizers.SGD(0.1), **ITEMS_ONLY)
        examples = case.examples(np.random.default_rng(1), 8)
        model.fit(tf.data.Dataset.from_tensor_slices(examples).batch(4), epochs=2, verbose=0)
        weights.append({v.path.partition("/")[2]: v.numpy() for v in model.trainable_variables if v.shape != ()})
    assert weights[0].keys() == weights[1].keys()
    for name, expected in weights[0].items():
        np.testing.assert_allclose(weights[1][name], expected, atol=1e-6, err_msg=name)
