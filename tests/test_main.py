"""The commands of `tfrecs`, from an empty folder to recommendations and a SavedModel."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

import tfrecs
from tfrecs import json_files
from tfrecs.command_line import main as command_line

SMALL = ("--epochs", "1", "--embedding_dim", "4", "--strategy", "none", "--num_recommendations", "0")
NOT_UTF_8 = os.fsdecode(b"runs/\xff")
TRAIN = ("--model", "attrec", *SMALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which `tfrecs prepare` and `tfrecs train` ran."""
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sizes = ("--num_users", "60", "--num_items", "60", "--mean_length", "10")
        assert command_line.main(["prepare", "--dataset", "sample", "--out_dir", "data/shop", *sizes]) == 0
        assert command_line.main(["train", *TRAIN, "--data_dir", "data/shop"]) == 0
    return folder


@pytest.fixture
def command(folder, monkeypatch, capfd):
    monkeypatch.chdir(folder)

    def run(*flags):
        code = command_line.main(list(map(str, flags)))
        return code, *capfd.readouterr()

    return run


def test_recommendations_are_printed_or_written(command, folder):
    run = tfrecs.load(folder / "runs" / "attrec-recommended-sample")
    user = run.data.users[0]
    expected = run.recommend([user], k=3)
    code, stdout, _ = command("recommend", "--users", user, "--k", "3")
    assert code == 0 and [line.split()[2] for line in stdout.splitlines()[1:]] == expected["item"].tolist()
    code, stdout, _ = command("recommend", "--k", "2", "--out", "lists.csv")
    assert code == 0 and stdout == "lists.csv: 120 rows\n"
    assert pd.read_csv(folder / "lists.csv")["item"].tolist() == run.recommend(k=2)["item"].tolist()
    (folder / "lists.csv").write_text("another one's")
    code, stdout, stderr = command("recommend", "--k", "2", "--out", "lists.csv")
    assert (code, stdout) == (2, "") and "--out lists.csv: exists; --overwrite 1 replaces it" in stderr
    assert (folder / "lists.csv").read_text() == "another one's"
    assert command("recommend", "--k", "2", "--out", "lists.csv", "--overwrite", "1")[0] == 0
    assert len(pd.read_csv(folder / "lists.csv")) == 120
    code, stdout, _ = command("recommend", "--history", ",".join(run.data.items[:3]), "--k", "1")
    assert code == 0 and stdout.split()[-2] == run.recommend(histories=[run.data.items[:3]], k=1)["item"][0]


def test_evaluate_needs_no_flags_and_prints_the_table(command, folder):
    code, stdout, stderr = command("evaluate")
    assert code == 0 and "sample, test split" in stdout and "popularity" in stdout and "judging" in stderr
    code, stdout, _ = command("evaluate", "-q", "--protocol", "pair_auc")
    assert code == 0 and "auc" in stdout
    code, _, stderr = command("evaluate", "--do_train", "1")
    assert code == 2 and "--do_train: tfrecs evaluate never trains" in stderr


def test_export_goes_below_the_name_of_the_run(command, folder):
    code, stdout, _ = command("export", "--k", "4")
    path = os.path.join("export", "attrec-recommended-sample", "1")
    assert code == 0 and stdout == f"exported to {path}\n"
    assert json.loads((folder / path / "assets.extra" / "export.json").read_text())["k"] == 4


def test_a_run_again_from_its_configuration(command, folder):
    """`--config` brings model, preset and arguments; flags override them."""
    config = folder / "runs" / "attrec-recommended-sample" / "config.json"
    again = folder / "again"
    flags = ("--run_dir", again, "--num_recommendations", "0", "--do_eval", "0", "-q")
    code, _, stderr = command("train", "--config", config, *flags)
    assert (code, stderr) == (0, "")
    first, second = (json.loads(path.read_text()) for path in (config, again / "config.json"))
    assert first["model_arguments"] == second["model_arguments"] and first["train"] == second["train"]
    assert (again / "history.csv").read_bytes() == (config.parent / "history.csv").read_bytes()
    code, _, _ = command("train", "--config", config, *flags, "--overwrite", "1", "--margin", "0.75", "--seed", "1")
    other = json.loads((again / "config.json").read_text())
    assert code == 0 and other["model_arguments"] == first["model_arguments"] | {"margin": 0.75}
    assert other["train"] == first["train"] | {"seed": 1}
    assert second["data_dir"] == first["data_dir"] == str(folder / "data" / "shop")


