"""Damage to a run directory: nothing older is taken for the newest, and no checkpoint is passed over."""

import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrecs import json_files
from tfrecs.errors import InputError
from tfrecs.models import MODELS
from tfrecs.models.attrec import AttRec
from tfrecs.runs import directory as runs
from tfrecs.runs import listing, record
from tfrecs.runs.checkpoints import Checkpoints
from tfrecs.runs.config import TrainConfig

NAMES = ["cp-0001", "cp-0002", "cp-0003"]


def _model():
    keras.utils.set_random_seed(0)
    model = AttRec(3, 4, embedding_dim=2)
    model.compile(optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run of three epochs, the second of which is the best: (directory, its store)."""
    directory = tmp_path_factory.mktemp("saved") / "run"
    model = _model()
    runs.write_run(str(directory), "attrec", model, TrainConfig())
    record.remove(directory, ["cp-0000"])
    store = Checkpoints(str(directory), model)
    best, history = None, []
    for epoch in (1, 2, 3):
        model.users.embeddings.assign(np.full([4, 2], epoch / 10))
        history = [*history, {"epoch": epoch, "loss": 1 / epoch}]
        if epoch == 2:
            best = {"name": "best-0002", "epoch": 2, "value": 0.5}
            store.save_best(listing.Progress(epoch=2, history=history, best=best))
        store.save(listing.Progress(epoch=epoch, history=history, best=best))
    return directory, store


@pytest.fixture
def directory(saved, tmp_path):
    return str(shutil.copytree(saved[0], tmp_path / "run"))


def _content(directory):
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


def test_no_flipped_bit_of_the_list_makes_an_older_checkpoint_the_newest(directory):
    path = os.path.join(directory, "checkpoint")
    with open(path, "rb") as file:
        content = file.read()
    assert listing.listed(directory) == NAMES
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        with open(path, "wb") as file:
            file.write(damaged)
        assert listing.newest(directory) == "cp-0003", damaged


@pytest.mark.parametrize("text", [b"", b"\x00", b'model_checkpoint_path: "cp-0001"\n', None])
def test_without_the_list_the_checkpoints_themselves_are_listed(directory, text):
    path = Path(directory) / "checkpoint"
    path.unlink() if text is None else path.write_bytes(text)
    assert listing.newest(directory) == "cp-0003" and listing.listed(directory) == NAMES


def test_tensorflow_reads_the_list(directory):
    assert tf.train.latest_checkpoint(directory) == os.path.join(directory, "cp-0003")
    state = tf.train.get_checkpoint_state(directory)
    assert [os.path.basename(path) for path in state.all_model_checkpoint_paths] == NAMES


@pytest.mark.parametrize("end", ["index", "json", "data-00000-of-00001"])
@pytest.mark.parametrize("listed", [True, False])
def test_a_newest_checkpoint_that_is_not_complete_is_not_passed_over(directory, end, listed):
    os.remove(os.path.join(directory, f"cp-0003.{end}"))
    if not listed:  # what a process leaves that is killed while it saves
        Checkpoints(directory, _model())._point(NAMES[:2])
        assert listing.newest(directory) == "cp-0002"
        return
    with pytest.raises(InputError, match="cp-0003: damaged: .*others* checkpoints there: cp-0001, cp-0002") as error:
        listing.newest(directory)
    assert "checkpoint cp-0002 goes on from it" in str(error.value)


def test_where_no_checkpoint_is_complete_nothing_starts_afresh(directory):
    for path in Path(directory).glob("*.json"):
        if path.name.startswith(("cp-", "best-")):
            path.unlink()
    before = _content(directory)
    for damage in ("", None):
        path = Path(directory) / "checkpoint"
        path.unlink() if damage is None else path.write_text(damage)
        with pytest.raises(
            InputError, match=r"no checkpoint there is complete \(best-0002, cp-0001, cp-0002, cp-0003\)"
        ):
            listing.newest(directory)
    assert _content(directory).keys() == before.keys() - {"checkpoint"}


def test_the_best_is_gone_on_from_where_there_is_no_other(directory):
    record.remove(directory, NAMES)
    os.remove(os.path.join(directory, "checkpoint"))
    assert listing.newest(directory) == "best-0002"
    store = Checkpoints(directory, _model())
    progress = store.restore("best-0002")
    store.rewind("best-0002", progress)
    assert listing.listed(directory) == ["cp-0002"] and "best-0002" in record.written(directory)


def test_a_first_save_that_was_cut_short_is_no_checkpoint(tmp_path):
    record.claim(tmp_path, "cp-0001")
    (tmp_path / "cp-0001.index").write_text("")
    (tmp_path / "cp-0001.data-00000-of-00001").write_text("")
    assert listing.newest(tmp_path) is None


@pytest.mark.parametrize("end", ["index", "json", "data-00000-of-00001"])
def test_a_flipped_byte_is_noticed_wherever_it_is(saved, directory, end):
    """TensorFlow's crc32c covers the tensors; the index, which has them, and the JSON have checksums of ours."""
    store = Checkpoints(directory, _model())
    path = Path(directory) / f"cp-0002.{end}"
    content = path.read_bytes()
    positions = range(0, len(content), 1 if end != "data-00000-of-00001" else 5)
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cp-0002.*damaged"):
            store.restore("cp-0002")
            pytest.fail(f"byte {position} of {len(content)}")
    path.write_bytes(content)
    assert store.restore("cp-0002") == saved[1].restore("cp-0002")


@pytest.mark.parametrize("name", ["cp-0001", "best-0002"])
def test_a_checkpoint_in_the_place_of_another_is_noticed(directory, name):
    for end in ("index", "data-00000-of-00001"):
        shutil.copy(os.path.join(directory, f"{name}.{end}"), os.path.join(directory, f"cp-0003.{end}"))
    with pytest.raises(InputError, match="cp-0003: damaged: cp-0003.index is not the file that was saved"):
        listing.read_progress(directory, "cp-0003")


GOOD = {"epoch": 3, "step": 0, "history": [{"epoch": 3, "loss": 0.5}], "best": None}
GOOD |= {"train_seconds": 1.0, "examples": 9, "eval_seconds": 0.0, "index_sha256": "0" * 64}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"epoch": "3"}, "epoch: expected an integer of at least 0, got '3'"),
        ({"epoch": True}, "epoch: expected an integer of at least 0, got true"),
        ({"step": -1}, "step: expected an integer of at least 0, got -1"),
        ({"history": {}}, "history: expected a list, got {}"),
        ({"history": [[]]}, r"history\[0\]: expected an object, got \[\]"),
        ({"history": [{"epoch": 1}]}, "history: a row without epoch or loss"),
        ({"history": [{"epoch": 1, "loss": None}]}, r"history\[0\].loss: expected a number, got null"),
        ({"best": "best-0002"}, "best: expected null or an object, got 'best-0002'"),
        ({"best": {"name": "../x", "epoch": 1, "value": 0.5}}, "best.name: expected text like"),
        ({"best": {"name": "best-0001"}}, "no field best.epoch"),
        ({"examples": 1.5}, "examples: expected an integer of at least 0, got 1.5"),
        ({"more": 1}, "unknown field more"),
        ({"epoch": 2}, "it belongs to cp-0002"),
    ],
)
def test_progress_of_wrong_types_is_refused_by_field(directory, change, message):
    json_files.write(os.path.join(directory, "cp-0003.json"), GOOD | change)
    with pytest.raises(InputError, match=f"cp-0003.json: damaged: {message}"):
        listing.read_progress(directory, "cp-0003")


