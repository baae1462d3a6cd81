"""DIF-SR against its original: outputs, gradients, updates, checkpoints."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tfrecs.errors import InputError
from tfrecs.importers import dif_sr
from tfrecs.importers.__main__ import main
from tfrecs.importers.check import TOLERANCE, check
from tfrecs.training.runs import load_model

FILES = {  # and how many entries may lie above the tolerance for no reason but rounding
    "difsr_a_gate.npz": 10,
    "difsr_b_sum_2attr.npz": 120,  # the biases of keys: a softmax does not see them
    "difsr_concat_2attr.npz": 10,
    "difsr_bpr.npz": 10,
    "difsr_max.npz": 10,
}


@pytest.mark.parametrize("name", FILES)
def test_the_original_is_met(golden, name):
    report = check(str(golden / name))
    assert report.passed, str(report)
    assert report.rounded <= FILES[name]


def arguments(**changes):
    """A wrong model: constructor arguments on top of the golden file's."""
    described = dif_sr.described
    return lambda monkeypatch: monkeypatch.setattr(dif_sr, "described", lambda config: described(config) | changes)


def epsilon(monkeypatch):
    right = dif_sr.optimizer
    monkeypatch.setattr(dif_sr, "optimizer", lambda config: dif_sr.TorchAdam(float(right(config).learning_rate), 1e-4))


@pytest.mark.parametrize(
    "name, wrong, kind",
    [
        ("difsr_a_gate.npz", arguments(causal_fusion=True), "outputs"),
        ("difsr_a_gate.npz", arguments(pad_class=False), "loss"),
        ("difsr_a_gate.npz", arguments(attribute_weight=(10.01,)), "loss"),
        ("difsr_a_gate.npz", arguments(activation="swish"), "outputs"),
        ("difsr_a_gate.npz", arguments(pooling="mean"), "outputs"),
        ("difsr_a_gate.npz", epsilon, "updates"),
        ("difsr_b_sum_2attr.npz", arguments(mask_attributes=True), "outputs"),
        ("difsr_b_sum_2attr.npz", arguments(attribute_weight=(5, 2)), "loss"),
        ("difsr_concat_2attr.npz", arguments(causal_fusion=True), "outputs"),
        ("difsr_bpr.npz", arguments(item_loss="ce"), "loss"),
    ],
)
def test_a_wrong_implementation_fails(golden, monkeypatch, name, wrong, kind):
    wrong(monkeypatch)
    if kind != "updates":
        monkeypatch.setattr("tfrecs.importers.steps.PERTURBED_RUNS", 0)  # what rounding explains is not looked at
    report = check(str(golden / name))
    assert getattr(report, kind) > TOLERANCE[kind] and not report.passed, str(report)


@pytest.mark.parametrize(
    "key, change, message",
    [
        ("input/item_length", lambda lengths: lengths + 1, "item_length is not the number of items"),
        ("input/attribute_label/categories", lambda labels: labels * 0, "attribute_label/categories is not what"),
        ("input/item_attributes/categories", lambda table: None, "no 'item_attributes/categories'"),
        ("weights/ap.0.bias", lambda bias: None, r"missing here: \['ap.0.bias'\]"),
    ],
)
def test_cases_that_are_not_supported(altered, key, change, message):
    with pytest.raises(InputError, match=message):
        check(altered("difsr_a_gate.npz", key, change))


@pytest.fixture
def convert(golden, tmp_path, capsys):
    """Runs `convert`; gives (exit code, stdout, stderr)."""

    def run(*flags, checkpoint=golden / "ckpt_difsr_a_gate" / "SASRecD-trimmed.pth"):
        argv = ["convert", "--model", "dif_sr", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "run")]
        return main([*argv, *map(str, flags)]), *capsys.readouterr()

    return run


def test_converted_scores_are_the_originals(convert, golden, tmp_path):
    pytest.importorskip("torch")
    code, out, err = convert("--tables", golden / "difsr_a_gate.npz")
    assert (code, err) == (0, "")
    assert out.count("equal bit for bit") == 63 and "item attributes: from the tables given" in out
    model = load_model(str(tmp_path / "run"))
    with np.load(golden / "difsr_a_gate.npz") as file:
        history, expected = tf.constant(file["input/item_id_list"]), file["output/full_sort_scores"]
    found = model.score({"history": history}, tf.range(model.num_items + 1, dtype=tf.int64))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_conversion_without_tables_says_so(convert, tmp_path):
    pytest.importorskip("torch")
    code, out, _ = convert()
    assert code == 0 and "item_attributes/categories: in no checkpoint, give it with --tables" in out


def test_checkpoints_that_could_run_code_are_refused(convert, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "whole.pth"
    torch.save({"config": {}, "state_dict": {}, "other_parameter": {"list": torch.nn.ModuleList()}}, path)
    code, _, err = convert(checkpoint=path)
    assert code == 2 and "holds pickled objects, which could run code and are not read" in err
    torch.save({"config": {}}, path)
    assert "it has no ['state_dict', 'other_parameter']" in convert(checkpoint=path)[2]
    path.write_bytes(b"nothing")
    assert f"--checkpoint {path}: " in convert(checkpoint=path)[2]
    assert not (tmp_path / "run").exists()


def test_without_pytorch_it_is_named(convert, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = convert()
    assert code == 2 and "pip install tfrecs[torch]" in err
