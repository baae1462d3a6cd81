"""ARERec's original, met and converted."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfrecs.command_line.originals import main
from tfrecs.errors import InputError
from tfrecs.importers import arerec
from tfrecs.importers.check import TOLERANCE, check
from tfrecs.importers.convert import convert
from tfrecs.runs.directory import load_model

FILES = ["arerec_a_attention.npz", "arerec_b_noattention.npz", "arerec_regularised.npz", "arerec_region1_seq1.npz"]
CHECKPOINT = ("ckpt_arerec_a_attention", "cp-0002.ckpt")


@pytest.mark.parametrize("name", FILES)
def test_the_original_is_met(golden, name):
    report = check(str(golden / name))
    assert report.passed, str(report)
    assert max(report.outputs, report.loss) < 5e-6
    assert report.rounded <= 8  # the key's bias, whose gradient is 0 but for rounding


@pytest.mark.parametrize(
    "changes, kinds",
    [
        ({"padding_floor": False}, ("outputs",)),
        ({"probability_floor": 0.01}, ("loss",)),
        ({"l2": (1e-3,) * 5}, ("gradients",)),
        ({"loss_reduction": "sum"}, ("gradients",)),
    ],
)
def test_a_wrong_implementation_fails(golden, monkeypatch, changes, kinds):
    build = arerec.build
    monkeypatch.setattr(arerec, "build", lambda weights, arguments: build(weights, arguments | changes))
    monkeypatch.setattr("tfrecs.importers.steps.PERTURBED_RUNS", 1)
    report = check(str(golden / FILES[0]))
    assert set(kinds) <= {kind for kind, limit in TOLERANCE.items() if getattr(report, kind) > limit}, str(report)


def other_config(**changes):
    return lambda config: np.array(json.dumps(json.loads(str(config)) | changes))


@pytest.mark.parametrize(
    "key, change, message",
    [
        ("config", other_config(dropout=[0.5] + [0] * 8), r"dropout \[0.5, 0, 0"),
        ("config", other_config(optimizer="tf.keras RMSprop"), "RMSprop"),
        ("config", other_config(num_heads=3), "num_heads: 3 heads do not divide embedding_dim 8"),
        ("weights/K_user_item:0", lambda table: None, "no K_user_item:0 of rank 3"),
        ("weights/K_item_user:0", lambda table: table[1:], "shape"),
        ("input/item_user_sequence_index", lambda units: None, "no 'item_user_sequence_index'"),
    ],
)
def test_cases_that_are_not_supported(altered, key, change, message):
    with pytest.raises(InputError, match=message):
        check(altered(FILES[0], key, change))


def test_a_checkpoint_converts(golden, tmp_path, capsys):
    """Names are derived from the checkpoint's own keys; the recorded probabilities come out."""
    with np.load(golden / FILES[0]) as file:
        arrays = {name: file[name] for name in file.files}
    lists = json.loads(str(arrays["config"]))["item_user_sequences"]
    tables = {
        "itemId": np.array([int(item) for item in reversed(lists)]),
        "item_user_sequence": np.array([(lists[item] + [0] * 9)[:9] for item in reversed(lists)]),
    }
    np.savez(tmp_path / "lists.npz", **tables)
    argv = ["convert", "--model", "arerec", "--checkpoint", golden.joinpath(*CHECKPOINT), "--out", tmp_path / "run"]
    assert main([*map(str, argv), "--max_seq", "5", "--tables", str(tmp_path / "lists.npz")]) == 0
    out = capsys.readouterr().out
    assert out.count("equal bit for bit") == 14 and "neighbour lists: 34 places of 9 items" in out
    model = load_model(str(tmp_path / "run"))
    inputs = {name: tf.constant(arrays[f"input/{name}"], tf.int64) for name in ("user", "item")}
    np.testing.assert_allclose(tf.nn.softmax(model.logits(inputs)), arrays["output/prob"], atol=1e-5)
    expected = arrays["output/prob"] @ np.arange(1.0, 6.0)
    np.testing.assert_allclose(model.score(inputs, inputs["item"][:, None])[:, 0], expected, atol=1e-5)
    np.testing.assert_array_equal(model.lists(inputs["item"])[0], arrays["input/item_user_sequence_index"])


def test_without_lists_it_says_so(golden, tmp_path):
    converted = convert("arerec", str(golden.joinpath(*CHECKPOINT)), str(tmp_path / "run"), {"num_heads": 4})
    assert converted.arguments["num_heads"] == 4 and "neighbour lists: none" in str(converted)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"rating_classes": (1, 2)}, "^rating_classes: the weights have 5 classes, got 2"),
        ({"embedding_dim": 16}, "^embedding_dim 16: the weights have 8"),
        ({"region_size": 5}, "^region_size 5: the weights have 7"),
    ],
)
def test_contradictions(golden, tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        convert("arerec", str(golden.joinpath(*CHECKPOINT)), str(tmp_path / "run"), given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "items, users, message",
    [
        ([1, 99], [[1], [2]], "itemId: expected ids from 1 to 9, got 99"),
        ([1, 2], [[1], [-1]], r"item_user_sequence: expected ids from 0 to \d+, got -1"),
        ([1, 2], [[1], [999]], r"item_user_sequence: expected ids from 0 to \d+, got 999"),
        ([1, 2], [[1]], "itemId has 2 entries, item_user_sequence 1"),
        ([1, 2], [1, 2], "cannot be used: too many indices"),
    ],
)
def test_lists_that_do_not_fit_are_named(golden, tmp_path, items, users, message):
    path = tmp_path / "lists.npz"
    np.savez(path, itemId=items, item_user_sequence=users)
    with pytest.raises(InputError, match=f"^tables {path}: {message}"):
        convert("arerec", str(golden.joinpath(*CHECKPOINT)), str(tmp_path / "run"), tables=str(path))
    assert list(tmp_path.iterdir()) == [path]


def test_another_models_checkpoint_is_refused(golden, tmp_path):
    with pytest.raises(InputError, match="not ARERec's weights: no user_embedding/embeddings:0"):
        convert("arerec", str(golden / "ckpt_attrec_a" / "model1.ckpt"), str(tmp_path / "run"))