@pytest.mark.parametrize(
    "content", ["[]", '"x"', "{", {"epochs": "2", "decay_epochs": 0}, {"epochs": 2}, {"epochs": 0, "decay_epochs": 0}]
)
def test_settings_of_a_second_phase_that_are_damaged_are_not_taken_for_others(directory, content):
    folder = os.path.join(directory, "retrain")
    shutil.copytree(directory, folder)
    path = os.path.join(folder, "config.json")
    Path(path).write_text(content) if isinstance(content, str) else json_files.write(path, content)
    before = _content(folder)
    for read in (lambda: runs.start_phase(folder, {"epochs": 2, "decay_epochs": 0}), lambda: runs.judged(directory)):
        with pytest.raises(InputError, match="retrain/config.json"):
            read()
    assert _content(folder) == before


@pytest.mark.parametrize(
    "model, name, value",
    [
        ("arerec", "dropout", [{}] * 9),
        ("arerec", "rating_classes", [None, "x"]),
        ("arerec", "l2", [[]]),
        ("atrank", "attributes", [1]),
        ("atrank", "attribute_sizes", "x"),
        ("dif_sr", "attribute_dim", ["x"]),
        ("dif_sr", "attribute_sizes", {}),
        ("dif_sr", "attribute_weight", [[]]),
    ],
)
def test_lists_of_wrong_values_in_a_configuration(directory, model, name, value):
    arguments = MODELS[model].minimal_sizes | {name: value}
    runs.write_config(directory, {"model": model, "model_arguments": arguments, "train": {}})
    with pytest.raises(InputError):
        runs.load_model(directory)
