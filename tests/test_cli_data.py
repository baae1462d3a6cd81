"""The command line and its data: made on the way, told apart, and refused where a model cannot learn from it."""

import json
import shutil

import pytest

from data_prep.prepare import prepare
from tfrecs.command_line import run as cli
from tfrecs.progress import StageProgress


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """Two folders of sequences without ratings, times or attributes; they are the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, shift in (("tools", 1), ("toys", 5)):
        (tmp_path / name).mkdir()
        lines = [f"u{user} " + " ".join(f"i{(user + step) % 13 + shift}" for step in range(6)) for user in range(20)]
        (tmp_path / name / "log.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(*flags):
    return cli.main(["--dataset", "sequences", "--num_recommendations", "0", "--do_eval", "0", "--epochs", "1", *flags])


@pytest.mark.slow
def test_data_of_another_folder_is_not_taken_for_this_one(logs, capfd):
    flags = ("--model", "attrec", "--embedding_dim", "4", "--overwrite", "1")
    assert run(*flags, "--raw_dir", "tools") == 0
    assert run(*flags, "--raw_dir", "toys") == 2
    message = "--raw_dir toys: not the log.txt that data/sequences was made of; name another --data_dir"
    assert message in capfd.readouterr().err
    (logs / "other").mkdir()
    shutil.copytree("toys", logs / "other" / "tools")
    assert run(*flags, "--raw_dir", "other/tools") == 2, "a folder of the same name"
    assert run(*flags, "--raw_dir", "tools") == 0
    assert run(*flags, "--raw_dir", "toys", "--data_dir", "data/toys") == 0
    assert run(*flags) == 0, "prepared data need no raw files"


def test_data_that_leave_nothing_to_train_on_clear_no_run_away(logs, capfd):
    flags = ("--model", "attrec", "--embedding_dim", "4", "--run_dir", "run")
    assert run(*flags, "--raw_dir", "tools") == 0
    before = {path.name: path.read_bytes() for path in (logs / "run").iterdir()}
    (logs / "short").mkdir()
    (logs / "short" / "log.txt").write_text("".join(f"u{user} i1 i2\n" for user in range(9)))
    assert run(*flags, "--raw_dir", "short", "--data_dir", "data/short", "--overwrite", "1") == 2
    assert "data/short: no training examples: every history is too short" in capfd.readouterr().err
    assert {path.name: path.read_bytes() for path in (logs / "run").iterdir()} == before


@pytest.mark.parametrize("model, column", [("arerec", "timestamp, rating"), ("dif_sr", "item attributes")])
def test_what_the_data_lacks_is_named(logs, capfd, model, column):
    assert run("--model", model, "--raw_dir", "tools") == 2
    assert (
        f"--model {model}: data/sequences (sequences) has no {column}; "
        "models that work on it: atrank with --time none, attrec, dif_sr with --attributes none, sasrec\n"
    ) in capfd.readouterr().err
    assert not (logs / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("model, flag", [("dif_sr", "--attributes"), ("atrank", "--time")])
def test_a_run_goes_on_with_what_it_reads_of_its_data(logs, capfd, model, flag):
    flags = ("--model", model, "--raw_dir", "tools", "--run_dir", "run", "--load_model", "1")
    assert run(*flags, flag, "none") == 0, capfd.readouterr().err
    assert run(*flags, "--epochs", "2") == 0, capfd.readouterr().err
    assert "resuming from run/cp-0001" in capfd.readouterr().err


def test_a_split_that_holds_out_nothing_is_pointed_out(tmp_path, capfd):
    flags = ("--data_dir", str(tmp_path / "data"), "--run_dir", str(tmp_path / "run"), "--epochs", "1")
    late = {"split": "time", "valid_from": 2**40, "test_from": 2**41}
    prepare("sample", flags[1], StageProgress(None), num_users=30, num_items=40, mean_length=8, num_shards=2, **late)
    assert cli.main(["--model", "attrec", "--embedding_dim", "4", "--num_recommendations", "0", *flags]) == 0
    assert f"no user of {flags[1]} has a test item: there is nothing to judge the model by" in capfd.readouterr().err


@pytest.mark.slow
def test_lists_of_ratings_are_not_held_to_what_a_ranking_can_reach(tmp_path, capfd):
    """The sample's oracle ranks its catalogue."""
    flags = ("--data_dir", str(tmp_path / "data"), "--run_dir", str(tmp_path / "run"), "--epochs", "1")
    prepare("sample", flags[1], StageProgress(None), num_users=30, num_items=40, mean_length=8, num_shards=2)
    sizes = ("--embedding_dim", "4", "--num_heads", "1", "--max_seq", "3", "--num_recommendations", "0")
    assert cli.main(["--model", "arerec", "--protocol", "rated_list", *flags, *sizes]) == 0
    assert "reachable" not in capfd.readouterr().out
    assert not [name for name in json.loads((tmp_path / "run" / "metrics.json").read_text()) if "oracle" in name]
