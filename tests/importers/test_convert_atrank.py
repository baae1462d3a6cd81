import json

import numpy as np
import pytest
import tensorflow as tf

from tfrecs import optimizers
from tfrecs.command_line.originals import main
from tfrecs.importers import atrank
from tfrecs.runs.checkpoints import Checkpoints
from tfrecs.runs.config import TrainConfig
from tfrecs.runs.directory import load_model


@pytest.fixture
def run(golden, tmp_path, capsys):
    """Runs `convert`; gives (exit code, stdout, stderr)."""

    def convert(*flags, checkpoint=golden / "ckpt_atrank_a" / "atrank-0"):
        argv = ["convert", "--model", "atrank", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "run")]
        return main([*argv, *map(str, flags)]), *capsys.readouterr()

    return convert


def group(path, prefix):
    with np.load(path) as file:
        return {key.removeprefix(prefix): file[key] for key in file.files if key.startswith(prefix)}


def test_converted_scores_are_the_originals(run, golden, tmp_path):
    path = golden / "atrank_a.npz"
    code, out, err = run("--tables", path)
    assert (code, err) == (0, "") and out.count("equal bit for bit") == len(group(path, "weights/"))
    assert "cate_list: taken from --tables" in out and "item ids are the original's plus 1" in out
    model = load_model(str(tmp_path / "run"))
    batch = atrank.batches(group(path, "input/"))[""]
    found = model.score_items(model.encode(batch), batch["targets"])[:, 0]
    np.testing.assert_allclose(found, group(path, "output/")["logits"], atol=1e-5)
    # Hyper-parameters that weights do not tell are read from the file beside them.
    assert (model.num_heads, model.num_users, model.activation_penalty) == (2, 9, 5e-5)


def test_without_tables_it_says_so(run, tmp_path):
    code, out, _ = run("--num_heads", 4, "--max_history", 20)
    assert code == 0 and "not in a checkpoint, and empty now: cate_list" in out
    model = load_model(str(tmp_path / "run"))
    assert (model.num_heads, model.max_history) == (4, 20) and not model.objects.tables[0].is_filled
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["train"]["optimizer"], config["train"]["global_clipnorm"]) == ("sgd", 5.0)
    # As `run.py --do_train 0` restores it, and `--load_model 1`.
    model.compile(optimizer=optimizers.create(TrainConfig(**config["train"])))
    model.optimizer.build(model.trainable_variables)
    assert Checkpoints(str(tmp_path / "run"), model).restore("cp-0000").epoch == 0


def test_several_kinds_of_objects(run, golden, tmp_path):
    path = golden / "atrank_multi_a2a.npz"
    prefix = tmp_path / "atrank-7"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        arrays = group(path, "weights/") | {"global_step": np.int32(7)}
        variables = {name: tf.compat.v1.Variable(value, use_resource=False) for name, value in arrays.items()}
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(variables).save(session, str(prefix), write_state=False)
    code, out, _ = run("--num_heads", 2, "--tables", path, checkpoint=prefix)
    assert code == 0 and "preset multi" in out
    model = load_model(str(tmp_path / "run"))
    assert (model.num_users, model.num_items, model.num_groups) == (4, 11 + 7 + 6, 3)
    for name, batch in atrank.batches(group(path, "input/")).items():
        found = model.score_items(model.encode(batch), batch["targets"])[:, 0]
        np.testing.assert_allclose(found, group(path, f"output/{name}")["logits"], atol=1e-5)


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--item_dim", 9), "--item_dim 9: the weights have 8"),
        (("--concat_time_emb", 0), "--time tanh: the weights have one_hot"),
        (("--num_heads", 3), "--num_heads: expected a divisor of the 16 hidden units, got 3"),
        (("--tables", "none.npz"), "--tables none.npz: cannot be read"),
    ],
)
def test_bad_input(run, tmp_path, flags, message):
    code, out, err = run(*flags)
    assert (code, out) == (2, "") and message in err
    assert not (tmp_path / "run").exists()


def test_wrong_tables_are_refused(run, tmp_path):
    for number, tables in enumerate(({"cates": [1]}, {"cate_list": np.full(23, 6)}, {"cate_list": np.zeros(5, int)})):
        path = tmp_path / f"{number}.npz"
        np.savez(path, **tables)
        code, _, err = run("--tables", path)
        assert code == 2 and f"--tables {path}: " in err and "cate_list" in err


def test_a_damaged_configuration_is_named(run, golden, tmp_path):
    for path in (golden / "ckpt_atrank_a").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "atrank-0.json").write_text("{")
    code, _, err = run(checkpoint=tmp_path / "atrank-0")
    assert code == 2 and "atrank-0.json: cannot be read" in err
