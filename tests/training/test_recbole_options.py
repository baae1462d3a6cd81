"""Options that RecBole has: weight decay, validation every few epochs, more cutoffs, the loss in parts."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrecs import optimizers
from tfrecs.errors import InputError
from tfrecs.evaluation.protocols import create
from tfrecs.layers.attributes import AttributeTable
from tfrecs.models.dif_sr import DIFSR
from tfrecs.runs.config import TrainConfig


def dif_sr(attribute_predictor="linear", **arguments):
    keras.utils.set_random_seed(0)
    sizes = dict(attribute_sizes=(3,), attribute_lengths=(2,), dim=8, num_heads=2, attribute_dim=(4,), dropout=0.0)
    model = DIFSR(4, 9, **sizes, attention_dropout=0.0, attribute_predictor=attribute_predictor, **arguments)
    for layer in model._flatten_layers():
        if isinstance(layer, AttributeTable):
            layer.values.assign(np.arange(20).reshape(10, 2) % 4)
    return model


EXAMPLES = {"history": tf.constant([[3, 5, 0], [2, 4, 6]], tf.int64), "targets": tf.constant([[5, 7, 0], [4, 6, 1]])}


def step(optimizer, weight_decay=0.0):
    """The weights before and after one update."""
    model = dif_sr()
    model.compile(optimizer=optimizers.create(TrainConfig(learning_rate=0.5, optimizer=optimizer)))
    model.weight_decay = weight_decay
    before = [variable.numpy().copy() for variable in model.trainable_variables]
    model.train_step({name: tf.cast(value, tf.int64) for name, value in EXAMPLES.items()})
    return before, [variable.numpy() for variable in model.trainable_variables]


def test_weight_decay_adds_the_weight_to_its_gradient():
    before, plain = step("sgd")
    _, decayed = step("sgd", weight_decay=0.1)
    for start, without, with_decay in zip(before, plain, decayed):
        # One step of gradient descent: -0.5 * (gradient + 0.1 * weight).
        np.testing.assert_allclose(with_decay - without, -0.5 * 0.1 * start, atol=2e-6)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adagrad", "adadelta"])
def test_further_optimizers_move_weights(optimizer):
    before, after = step(optimizer)
    assert all(np.isfinite(value).all() for value in after)
    assert any(np.abs(start - value).max() > 1e-6 for start, value in zip(before, after))


def test_the_parts_of_the_loss_add_up():
    model = dif_sr()
    terms, weights = model.loss_terms({name: tf.cast(value, tf.int64) for name, value in EXAMPLES.items()})
    total = float(tf.reduce_sum(terms * weights) / tf.reduce_sum(weights))
    parts = {name: float(mean.result()) for name, mean in zip(model.part_names, model.loss_parts)}
    assert list(parts) == ["item_loss", "attribute_0_loss"] and min(parts.values()) > 0
    assert sum(parts.values()) == pytest.approx(total, rel=1e-5)
    assert dif_sr(attribute_predictor="none").loss_parts == []


def test_layer_norm_epsilon_reaches_every_normalisation():
    history = {"history": EXAMPLES["history"]}
    scores = [dif_sr(layer_norm_epsilon=epsilon).score(history, tf.range(1, 10)) for epsilon in (1e-12, 1.0)]
    assert np.abs(scores[0] - scores[1]).max() > 1e-4
    norms = [layer for layer in dif_sr(layer_norm_epsilon=0.5)._flatten_layers() if "LayerNorm" in type(layer).__name__]
    assert len(norms) == 5 and {norm.epsilon for norm in norms} == {0.5}  # of the input, and two in each of two layers


def test_topk_adds_cutoffs():
    names = create(TrainConfig(topk=(3,), protocol="recbole")).names
    assert {"recall@3", "ndcg@3", "hr@3", "recall@10", "ndcg@50"} <= set(names)
    assert create(TrainConfig(topk=(1,), protocol="rated_list")).names[:2] == ("hr@1", "hr@3")
    with pytest.raises(InputError, match="^topk: expected integers of at least 1, got 0$"):
        TrainConfig(topk=(0,))


def test_validation_comes_every_few_epochs(command, tmp_path):
    code, _, stderr = command(tmp_path / "run", "--epochs", "3", "--eval_step", "2", "--do_eval", "0")
    assert code == 0, stderr
    with open(tmp_path / "run" / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["valid_ndcg@50"]) for row in rows] == [False, True, False]
    assert "  valid_ndcg@50 " in stderr, "the metric that chooses is shown"
    assert (tmp_path / "run" / "best-0002.index").exists()