def test_a_configuration_whose_data_are_gone_is_refused(command, folder, tmp_path):
    """Another data set, the sample by default, would be trained on without a word."""
    path = folder / "runs" / "attrec-recommended-sample" / "config.json"
    config = json_files.load(path, "a run's configuration") | {"data_dir": str(tmp_path / "gone")}
    json_files.write(tmp_path / "config.json", config)
    code, _, stderr = command("train", "--config", tmp_path / "config.json", "--run_dir", tmp_path / "run")
    assert code == 2 and f"was trained on {tmp_path / 'gone'}, which is not there; name --data_dir or" in stderr
    assert os.listdir(tmp_path) == ["config.json"]


@pytest.mark.parametrize(
    "flags, message",
    [
        (("trian",), "unknown command 'trian'; did you mean 'train'?"),
        (("recommend", "--userz", "1"), "unknown flag '--userz'; did you mean '--users'?"),
        (("recommend", "--k", "ten"), "--k: expected an integer, got 'ten'"),
        (("recommend", "--k", "999"), "error: --k: expected an integer from 1 to 60, the items there are, got 999"),
        (("recommend", "--users", "nobody"), "error: --users: unknown user 'nobody'"),
        (("recommend", "--history", "nothing"), "error: --history: unknown item 'nothing'"),
        (("recommend", "--allowed", "nothing"), "error: --allowed: unknown item 'nothing'"),
        (("recommend", "--excluded", "nothing"), "error: --excluded: unknown item 'nothing'"),
        (("recommend", "--kind", "query"), "error: --kind 'query': this AttRec was made without kinds"),
        (("recommend", "--users", "a", "--history", "b"), "--history: answers for an unknown user"),
        (("recommend", "--overwrite", "1"), "--overwrite 1: has no effect without --out"),
        (("recommend", "--out", "lists.txt"), "--out lists.txt: expected a name that ends in .csv or .parquet"),
        (("recommend", "--run_dir", "nowhere"), "nowhere/config.json: no run there"),
        (("recommend", "--data_dir", "nowhere"), "nowhere/dataset.json"),
        (("export", "--k", "0"), "error: --k: expected an integer from 1 to 60, the items there are, got 0"),
        (("export", "--k", "61"), "error: --k: expected an integer from 1 to 60, the items there are, got 61"),
        (("evaluate", "--run_dir", "nowhere"), "nowhere/config.json: no run there"),
        (("train", "--config", "nowhere.json"), "nowhere.json"),
        (("train", "--modle", "attrec"), "unknown flag '--modle'; did you mean '--model'?"),
        (("evaluate", "--config", "other.json"), "--config: tfrecs evaluate reads the configuration of the run"),
        (("train", "--model", "sasrec", "--config", "runs/attrec-recommended-sample/config.json"), "is of attrec"),
        (("train", "--model", "attrec", "--region_size", "3"), "unknown flag '--region_size'; --model arerec has it"),
        (("train", "--model", "dif_sr", "--valid_metric", "MRR@9"), "train: error: --valid_metric: no metric 'mrr@9'"),
        (("check", "nothing.npz"), "tfrecs: error: nothing.npz"),
        (("convert", "--model", "atrec", "--checkpoint", "c", "--out", "o"), "tfrecs: error: --model: unknown model"),
        *(
            ((*flags, NOT_UTF_8), f"error: {flags[-1]}: expected text")
            for flags in (
                ("train", *TRAIN, "--data_dir", "data/shop", "--run_dir"),
                ("train", *TRAIN, "--data_dir"),
                ("train", "--config"),
                ("evaluate", "--run_dir"),
                ("export", "--data_dir"),
                ("convert", "--model", "attrec", "--checkpoint", "c", "--out"),
            )
        ),
    ],
)
def test_bad_input_is_named(command, flags, message):
    code, stdout, stderr = command(*flags)
    assert code == 2 and message in stderr and stdout == ""


