"""A run directory: what marks it, what a run removes in it, and what it refuses to start in."""

import os
import shutil
import types

import pytest

from tfrecs.command_line import run, train
from tfrecs.command_line.arguments import parse
from tfrecs.errors import InputError
from tfrecs.runs import directory as runs
from tfrecs.runs import listing, record
from tfrecs.training.loop import Loop

# As the fixture `reference` is made.
FLAGS = ("--epochs", "2", "--save_checkpoints_steps", "2", "--keep_checkpoints", "2", "--do_eval", "0")
RESUME = (*FLAGS, "--load_model", "1")
FOREIGN = (
    "best-practices.txt",
    "best-0001.txt",
    "cp-notes.txt",
    "cp-0001.index.bak",
    "cp-7777.json",
    "cp-7778_temp/mine",
    "best-7779.index",
    "notes.tmp",
    "draft_temp/mine",
    "tensorboard/mine",
    "tensorboard/events.out.tfevents.1.host.2.v2",
    "retrain/mine",
    "retrain/cp-notes.txt",
)


def _plant(run_dir):
    for name in FOREIGN:
        (run_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (run_dir / name).write_text(f"mine: {name}")


def _all_there(run_dir):
    return [name for name in FOREIGN if (run_dir / name).read_text() != f"mine: {name}"] == []


def _content(directory):
    paths = [path for path in directory.rglob("*") if path.is_file() and path.name != "run.lock"]
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(Loop, "run", lambda self, progress: pytest.fail("training started"))


@pytest.mark.slow
def test_foreign_files_survive_a_fresh_run_a_resumed_one_and_one_that_overwrites(run_dir, command):
    _plant(run_dir)
    assert command(run_dir, *RESUME, "--epochs", "3", "--tensorboard", "1")[0] == 0
    assert _all_there(run_dir)
    assert len(os.listdir(run_dir / "tensorboard")) == 3
    assert command(run_dir, *FLAGS, "--overwrite", "1", "--epochs", "1", "--retrain", "1")[0] == 0
    assert _all_there(run_dir)
    assert len(os.listdir(run_dir / "tensorboard")) == 2, "our own event file is gone"
    assert listing.listed(run_dir)[-1] == "cp-0001"
    assert not list(run_dir.glob("*0002*")) and not list(run_dir.glob("*0003*"))


def test_a_used_directory_needs_overwrite(run_dir, command, no_training, tmp_path, monkeypatch):
    before = _content(run_dir)
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = command(run_dir, *FLAGS, data=str(tmp_path / "data"))
    assert code == 2 and stdout == ""
    assert f"--run_dir {run_dir}: holds a run already; --overwrite 1 removes it, --load_model 1 resumes it" in stderr
    assert _content(run_dir) == before
    assert os.listdir(tmp_path) == ["run"], "no data were prepared"


def test_foreign_files_in_the_way_of_the_second_phase_are_found_first(run_dir, command, no_training):
    (run_dir / "retrain").mkdir()
    (run_dir / "retrain" / "config.json").write_text('{"editor": "vi"}')
    before = _content(run_dir)
    code, _, stderr = command(run_dir, *FLAGS, "--overwrite", "1", "--retrain", "1")
    assert code == 2 and f"{run_dir / 'retrain'}: not a run directory" in stderr and "holds config.json" in stderr
    assert _content(run_dir) == before


@pytest.mark.parametrize("name", [record.RETRAIN, record.TENSORBOARD])
def test_the_files_behind_a_link_are_not_removed(tmp_path, run_dir, command, no_training, name):
    other = tmp_path / "other"
    shutil.copytree(run_dir, other)
    (other / "events.out.tfevents.1.host.2.tfrecs").write_text("of another run")
    (run_dir / name).symlink_to(other)
    before = _content(other), _content(run_dir)
    code, _, stderr = command(run_dir, *FLAGS, "--overwrite", "1")
    assert code == 2 and f"{run_dir / name}: a link" in stderr
    assert (_content(other), _content(run_dir)) == before


@pytest.mark.parametrize("other", [("--load_model", "1"), ("--load_weight_path", "cp-0002"), ("--do_train", "0")])
def test_what_is_needed_is_not_overwritten(run_dir, command, other):
    before = _content(run_dir)
    code, _, stderr = command(run_dir, "--overwrite", "1", *other)
    assert code == 2 and f"--overwrite 1: removes the run that {other[0]}" in stderr
    assert _content(run_dir) == before


@pytest.mark.parametrize("name", ["config.json", "cp-0001.index", "history.csv", "metrics.json.tmp", "checkpoint"])
@pytest.mark.parametrize("overwrite", ["0", "1"])
def test_a_directory_that_is_no_run_directory_is_not_written_over(tmp_path, command, no_training, name, overwrite):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text('{"editor": "vi"}')
    code, _, stderr = command(tmp_path / "run", *FLAGS, "--overwrite", overwrite)
    assert code == 2
    assert f"--run_dir {tmp_path / 'run'}: not a run directory of this version (it has no run.json)" in stderr
    assert f"but it holds {name}" in stderr
    assert _content(tmp_path / "run") == {name: b'{"editor": "vi"}'}


def test_a_directory_of_other_files_may_become_a_run_directory(tmp_path):
    names = [name for name in FOREIGN if not name.startswith(("cp-7777", "cp-7778", "best-7779", "retrain"))]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    runs.start(str(tmp_path), fresh=True)
    record.claim(tmp_path, "cp-0001")
    for own in ("cp-0001.index", "history.csv", "config.json"):
        (tmp_path / own).write_text("ours")
    with pytest.raises(InputError, match="holds a run already; overwrite=True removes it"):
        runs.start(str(tmp_path), fresh=True)
    runs.start(str(tmp_path), fresh=True, overwrite=True)
    assert [name for name in names if (tmp_path / name).read_text() != name] == []
    assert {path.name for path in tmp_path.iterdir()} == {name.partition("/")[0] for name in names} | {"run.json"}


def test_a_checkpoint_does_not_replace_a_foreign_file(tmp_path):
    record.claim(tmp_path, "cp-0001")
    (tmp_path / "cp-0002.index").write_text("mine")
    with pytest.raises(InputError, match="cp-0002.index: not written by tfrecs"):
        record.claim(tmp_path, "cp-0002")
    assert record.written(tmp_path) == ["cp-0001"]


def test_what_killed_writers_left_is_removed_by_the_next_run(run_dir, command):
    whole = {path.name for path in run_dir.iterdir()}
    record.claim(run_dir, "cp-0003")
    (run_dir / "cp-0003_temp").mkdir()
    for name in (
        "cp-0003_temp/part-00000-of-00001.index",
        "cp-0003_temp/part-00000-of-00001.data-00000-of-00001.tempstate123",
        "cp-0002.json.tmp",
        "cp-0003.data-00000-of-00001",
        "metrics.json.tmp",
        "run.json.tmp",
        "history.csv.tmp",
    ):
        (run_dir / name).write_text("unfinished")
    assert command(run_dir, *RESUME)[0] == 0
    assert {path.name for path in run_dir.iterdir()} == whole


def test_the_default_run_directory(tmp_path, monkeypatch, data_dir):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(data_dir, tmp_path / "data" / "sample")
    argv = ["--model", "attrec", "--preset", "original", "--epochs", "1", "--num_recommendations", "0"]
    argv += ["--embedding_dim", "4", "--load_model", "1"]
    assert run.main(argv) == 0
    assert os.listdir(tmp_path / "runs") == ["attrec-original-sample"]
    assert listing.newest("runs/attrec-original-sample") == "cp-0001"
    assert sorted(os.listdir(tmp_path)) == ["data", "runs"]


def test_without_its_marker_a_run_is_known_by_its_checksums(run_dir, command, state):
    before = state(run_dir)
    (run_dir / "run.json").unlink()
    (run_dir / "cp-0009.index").write_text("mine")
    assert command(run_dir, *RESUME)[0] == 0
    assert state_without_foreign(state, run_dir) == before
    assert (run_dir / "cp-0009.index").read_text() == "mine"
    assert "cp-0009" not in record.written(run_dir)


def state_without_foreign(state, run_dir):
    (run_dir / "cp-0009.index").rename(run_dir / "aside")
    found = state(run_dir)
    (run_dir / "aside").rename(run_dir / "cp-0009.index")
    return found


def test_a_damaged_marker_stops_every_run(run_dir, command, no_training):
    text = (run_dir / "run.json").read_text()
    (run_dir / "run.json").write_text(text.replace("cp-0002", "cp-0003"))
    before = _content(run_dir)
    for flags in (RESUME, (*FLAGS, "--overwrite", "1")):
        code, _, stderr = command(run_dir, *flags)
        assert code == 2 and f"{run_dir / 'run.json'}: damaged" in stderr
    assert _content(run_dir) == before


@pytest.mark.parametrize("name", ["../../elsewhere", "a/b", "", ".hidden", "x" * 101, "a\nb", "..", "C:x"])
def test_a_name_of_data_is_no_way_out_of_the_runs(monkeypatch, data_dir, name):
    monkeypatch.setattr(train, "load", lambda directory: types.SimpleNamespace(name=name))
    arguments = parse(["--model", "attrec", "--data_dir", data_dir])
    with pytest.raises(InputError, match="dataset.json: name: .* cannot be part of a path"):
        train._default_run_dir(arguments)


def test_a_list_with_one_flipped_bit_is_not_believed(run_dir, command, state):
    before, path = state(run_dir), run_dir / "checkpoint"
    content = path.read_bytes().replace(b'model_checkpoint_path: "cp-0002', b'model_checkpoint_path: "cp-0003', 1)
    path.write_bytes(content)
    code, _, stderr = command(run_dir, *RESUME)
    assert code == 0
    assert f"{path}: damaged; the checkpoints themselves are listed, cp-0002 is the newest" in stderr
    assert f"resuming from {run_dir / 'cp-0002'}" in stderr and "fresh" not in stderr
    assert state(run_dir) == before


@pytest.mark.slow
def test_the_seeds_command_trains_and_then_resumes(tmp_path, monkeypatch, data_dir, capfd):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(data_dir, tmp_path / "data" / "sample")
    argv = ["--model", "arerec", "--region_size", "7", "--load_model", "1"]
    assert run.main(argv) == 0
    stderr = capfd.readouterr().err
    assert "no checkpoint in runs/arerec-recommended-sample: starting fresh" in stderr
    newest = listing.newest("runs/arerec-recommended-sample")
    assert run.main(argv) == 0
    assert f"resuming from runs/arerec-recommended-sample/{newest}" in capfd.readouterr().err


def test_a_run_that_stopped_before_its_first_checkpoint_goes_on(tmp_path, command, before_step):
    def interrupt(loop):
        raise KeyboardInterrupt

    assert before_step(1, interrupt, tmp_path / "run", *FLAGS)[0] == 130
    assert not list((tmp_path / "run").glob("cp-*")) and (tmp_path / "run" / "config.json").exists()
    code, _, stderr = command(tmp_path / "run", *RESUME)
    assert code == 0 and "starting fresh" in stderr, stderr
