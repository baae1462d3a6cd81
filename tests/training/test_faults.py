"""What goes wrong while a run is trained: the exit code, the message, and what is left behind."""

import os
import resource

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrecs import optimizers
from tfrecs.errors import InputError
from tfrecs.evaluation.evaluator import Evaluator
from tfrecs.models.attrec import AttRec
from tfrecs.runs import directory as runs
from tfrecs.runs import listing, record
from tfrecs.runs.checkpoints import Checkpoints
from tfrecs.runs.config import TrainConfig

# As the fixture `reference` is made.
FLAGS = ("--epochs", "2", "--save_checkpoints_steps", "2", "--keep_checkpoints", "2", "--do_eval", "0")
RESUME = (*FLAGS, "--load_model", "1")


def _poison(loop):
    variable = loop.model.trainable_variables[0]
    variable.assign(variable * np.nan)


def _names(directory):
    return sorted(path.name for path in directory.iterdir())


def _per_epoch(run_dir):
    return -(-listing.read_progress(run_dir, "cp-0002").examples // 2 // 64)


def test_a_loss_that_is_not_finite_stops_and_the_run_goes_on_from_before(tmp_path, reference, before_step, state):
    run_dir, per_epoch = tmp_path / "run", _per_epoch(reference)
    code, _, stderr = before_step(per_epoch + 4, _poison, run_dir, *FLAGS)
    assert code == 1
    assert "not finite from step 5 of epoch 2" in stderr and f"cp-0001-000004 in {run_dir}" in stderr
    assert listing.newest(run_dir) == "cp-0001-000004" and listing.best(run_dir) == "best-0001"
    assert not (run_dir / "metrics.json").exists() and not (run_dir / "curves.png").exists()
    tensors = state(run_dir)
    assert tensors and not any(np.isnan(np.frombuffer(tensors[key], np.float32)).any() for key in tensors if key[2:])


def test_weights_that_are_not_finite_are_never_saved(tmp_path, before_step, monkeypatch):
    def poison_after(loop):
        # As an update that overflows does: the loss of its own step is finite.
        monkeypatch.setattr(loop, "_check_loss", lambda progress: _poison(loop))

    run_dir = tmp_path / "run"
    code, _, stderr = before_step(3, poison_after, run_dir, *FLAGS)
    assert code == 1
    assert "weights are not finite after step 4 of epoch 1" in stderr and "cp-0000-000002" in stderr
    assert _names(run_dir) == sorted(
        ["checkpoint", "config.json", "run.json", "run.lock"]
        + [f"cp-0000-000002.{end}" for end in ("data-00000-of-00001", "index", "json")]
    )


def _run_out_of_memory(loop):
    raise tf.errors.ResourceExhaustedError(
        None,
        None,
        "Graph execution error:\n\nDetected at node Fill defined at (most recent call last):\n  File\n\nOOM when "
        "allocating tensor with shape[64,1000000] and type float on /job:localhost/device:CPU:0 by allocator mklcpu",
    )


def test_running_out_of_memory_is_one_line_and_the_run_goes_on_from_before(
    tmp_path, reference, before_step, command, state
):
    run_dir = tmp_path / "run"
    code, _, stderr = before_step(_per_epoch(reference) + 3, _run_out_of_memory, run_dir, *FLAGS)
    last = "run.py: stopped: not enough memory: allocating tensor with shape[64,1000000] and type float"
    assert code == 1 and stderr.splitlines()[-1] == last and "Traceback" not in stderr
    assert listing.newest(run_dir) == "cp-0001-000002" and not (run_dir / "metrics.json").exists()
    assert command(run_dir, *RESUME)[0] == 0
    assert state(run_dir) == state(reference)


@pytest.mark.parametrize("train_split", ["train", "train_valid"])
def test_scores_that_are_not_finite_stop_a_run_whose_loss_and_weights_are(tmp_path, command, train_split):
    """Weights of 1e30: the one update is finite, and so was its loss. Scores are checked without validation, too."""
    small = ("--dim", "8", "--num_heads", "2", "--num_layers", "1", "--inner_dim", "8", "--decay_epochs", "0")
    flags = ("--model", "dif_sr", "--learning_rate", "1e30", "--epochs", "1", "--train_split", train_split, *small)
    code, stdout, stderr = command(tmp_path / "run", *flags, "--export_dir", tmp_path / "export", small=())
    assert code == 1 and "hr@10" not in stdout and "HR@10" not in stdout
    split = "valid" if train_split == "train" else "test"
    assert f"stopped: after epoch 1, DIFSR: NaN or infinite scores for 60 of 60 {split} users" in stderr
    assert "the last good checkpoint is none" in stderr
    assert not [name for name in _names(tmp_path / "run") if name.startswith(("cp-", "best-", "metrics"))]
    assert not (tmp_path / "export").exists()


def test_a_checkpoint_of_which_a_user_has_no_scores_is_neither_judged_nor_exported(run_dir, command, tmp_path):
    """The vector of one user is NaN: of all but that one, scores are in order."""
    name, before = listing.best(run_dir), (run_dir / "metrics.json").read_bytes()
    model = AttRec(60, 60, embedding_dim=4)
    model.compile(optimizer=optimizers.create(TrainConfig(**runs.read_config(str(run_dir))["train"])))
    model.optimizer.build(model.trainable_variables)
    store = Checkpoints(str(run_dir), model)
    progress = store.restore(name)
    users = model.users.embeddings.numpy()
    users[1] = np.nan
    model.users.embeddings.assign(users)
    store._write(name, progress)
    judge = ("--do_train", "0", "--load_weight_path", name, "--num_recommendations", "0")
    code, stdout, stderr = command(run_dir, *judge, "--export_dir", tmp_path / "export")
    assert code == 1 and "stopped: AttRec: NaN or infinite scores for 1 of 60 test users" in stderr
    assert "hr@10" not in stdout and (run_dir / "metrics.json").read_bytes() == before
    code, _, stderr = command(run_dir, *judge, "--do_eval", "0", "--export_dir", tmp_path / "export")
    assert code == 1 and "stopped: AttRec: NaN or infinite weights in users/embeddings" in stderr
    assert not (tmp_path / "export").exists()


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, reference, before_step, command, state):
    run_dir, (soft, hard) = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        code, _, stderr = before_step(
            3, lambda loop: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard)), run_dir, *FLAGS
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    assert f"{run_dir / 'cp-0000-000004'}: cannot be saved" in stderr
    assert "last good checkpoint is cp-0000-000002" in stderr
    assert listing.listed(run_dir) == ["cp-0000-000002"]
    assert not [name for name in _names(run_dir) if "000004" in name]
    assert command(run_dir, *RESUME)[0] == 0
    assert state(run_dir) == state(reference)