@pytest.mark.parametrize(
    "flags, place, code",
    [
        (("recommend", "--out", "table.csv"), "tfrecs.serving.batch.recommend", 1),
        (("export",), "tfrecs.api.export", 1),
        (("evaluate",), "tfrecs.runs.metrics_file.of_test", 1),
        (("prepare", "--out_dir", "data/other"), "data_prep.writing.write", 1),
        (("check", "recorded.npz"), "tfrecs.importers.check.check", 2),
    ],
)
def test_running_out_of_memory_is_one_line(command, folder, monkeypatch, flags, place, code):
    def run_out_of_memory(*_, **__):
        raise MemoryError("Unable to allocate 74.5 GiB for an array with shape (100000, 100000)")

    before = sorted(folder.rglob("*"))
    monkeypatch.setattr(place, run_out_of_memory)
    found, _, stderr = command(*flags)
    assert found == code and "Traceback" not in stderr
    assert "not enough memory: Unable to allocate 74.5 GiB for an array" in stderr.splitlines()[-1]
    assert sorted(folder.rglob("*")) == before


def test_without_a_run_the_flag_is_asked_for(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = command("recommend")
    assert code != 0
    monkeypatch.chdir(tmp_path)
    assert command_line.main(["recommend"]) == 2


HEAVY = ("tensorflow", "keras", "numpy", "pandas", "duckdb", "pyarrow")


@pytest.mark.parametrize(
    "argv",
    [
        ("tfrecs", "--help"),
        ("tfrecs", "recommend", "--help"),
        ("tfrecs", "evaluate", "--help"),
        ("tfrecs", "train", "--model", "dif_sr", "--help"),
        ("tfrecs", "train", "--model", "attrec", "--embeding_dim", "3"),
        ("tfrecs", "prepare", "--help"),
        ("data_prep.prepare", "--help"),
        ("data_prep.prepare", "--out_dri", "data"),
        ("data_prep.prepare", "--out_dir", "data", "--dataset", "sampel"),
        ("data_prep.prepare", "--out_dir", "data", "--split", "raito"),
        ("tfrecs.importers", "--help"),
        ("tfrecs.importers", "convert", "--model", "atrec", "--checkpoint", "model1.ckpt", "--out", "runs/a"),
    ],
    ids=" ".join,
)
def test_help_and_bad_flags_load_nothing_heavy(argv, tmp_path):
    """So they answer within a second; the clock of a busy machine would say less."""
    for name in HEAVY:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError(f'{__name__} is imported')\n")
    path = os.pathsep.join([str(tmp_path), os.getcwd()])
    done = subprocess.run(
        [sys.executable, "-m", *argv], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert "is imported" not in done.stderr
    assert done.returncode == (0 if "--help" in argv else 2)
    assert done.stdout.startswith("usage: ") or "did you mean '" in done.stderr


def test_help_with_a_configuration_loads_nothing_heavy(folder, tmp_path):
    """Its values are the defaults that the help shows."""
    for name in HEAVY:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError(f'{__name__} is imported')\n")
    config = folder / "runs" / "attrec-recommended-sample" / "config.json"
    done = subprocess.run(
        [sys.executable, "-m", "tfrecs", "train", "--config", config, "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])},
    )
    stored = json.loads(config.read_text())["model_arguments"]["embedding_dim"]
    assert done.returncode == 0, done.stderr
    assert f"(default {stored})" in done.stdout and done.stdout.startswith("usage: tfrecs train --model attrec")


def test_help_of_evaluate_shows_what_it_takes(command):
    code, stdout, _ = command("evaluate", "--help")
    assert code == 0 and "--protocol full_ranking|recbole" in stdout and "--run_dir DIR" in stdout
    assert "--do_train" not in stdout and "--region_size" not in stdout
