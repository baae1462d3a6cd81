"""What a run directory may hold that cannot be gone on from: each case is named, and nothing is changed."""

import hashlib
import json
import shutil

import pytest

from tfrecs import json_files
from tfrecs.command_line.arguments import parse
from tfrecs.data import manifest
from tfrecs.errors import InputError, command_line
from tfrecs.evaluation.evaluator import Evaluator
from tfrecs.runs import directory as runs
from tfrecs.runs import listing, record
from tfrecs.training import session

# As the fixture `reference` is made.
FLAGS = ("--epochs", "2", "--save_checkpoints_steps", "2", "--keep_checkpoints", "2", "--do_eval", "0")
RESUME = (*FLAGS, "--load_model", "1")


def _names(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: path.with_suffix(".json").write_text('{"epoch": 2,'), "cp-0002.json: damaged"),
        (lambda path: path.with_suffix(".json").write_text('{"epochs": 2}'), "cp-0002.json: damaged"),
        (lambda path: path.with_suffix(".json").write_text("[]"), "cp-0002.json: damaged"),
        (
            lambda path: shutil.copy(*path.parent.glob("cp-0001-*.json"), path.with_suffix(".json")),
            "cp-0002.json: damaged",
        ),
        (lambda path: path.with_suffix(".data-00000-of-00001").write_bytes(b"short"), "cp-0002: damaged"),
        (lambda path: _flip(path.with_suffix(".data-00000-of-00001")), "cp-0002: damaged"),
        (lambda path: path.with_suffix(".index").write_bytes(b"no table"), "cp-0002: damaged"),
    ],
)
def test_a_damaged_checkpoint_is_named_with_those_that_are_left(run_dir, command, damage, message):
    damage(run_dir / "cp-0002")
    code, _, stderr = command(run_dir, *RESUME)
    assert code == 2
    assert f"{run_dir}/{message}" in stderr
    assert "other checkpoints there: cp-0001" in stderr


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("text", ["", "\x00\x01", "model_checkpoint_path", None])
def test_the_list_of_checkpoints_can_be_read_off_the_files(run_dir, text):
    whole = listing.listed(run_dir)
    (run_dir / "checkpoint").unlink() if text is None else (run_dir / "checkpoint").write_text(text)
    assert listing.listed(run_dir) == whole != []


def test_what_a_killed_writer_left_is_no_checkpoint_and_goes(run_dir, command):
    whole = _names(run_dir)
    record.claim(run_dir, "cp-0003")  # as a writer does before it writes
    (run_dir / "cp-0003_temp").mkdir()
    (run_dir / "cp-0003.index").write_bytes(b"")
    (run_dir / "checkpoint.tmp").write_bytes(b"")
    assert listing.newest(run_dir) == "cp-0002"
    code, _, stderr = command(run_dir, *RESUME, "--load_weight_path", "cp-3")
    assert code == 2 and "no such checkpoint" in stderr
    assert command(run_dir, *RESUME)[0] == 0
    assert _names(run_dir) == whole


def test_a_checkpoint_of_other_sizes_is_refused(run_dir, command):
    config = runs.read_config(run_dir)
    config["model_arguments"]["embedding_dim"] = 6
    runs.write_config(run_dir, config)
    code, _, stderr = command(run_dir, *FLAGS[:2], "--embedding_dim", "6", "--load_model", "1")
    assert code == 2
    assert f"{run_dir / 'cp-0002'}: damaged, or of another model, other sizes" in stderr


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "not a run's configuration"),
        ('{"model": "attrec", "model_arguments": {}, "train": {}}', "it has no checksum"),
        ({"model": "attrec"}, "no field model_arguments"),
        ({"model": ["attrec"], "model_arguments": {}, "train": {}}, "model: expected text like "),
        ({"model": "bert4rec", "model_arguments": {}, "train": {}}, "model: expected text like "),
        ({"model": "attrec", "model_arguments": [], "train": {}}, "model_arguments: expected an object, got []"),
        ({"model": "attrec", "model_arguments": {"width": 1}, "train": {}}, "unknown field model_arguments.width"),
        (
            {"model": "attrec", "model_arguments": {"embedding_dim": "4"}, "train": {}},
            "model_arguments.embedding_dim: expected an integer, got '4'",
        ),
        ({"model": "attrec", "model_arguments": {}, "train": {"speed": 1}}, "unknown field train.speed"),
        (
            {"model": "attrec", "model_arguments": {}, "train": {"epochs": [1]}},
            "train.epochs: expected an integer, got [1]",
        ),
        ({"model": "attrec", "model_arguments": {}, "train": {}, "data": []}, "data: expected an object, got []"),
        ({"model": "attrec", "model_arguments": {}, "train": {}, "preset": {}}, "preset: expected text, got {}"),
        (
            {"model": "attrec", "model_arguments": {}, "train": {"epochs": 0}},
            "not a configuration of this version: --epochs: expected at least 1, got 0",
        ),
    ],
)
def test_a_configuration_that_is_not_a_runs_is_refused(reference, tmp_path, data_dir, content, message):
    run_dir = shutil.copytree(reference, tmp_path / "run")
    path = run_dir / "config.json"
    path.write_text(content) if isinstance(content, str) else json_files.write(path, content)
    recipe = parse(["--model", "attrec"]).recipe
    with pytest.raises(InputError, match="config.json") as error, command_line():
        session.run(recipe, data_dir, manifest.load(data_dir), str(run_dir), session.Actions(resume=True), None)
    assert message in str(error.value)


