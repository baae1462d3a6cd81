"""Exact resume: however a run was stopped, its history and every tensor it saves are equal bit for bit."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfrecs import json_files
from tfrecs.runs import listing

# Early stopping ends the first phase after three epochs, and a second phase of two follows. Every checkpoint is kept,
# so that the state after every second step and every epoch is compared, not only the last.
FLAGS = (
    *("--epochs", "9", "--patience", "1", "--retrain", "1", "--select_metric", "mrr"),
    *("--learning_rate", "0.1", "--decay_epochs", "9", "--dropout", "0.5"),
    *("--save_checkpoints_steps", "2", "--keep_checkpoints", "1000", "--do_eval", "0"),
)
RESUME = (*FLAGS, "--load_model", "1")
STEPS_PER_EPOCH = 7


@pytest.fixture(scope="module")
def made():
    return {}


@pytest.fixture
def whole(made, tmp_path_factory, command, state):
    """A run that nothing stopped, made once: (directory, state)."""
    if not made:
        run_dir = tmp_path_factory.mktemp("whole") / "run"
        assert command(run_dir, *FLAGS)[0] == 0
        made["run"] = run_dir, state(run_dir)
        assert listing.listed(run_dir)[-1] == "cp-0003" and listing.listed(run_dir / "retrain")[-1] == "cp-0002"
        progress = listing.read_progress(run_dir, "cp-0003")
        assert -(-progress.examples // 3 // 64) == STEPS_PER_EPOCH
    return made["run"]


@pytest.fixture
def stop(tmp_path, before_step):
    """Runs flags until Ctrl-C before the step `number` of this process; gives the newest checkpoint's name."""

    def run(number, *flags):
        def interrupt(loop):
            raise KeyboardInterrupt

        code, _, stderr = before_step(number, interrupt, tmp_path / "run", *flags)
        assert code == 130, "the run ended before it was to be stopped"
        assert "--load_model 1 resumes" in stderr
        return listing.newest(tmp_path / "run")

    return run


@pytest.fixture
def copied(tmp_path, whole):
    """A copy of the whole run: (directory, state)."""
    return shutil.copytree(whole[0], tmp_path / "run"), whole[1]


@pytest.mark.slow
def test_a_run_stopped_again_and_again(tmp_path, command, state, whole, stop):
    run_dir = tmp_path / "run"
    # At the end of an epoch that was to be the last.
    assert command(run_dir, *FLAGS, "--epochs", "1", "--retrain", "0")[0] == 0
    assert listing.newest(run_dir) == "cp-0001"
    # One step after a checkpoint: that step is done again.
    assert stop(STEPS_PER_EPOCH + 3, *RESUME) == "cp-0002-000002"
    # In the second phase.
    assert stop(STEPS_PER_EPOCH - 2 + 5, *RESUME) == "cp-0003"
    assert listing.listed(run_dir / "retrain") == ["cp-0000-000002", "cp-0000-000004"]
    assert state(run_dir) != whole[1]
    code, _, stderr = command(run_dir, *RESUME)
    assert code == 0
    assert f"resuming from {run_dir / 'cp-0003'}\n" in stderr
    assert f"resuming from {run_dir / 'retrain' / 'cp-0000-000004'}\n" in stderr
    assert state(run_dir) == whole[1]


# A mid-epoch one, one with or without zeros, and the best, which is no checkpoint of the list.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name, found",
    [
        ("cp-1", "cp-0001"),
        pytest.param("cp-0001-000004", "cp-0001-000004", marks=pytest.mark.slow),
        pytest.param("best-0001", "best-0001", marks=pytest.mark.slow),
    ],
)
def test_going_on_from_a_checkpoint_by_name(copied, command, state, name, found):
    run_dir, expected = copied
    shutil.rmtree(run_dir / "retrain")
    code, _, stderr = command(run_dir, *FLAGS, "--load_weight_path", name)
    assert code == 0
    assert f"resuming from {run_dir / found}\n" in stderr
    assert state(run_dir) == expected


@pytest.mark.slow
def test_an_older_checkpoint_comes_with_its_history_and_its_best(copied, whole, command, metrics):
    run_dir, _ = copied
    assert listing.best(run_dir) == "best-0002"
    assert listing.newest(run_dir / "retrain") == "cp-0002"
    code, _, _ = command(run_dir, *FLAGS, "--load_weight_path", "cp-0001", "--epochs", "1")
    assert code == 0
    assert listing.newest(run_dir) == "cp-0001"
    assert [path.name for path in run_dir.glob("best-*.index")] == ["best-0001.index"]
    assert len((run_dir / "history.csv").read_text().splitlines()) == 2
    assert metrics(run_dir)["best_epoch"] == 1
    # The second phase is as long as the first one says now, and its learning rate falls within it: it starts anew.
    assert listing.listed(run_dir / "retrain") == [f"cp-0000-{step:06d}" for step in (2, 4, 6, 8)] + ["cp-0001"]
    paths = [folder / "retrain" / "config.json" for folder in (whole[0], run_dir)]
    rates = [json_files.load(path, "settings") for path in paths]
    assert rates == [{"epochs": 2, "decay_epochs": 2}, {"epochs": 1, "decay_epochs": 1}]


@pytest.mark.slow
def test_killed_for_good(tmp_path, command, state, whole, data_dir):
    run_dir = tmp_path / "run"
    script = Path(__file__).parents[2] / "examples" / "run.py"
    argv = [sys.executable, script, "--model", "attrec", "--data_dir", data_dir, "--run_dir", run_dir]
    argv += ["--embedding_dim", "4", "--batch_size", "64", "--num_recommendations", "0", "--strategy", "none", *FLAGS]
    with open(tmp_path / "stderr", "wb") as stderr:
        process = subprocess.Popen(argv, stderr=stderr, stdout=stderr, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})
    try:
        while process.poll() is None and (listing.newest(run_dir) or "") < "cp-0001-000004":
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    log = (tmp_path / "stderr").read_text()
    assert process.returncode == -signal.SIGKILL, log
    assert "local_rendezvous" not in log and "Traceback" not in log
    assert command(run_dir, *RESUME)[0] == 0
    assert state(run_dir) == whole[1]
