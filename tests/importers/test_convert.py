import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tfrecs import staging
from tfrecs.command_line.originals import main
from tfrecs.importers import convert as converting
from tfrecs.runs.directory import load_model


@pytest.fixture
def run(golden, tmp_path, capsys):
    """Runs `convert`; gives (exit code, stdout, stderr)."""

    def convert(*flags, model="attrec", checkpoint=golden / "ckpt_attrec_a" / "model1.ckpt", out=tmp_path / "run"):
        argv = ["convert", "--model", model, "--checkpoint", str(checkpoint), "--out", str(out)]
        return main([*argv, *map(str, flags)]), *capsys.readouterr()

    return convert


@pytest.fixture
def save(tmp_path):
    """Writes arrays as a TensorFlow 1 checkpoint; gives its prefix."""

    def write(arrays):
        prefix = tmp_path / "other.ckpt"
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            variables = {name: tf.compat.v1.Variable(value, use_resource=False) for name, value in arrays.items()}
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver(variables).save(session, str(prefix), write_state=False)
        return prefix

    return write


def weights(path):
    with np.load(path) as file:
        return {key.removeprefix("weights/"): file[key] for key in file.files if key.startswith("weights/")}


def scores(model, path):
    with np.load(path) as file:
        inputs = {"user": file["input/user"], "history": file["input/hist_seq"]}
        inputs = {name: tf.constant(value, tf.int64) for name, value in inputs.items()}
        return -model.score(inputs, tf.range(model.num_items + 1)).numpy(), file["output/predict_score"]


def test_converted_scores_are_the_originals(run, golden, tmp_path):
    code, out, err = run("--neg_sample_count", 4)
    assert (code, err) == (0, "")
    assert out.count("equal bit for bit") == 4
    assert "AttRec/item_emb/Adam, " in out and "preset original" in out
    model = load_model(str(tmp_path / "run"))
    found, expected = scores(model, golden / "attrec_a.npz")
    assert found.shape == expected.shape == (6, 24)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert model.num_negatives == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_the_port_converts_too(run, save, golden, tmp_path):
    prefix = save(weights(golden / "attrec_port2024_w1.npz") | {"beta1_power": np.float32(0.9)})
    code, out, _ = run("--sequence_length", 3, "--w", 0.9, checkpoint=prefix)
    assert code == 0 and "preset port2024" in out
    found, expected = scores(load_model(str(tmp_path / "run")), golden / "attrec_port2024_w1.npz")
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)


def test_hyper_parameters(run, tmp_path):
    flags = ("--w", 0.6, "--gamma", 0.25, "--sequence_length", 4, "--keep_prob", 0.75, "--learning_rate", 0.02)
    assert run(*flags, "--grad_clip", 5)[0] == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    expected = {"user_weight": 0.6, "margin": 0.25, "max_history": 4, "dropout": 0.25, "num_targets": 3}
    expected |= {"num_users": 9, "num_items": 23, "embedding_dim": 8, "diagonal": "zeroed", "l2": 0.0}
    assert {name: config["model_arguments"][name] for name in expected} == expected
    training = {"learning_rate": 0.02, "global_clipnorm": 5.0, "epsilon": 1e-8, "exclude_seen": False}
    assert {name: config["train"][name] for name in training} == training
    assert (config["model"], config["preset"]) == ("attrec", "original")


@pytest.mark.parametrize(
    "flags, given, message",
    [
        ((), {"model": "atrec"}, "--model: unknown model 'atrec'; did you mean 'attrec'?"),
        ((), {"checkpoint": "none.ckpt"}, "--checkpoint none.ckpt: cannot be read: "),
        (("--gama", 1), {}, "unknown flag '--gama'; did you mean '--gamma'?"),
        (("--gamma", "x"), {}, "--gamma: expected a number, got 'x'"),
        (("--w", 1.5), {}, "--w: expected a number in [0, 1], got 1.5"),
        (("--embedding_size", 9), {}, "--embedding_size 9: the weights have 8"),
        (("--do_eval", 0), {}, "--do_eval: no hyper-parameter of attrec"),
    ],
)
def test_bad_input(run, tmp_path, flags, given, message):
    code, out, err = run(*flags, **given)
    assert (code, out) == (2, "")
    assert err.startswith("python -m tfrecs.importers: error: ") and message in err
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(run, tmp_path):
    (tmp_path / "run").mkdir()
    code, _, err = run()
    assert code == 2 and f"--out {tmp_path / 'run'}: exists" in err
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("change", ["missing", "left over", "shape", "no table"])
def test_the_porter_is_strict(run, save, golden, tmp_path, change):
    arrays = weights(golden / "attrec_a.npz")
    if change == "missing":
        del arrays["AttRec/item_rep_emb"]
    elif change == "left over":
        arrays["AttRec/bias"] = np.zeros(3, np.float32)
    elif change == "shape":
        arrays["AttRec/item_rep_emb"] = arrays["AttRec/item_rep_emb"][1:]
    else:
        arrays = {"w": np.zeros(3, np.float32)}
    prefix = save(arrays)
    code, _, err = run(checkpoint=prefix)
    assert code == 2 and str(prefix) in err
    expected = {
        "missing": "not known to it: none; missing here: ['AttRec/item_rep_emb']",
        "left over": "not known to it: ['AttRec/bias']; missing here: none",
        "shape": "AttRec/item_rep_emb has shape (23, 8), the model expects (24, 8)",
        "no table": "no table AttRec/item_emb; there are ['w']",
    }
    assert expected[change] in err
    assert not (tmp_path / "run").exists()


def test_a_damaged_checkpoint_is_named(run, golden, tmp_path):
    for path in (golden / "ckpt_attrec_a").iterdir():
        shutil.copyfile(path, tmp_path / path.name)
    data = tmp_path / "model1.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    code, _, err = run(checkpoint=tmp_path / "model1.ckpt")
    assert code == 2 and "model1.ckpt: cannot be read: " in err


def test_what_is_written_is_read_back(run, monkeypatch, tmp_path):
    def load_wrong(run_dir):
        model = load_model(run_dir)
        table = model.users.embeddings.numpy()
        table[3, 2] = np.nextafter(table[3, 2], np.float32(9))
        model.users.embeddings.assign(table)
        return model

    monkeypatch.setattr(converting, "load_model", load_wrong)
    code, out, err = run()
    assert code == 2 and "AttRec/user_rep_emb read back is not what was written" in err
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_conversion_left_is_removed_by_the_next(run, monkeypatch, tmp_path):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(converting, "load_model", kill)
        patch.setattr(staging, "_clean_up", lambda root: None)  # as SIGKILL leaves it
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            run()
    assert [path.name for path in tmp_path.iterdir()] == [".run.tfrecs-staging"]
    assert run()[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_nothing_is_left_of_a_failure(run, monkeypatch, tmp_path):
    def fail(source, target, flags):
        assert os.path.dirname(os.path.dirname(source)) == os.path.dirname(target)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging, "_rename", fail)
    code, _, err = run()
    assert code == 2 and "cannot be written: No space left on device" in err
    assert list(tmp_path.iterdir()) == []
