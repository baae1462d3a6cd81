"""DIF-SR against its original: outputs, gradients, updates, checkpoints."""

import contextlib
import fractions
import pickle
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from tests import pth
from tfrecs.command_line.originals import main
from tfrecs.errors import InputError
from tfrecs.importers import dif_sr, torch_files
from tfrecs.importers.check import TOLERANCE, check
from tfrecs.importers.dif_sr_names import LIST, TOKEN
from tfrecs.runs.directory import load_model

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
    described = dif_sr.arguments_from_config
    return lambda monkeypatch: monkeypatch.setattr(
        dif_sr, "arguments_from_config", lambda config: described(config) | changes
    )


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
    code, out, err = convert("--tables", golden / "difsr_a_gate.npz")
    assert (code, err) == (0, "")
    assert out.count("equal bit for bit") == 63 and "item attributes: filled" in out
    model = load_model(str(tmp_path / "run"))
    with np.load(golden / "difsr_a_gate.npz") as file:
        history, expected = tf.constant(file["input/item_id_list"]), file["output/full_sort_scores"]
    found = model.score({"history": history}, tf.range(model.num_items + 1, dtype=tf.int64))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_conversion_without_tables_says_so(convert, tmp_path):
    code, out, _ = convert()
    assert code == 0 and "item_attributes/categories: not in it, give it with --tables" in out


class Stand:
    """In place of a class of RecBole's, which is not there when the file is read."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


@contextlib.contextmanager
def importable(monkeypatch):
    """Pickles `Stand` as a class of RecBole's."""
    with monkeypatch.context() as context:
        recbole = types.ModuleType("recbole")
        recbole.Stand = Stand
        context.setitem(sys.modules, "recbole", recbole)
        context.setattr(Stand, "__module__", "recbole")
        yield


def test_what_recbole_saves_converts_as_it_is(convert, golden, tmp_path, monkeypatch):
    """Its objects lie in the file whole, with weights and item attributes that are in no `state_dict`."""
    saved = torch_files.load(str(golden / "ckpt_difsr_a_gate" / "SASRecD-trimmed.pth"))
    with np.load(golden / "difsr_a_gate.npz") as file:
        arrays = {key: file[key] for key in file.files}
    layers = {}
    for i, name in enumerate(saved["config"]["selected_features"]):
        token, several = (
            Stand(_parameters={"weight": saved["other_parameter"].get(key.format(i))}) for key in (TOKEN, LIST)
        )
        is_token = TOKEN.format(i) in saved["other_parameter"]
        values = arrays[f"input/item_attributes/{name}"]
        layers[str(i)] = Stand(
            token_embedding_table={"item": Stand(_modules={"embedding": token})} if is_token else {},
            token_seq_embedding_table={"item": Stand(_modules={} if is_token else {"0": several})},
            field_names={"item": [name]},
            item_feat=Stand(interaction={name: values, "item_id": np.arange(len(values))}),
            dataset=Stand(frame=[fractions.Fraction(1, 2)]),
        )
    saved["config"] = Stand(final_config_dict=saved["config"])
    saved["other_parameter"] = {"feature_embed_layer_list": Stand(_modules=layers)}
    with importable(monkeypatch):
        pth.save(saved, tmp_path / "SASRecD.pth")
    code, out, err = convert(checkpoint=tmp_path / "SASRecD.pth")
    assert (code, err) == (0, "") and out.count("equal bit for bit") == 63
    model = load_model(str(tmp_path / "run"))
    history = tf.constant(arrays["input/item_id_list"])
    found = model.score({"history": history}, tf.range(model.num_items + 1, dtype=tf.int64))
    np.testing.assert_allclose(found, arrays["output/full_sort_scores"], rtol=0, atol=1e-5)


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_no_code_of_a_checkpoint_is_run(convert, tmp_path):
    path, made = tmp_path / "whole.pth", tmp_path / "made"
    pth.save({"config": Touch(made), "state_dict": {}, "other_parameter": {"list": Touch(made)}}, path)
    assert f"--checkpoint {path}: " in convert(checkpoint=path)[2]
    assert not made.exists()
    pickle.loads(pth.parts({"config": Touch(made)})["archive/data.pkl"])["config"].close()
    assert made.exists(), "the file could do harm"


def test_other_files_are_named(convert, tmp_path, monkeypatch):
    path = tmp_path / "other.pth"
    pth.save({"config": {}}, path)
    assert "it has no ['state_dict', 'other_parameter']" in convert(checkpoint=path)[2]
    layers = {"feature_embed_layer_list": Stand(_modules={"0": Stand(weight=np.zeros(1))})}
    with importable(monkeypatch):
        pth.save({"config": {}, "state_dict": {}, "other_parameter": layers}, path)
    assert f"--checkpoint {path}: it has no 'token_embedding_table'" in convert(checkpoint=path)[2]
    pth.save({"config": {}, "state_dict": {}, "other_parameter": {}}, path)
    assert f"--checkpoint {path}: not DIF-SR's weights" in convert(checkpoint=path)[2]
    pth.write(path, {"archive/data.pkl": pickle.dumps({}, 2), "archive/constants.pkl": b""})
    assert f"--checkpoint {path}: cannot be read: a TorchScript program" in convert(checkpoint=path)[2]
    path.write_bytes(b"nothing")
    assert f"--checkpoint {path}: " in convert(checkpoint=path)[2]
    assert not (tmp_path / "run").exists()


def test_tables_that_do_not_fit_are_named(convert, golden, tmp_path):
    with np.load(golden / "difsr_a_gate.npz") as file:
        tables = {key: file[key] for key in file.files if key.startswith("input/item_attributes/")}
    path = tmp_path / "tables.npz"
    for change in (lambda values: values[1:], lambda values: values + 1000):
        np.savez(path, **{key: change(values) for key, values in tables.items()})
        code, _, err = convert("--tables", path)
        assert code == 2 and f"--tables {path}: item_attributes/" in err and "expected ids from 0 to" in err
    np.save(tmp_path / "tables.npy", np.arange(3))
    code, _, err = convert("--tables", tmp_path / "tables.npy")
    assert code == 2 and "tables.npy: cannot be read as .npz" in err


def test_a_configuration_that_lacks_something_is_named(convert, golden, tmp_path):
    saved = torch_files.load(str(golden / "ckpt_difsr_a_gate" / "SASRecD-trimmed.pth"))
    del saved["config"]["n_heads"]
    pth.save(saved, tmp_path / "less.pth")
    code, _, err = convert(checkpoint=tmp_path / "less.pth")
    assert code == 2 and "less.pth: its configuration lacks, or has no valid, 'n_heads'" in err
