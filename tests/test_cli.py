"""The command line as a whole: what it prints where, what it leaves, how it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as framework_config

import tfrecs
from data_prep.prepare import prepare
from tfrecs.command_line import run as cli
from tfrecs.progress import StageProgress
from tfrecs.runs import listing

SCRIPT = Path(__file__).parents[1] / "examples" / "run.py"
SMALL = ("--embedding_dim", "4", "--batch_size", "64", "--strategy", "none")


@pytest.fixture(autouse=True)
def as_it_was():
    """The command line makes TensorFlow deterministic and Keras seeded for good; other tests chose neither."""
    yield
    framework_config.disable_op_determinism()
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("prepared") / "data")
    prepare("sample", directory, StageProgress(None), num_users=60, num_items=60, mean_length=10, num_shards=2)
    return directory


@pytest.fixture
def command(capfd):
    def run(*flags):
        code = cli.main(["--model", "attrec", *map(str, flags)])
        return code, *capfd.readouterr()

    return run


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
    """A run of two phases: (directory, what it printed, its `metrics.json`)."""
    run_dir = tmp_path_factory.mktemp("trained") / "exactly" / "here"
    flags = ("--run_dir", run_dir, "--epochs", "3", "--learning_rate", "0.05", "--retrain", "1", "--tensorboard", "1")
    argv = ["--model", "attrec", "--data_dir", data_dir, *SMALL, *flags, "--num_recommendations", "3"]
    # A process of its own: what it prints is what a user sees.
    done = subprocess.run([sys.executable, SCRIPT, *argv], capture_output=True, text=True, cwd=run_dir.parents[1])
    assert done.returncode == 0, done.stderr
    return run_dir, done, json.loads((run_dir / "metrics.json").read_text())


def test_progress_goes_to_stderr_and_results_to_stdout(trained, data_dir):
    run_dir, done, _ = trained
    assert done.stdout.startswith(f"data: {data_dir}: sample, 60 users, 60 items, ")
    assert "epoch 1/3  loss " in done.stderr and "epoch 1/3" not in done.stdout
    assert "retraining on training and validation items" in done.stderr
    assert f"run directory: {run_dir} " in done.stdout
    assert "3 recommendations for user u" in done.stdout
    assert "Traceback" not in done.stderr
    for noise in ("local_rendezvous", "OUT_OF_RANGE", "cpu_feature_guard", "UserWarning"):
        assert noise not in done.stderr


def test_every_figure_says_what_it_holds_for(trained):
    _, done, metrics = trained
    lines = done.stdout.splitlines()
    title = next(number for number, line in enumerate(lines) if line.startswith("sample, test split"))
    assert lines[title] == (
        "sample, test split, 60 users, full_ranking, seen items excluded; equal timestamps in input order; attrec, "
        f"preset recommended, seed 0, epoch {metrics['best_epoch']} of 3, retrained on validation"
    )
    table = lines[title + 1 : title + 8]
    labels = ["", "attrec", "95 % low", "95 % high", "popularity", "transitions", "best reachable"]
    assert [line[:14].strip() for line in table] == labels
    assert len({len(line) for line in table}) == 1, "columns are aligned"
    assert table[1].split()[1] == f"{metrics['test_hr@5']:.4f}" and table[0].split()[0] == "hr@5"
    assert table[4].split()[-1] == f"{metrics['popularity_mrr']:.4f}"
    training = next(line for line in done.stderr.splitlines() if line.startswith("training:"))
    for part in ("sample", "full_ranking", "preset recommended", "seed 0", "at most 3 epochs"):
        assert part in training


def test_metrics_are_flat_and_those_of_the_chosen_epoch(trained):
    run_dir, _, metrics = trained
    assert all(isinstance(value, (int, float, str)) for value in metrics.values())
    header, *rows = [line.split(",") for line in (run_dir / "history.csv").read_text().splitlines()]
    assert len(rows) == metrics["epochs_run"] == 3
    column = header.index("valid_ndcg@10")
    best = max(range(3), key=lambda row: (float(rows[row][column]), -row))
    assert metrics["best_epoch"] == best + 1
    for name, text in zip(header[1:], rows[best][1:], strict=True):
        assert metrics[name] == float(text), name
    for group in ("valid", "test", "popularity", "transitions"):
        assert {f"{group}_{name}" for name in ("hr@5", "hr@10", "hr@50", "ndcg@10", "mrr")} <= metrics.keys()
        assert 0 <= metrics[f"{group}_hr@5"] <= metrics[f"{group}_hr@10"] <= metrics[f"{group}_hr@50"] <= 1
    assert (metrics["num_users"], metrics["num_items"], metrics["seed"], metrics["test_users"]) == (60, 60, 0, 60)
    for name in ("train_seconds", "train_examples_per_second", "eval_seconds", "peak_memory_mb", "num_interactions"):
        assert metrics[name] > 0
    assert metrics["version_tensorflow"] == tf.__version__ and metrics["version_keras"] == keras.__version__
    assert metrics["version_tfrecs"] == tfrecs.__version__
    assert metrics["retrained_on_validation"] is True


def test_a_run_leaves_exactly_what_it_says(trained):
    run_dir, _, metrics = trained
    left = {path.name.partition(".")[0] for path in run_dir.iterdir()}
    best = f"best-{metrics['best_epoch']:04d}"
    assert {"checkpoint", "config", "history", "metrics", "curves", "cp-0003", best, "retrain", "tensorboard"} <= left
    assert not list(run_dir.rglob("*.tmp")) and not list(run_dir.rglob("*_temp"))
    assert (run_dir / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert os.listdir(run_dir.parents[1]) == ["exactly"], "--run_dir names the directory exactly"


def test_tensorboard_reads_the_history(trained):
    run_dir, _, _ = trained
    header, *rows = [line.split(",") for line in (run_dir / "history.csv").read_text().splitlines()]
    found = {}
    for path in (run_dir / "tensorboard").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    expected = {(int(row[0]), name): float(text) for row in rows for name, text in zip(header[1:], row[1:])}
    assert found == pytest.approx(expected, rel=1e-6)


def test_judging_gives_the_metrics_of_training(trained, data_dir, command):
    run_dir, _, metrics = trained
    before = (run_dir / "history.csv").read_bytes()
    judge = ("--data_dir", data_dir, "--run_dir", run_dir, "--do_train", "0", "--num_recommendations", "0")
    code, stdout, stderr = command(*judge)
    assert code == 0
    retrained = f"retrain/cp-{metrics['best_epoch']:04d}"
    assert f"judging {run_dir / retrained}" in stderr
    again = json.loads((run_dir / "metrics.json").read_text())
    assert again["checkpoint"] == retrained
    different = {name for name in metrics.keys() | again.keys() if metrics.get(name) != again.get(name)}
    assert different <= {
        "checkpoint",
        "eval_seconds",
        "peak_memory_mb",
        *("train_examples", "train_seconds", "train_examples_per_second"),
    }
    code, stdout, _ = command(*judge, "--load_weight_path", "cp-1")
    again = json.loads((run_dir / "metrics.json").read_text())
    row = (run_dir / "history.csv").read_text().splitlines()[1].split(",")
    assert code == 0 and again["checkpoint"] == "cp-0001"
    assert (again["loss"], again["best_epoch"]) == (float(row[1]), 1)
    assert "epoch 1 of 1" in stdout and "retrained" not in stdout
    assert (run_dir / "history.csv").read_bytes() == before


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--dataset", "sampel"), "--dataset: unknown dataset 'sampel'; did you mean 'sample'?"),
        (("--dataset", "delimited"), "prepare --dataset delimited --path FILE"),
        (("--dataset", "ml-100k", "--raw_dir", "nowhere"), "nowhere"),
        (("--raw_dir", "nowhere"), "raw_dir"),
        (("--data_dir", "nowhere"), "nowhere/dataset.json: no prepared data here"),
        (
            ("--select_metric", "ndcg@11"),
            "--select_metric: no metric 'ndcg@11' of --protocol full_ranking; did you mean 'ndcg@10'?",
        ),
        (("--aggregation", "means"), "--aggregation: unknown value 'means'; did you mean 'mean'?"),
        (("--dropout", "1.5"), "--dropout: expected a number in [0, 1), got 1.5"),
        (("--embedding_dim", "0"), "--embedding_dim: expected an integer of at least 1, got 0"),
        (("--initializer", "he_norml"), "he_norml"),
        (("--run_dir", "file"), "is not a directory"),
        (("--run_dir", "file/run"), "is not a directory"),
        (("--export_dir", "file/export"), "--export_dir file/export: "),
        (("--epochs", "none"), "--epochs: expected an integer, got 'none'"),
        (("--train_split", "all"), "--train_split all: has the items that --protocol full_ranking is judged on"),
    ],
)
def test_bad_input_writes_nothing(command, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    code, stdout, stderr = command(*flags)
    assert code == 2
    assert stderr.startswith("run.py: error: ") and message in stderr
    assert stdout == ""
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["file"]


@pytest.mark.parametrize(
    "flags, message",
    [
        ("--do_train 0 --tensorboard 1", "--tensorboard 1: has no effect with --do_train 0"),
        ("--do_train 0 --patience 9", "other hyper-parameters: --patience 9 (the run has 0)"),
        ("--do_train 0 --epochs 50", "--epochs 50 (the run has 3)"),
        ("--do_train 0 --do_eval 0 --protocol recbole", "--protocol: has no effect with --do_eval 0"),
        ("--raw_dir .", "--raw_dir .: "),
        ("--gpu_id banana", "--gpu_id: expected numbers of GPUs, such as 0 or 0,1, or -1 for none, got 'banana'"),
    ],
)
def test_flags_that_would_be_ignored_are_refused(trained, data_dir, command, flags, message):
    run_dir, _, _ = trained
    before = (run_dir / "config.json").read_bytes()
    where = ("--overwrite", 1) if "--load_model" not in flags and "--do_train" not in flags else ()
    code, _, stderr = command("--data_dir", data_dir, "--run_dir", run_dir, *where, *flags.split())
    assert code == 2 and message in stderr
    assert (run_dir / "config.json").read_bytes() == before


def test_a_directory_that_cannot_be_written_is_named(command, tmp_path, monkeypatch, data_dir):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    code, _, stderr = command("--data_dir", data_dir, "--run_dir", tmp_path / "run")
    assert code == 2 and f"--run_dir {tmp_path / 'run'}: {tmp_path} cannot be written" in stderr


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--do_train", "0"), "no checkpoint there to judge"),
        (("--load_weight_path", "cp-0002"), "run/cp-0002: no such checkpoint; there are: none"),
        (("--do_train", "0", "--load_weight_path", "cp-0002"), "run/cp-0002: no such checkpoint; there are: none"),
        (("--dataset", "delimited"), "--dataset delimited: "),
    ],
)
def test_a_run_that_is_not_there_is_not_made(command, tmp_path, data_dir, flags, message):
    code, _, stderr = command("--data_dir", data_dir, "--run_dir", tmp_path / "run", *flags)
    assert code == 2 and message in stderr
    assert not (tmp_path / "run").exists()


def test_without_a_checkpoint_a_run_starts_fresh_and_says_so(command, tmp_path, data_dir):
    flags = ("--data_dir", data_dir, "--run_dir", tmp_path / "run", "--load_model", "1", "--epochs", "1", *SMALL)
    code, stdout, stderr = command(*flags, "--do_eval", "0", "--num_recommendations", "0")
    assert code == 0
    assert f"no checkpoint in {tmp_path / 'run'}: starting fresh" in stderr
    assert listing.newest(tmp_path / "run") == "cp-0001"
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert "valid_mrr" in metrics and "test_mrr" not in metrics and (tmp_path / "run" / "curves.png").exists()