def test_a_full_disk_below_the_json_file_takes_the_tensors_along(tmp_path):
    keras.utils.set_random_seed(0)
    model = AttRec(3, 4, embedding_dim=2)
    model.compile(optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    store = Checkpoints(str(tmp_path), model)
    store.save(listing.Progress(epoch=1))
    record.claim(str(tmp_path), "cp-0002")  # as a process that was killed while it saved
    before = _names(tmp_path)
    os.symlink("/dev/full", tmp_path / "cp-0002.json.tmp")
    with pytest.raises(InputError) as error:
        store.save(listing.Progress(epoch=2))
    path = tmp_path / "cp-0002"
    assert str(error.value) == (
        f"{path}: cannot be saved: {path}.json: cannot be written: No space left on device; "
        "the last good checkpoint is cp-0001"
    )
    assert _names(tmp_path) == before


def test_data_without_validation_items_cannot_choose_an_epoch(tmp_path, command, monkeypatch):
    monkeypatch.setattr(Evaluator, "is_empty", lambda self, split: split == "valid")
    for flag in ("--retrain", "--patience"):
        code, _, stderr = command(tmp_path / "run", *FLAGS, "--retrain", "0", flag, "1")
        assert code == 2 and f"{flag}: no user of " in stderr and "has a valid item to choose the epoch by" in stderr
    assert not (tmp_path / "run").exists()