def test_contradictions_are_listed_and_nothing_changes(run_dir, command, state):
    before, config = state(run_dir), (run_dir / "config.json").read_text()
    given = ("--embedding_dim", "5", "--seed", "3", "--preset", "original", "--epochs", "9")
    code, _, stderr = command(run_dir, *RESUME, *given)
    assert code == 2
    for part in ("--embedding_dim 5 (the run has 4)", "--seed 3 (the run has 0)", "--preset original (the run has"):
        assert part in stderr
    assert "--epochs" not in stderr
    assert state(run_dir) == before and (run_dir / "config.json").read_text() == config


def test_what_a_run_keeps_and_how_long_it_goes_on_may_change(run_dir, command):
    flags = ("--load_model", "1", "--patience", "1", "--keep_checkpoints", "1", "--epochs", "1", "--do_eval", "0")
    code, _, stderr = command(run_dir, *flags)
    assert code == 0 and "resuming from" in stderr
    kept = json.loads((run_dir / "config.json").read_text())["train"]
    assert (kept["patience"], kept["keep_checkpoints"], kept["epochs"]) == (1, 1, 1)
    assert kept["save_checkpoints_steps"] == 2, "what is not named stays"


def test_other_data_are_refused_naming_both(run_dir, command, other_data_dir, tmp_path, data_dir):
    code, _, stderr = command(run_dir, *RESUME, data=other_data_dir)
    assert code == 2
    assert "sample with 50 users and 60 items is not the data of" in stderr
    assert "sample with 60 users and 60 items" in stderr and str(other_data_dir) in stderr
    same_counts = shutil.copytree(data_dir, tmp_path / "data")
    manifest = json.loads((tmp_path / "data" / "dataset.json").read_text())
    users = (tmp_path / "data" / "vocab" / "user.txt").read_text().replace("u", "v").encode()
    (tmp_path / "data" / "vocab" / "user.txt").write_bytes(users)
    manifest["vocabularies"]["user"]["sha256"] = hashlib.sha256(users).hexdigest()
    del manifest[json_files.CHECKSUM]
    json_files.write(str(tmp_path / "data" / "dataset.json"), manifest)
    code, _, stderr = command(run_dir, *RESUME, data=same_counts)
    assert code == 2 and "vocabularies_sha256" in stderr


@pytest.mark.parametrize("name", ["run [1]", "run*", "run?"])
def test_a_directory_that_checkpoints_cannot_be_read_from_is_refused(tmp_path, command, name):
    code, _, stderr = command(tmp_path / name, *FLAGS)
    assert code == 2
    assert f"--run_dir {tmp_path / name}: TensorFlow reads no checkpoints where a name holds" in stderr
    assert not (tmp_path / name).exists()


def test_a_missing_checkpoint_is_an_error_that_lists_those_there_are(run_dir, command):
    code, _, stderr = command(run_dir, *RESUME, "--load_weight_path", "cp-0009")
    assert code == 2
    assert f"{run_dir}/cp-0009: no such checkpoint; there are: best-000" in stderr and ", cp-0002" in stderr


@pytest.mark.parametrize("model, fits", [("dif_sr", True), ("atrank", True), ("attrec", False), ("arerec", False)])
def test_weights_of_an_original_suit_any_users_where_users_have_no_vectors(data_dir, model, fits):
    found = manifest.load(data_dir)
    config = {"model": model, "model_arguments": {"num_users": 1, "num_items": found.num_items}, "train": {}}
    if fits:
        runs.check_data("run", config, data_dir, found, training=False)
    else:
        with pytest.raises(InputError, match="num_users 1 there, 60 here"):
            runs.check_data("run", config, data_dir, found, training=False)
    with pytest.raises(InputError, match="num_users 1 there, 60 here"):
        runs.check_data("run", config | {"data": {}}, data_dir, found, training=False)


def test_a_second_phase_needs_the_epoch_of_the_first(tmp_path, command, monkeypatch):
    monkeypatch.setattr(Evaluator, "evaluate", lambda self, split: ({"users": 3}, 0.0))
    code, _, stderr = command(tmp_path / "run", "--epochs", "1", "--retrain", "1", "--select_metric", "mrr")
    assert code == 2 and "--retrain: validation had no mrr here to choose the epoch by" in stderr
    assert not (tmp_path / "run" / "retrain").exists() and not (tmp_path / "run" / "metrics.json").exists()


def test_fewer_epochs_than_a_run_has_are_said_to_change_nothing(tmp_path, reference, command):
    run_dir = shutil.copytree(reference, tmp_path / "run")
    code, _, stderr = command(run_dir, *RESUME, "--epochs", "1")
    assert code == 0 and "nothing to train: cp-0002 has 2 epochs, --epochs 1\n" in stderr
    assert "at most 1 epoch\n" in stderr
