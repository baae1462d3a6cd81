"""Python arguments of wrong types: an error that names the argument, before anything is built, removed or written."""

import os
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
import pytest

import tfrecs
from tests.prepared import write
from tfrecs.arguments import checked, conform
from tfrecs.command_line import run as command_line
from tfrecs.data.dataset import Dataset
from tfrecs.errors import InputError, NotFiniteError, naming, option
from tfrecs.errors import command_line as on_command_line
from tfrecs.models import MODELS
from tfrecs.runs import directory
from tfrecs.runs.config import TrainConfig

SIZES = {"embedding_dim": 4, "max_history": 3, "num_targets": 1}
LOG = pd.DataFrame({"user": ["a", "a", "b", "b"], "item": ["x", "y", "y", "z"]})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a model that was not trained, on five items."""
    folder = tmp_path_factory.mktemp("run")
    rows = {user: ((2, 3), {"item": [1, 2, 3, 4]}) for user in (1, 2, 3)}
    write(str(folder / "data"), rows, 5)
    model = MODELS["attrec"](3, 5, **SIZES)
    directory.write_run(str(folder / "run"), "attrec", model, TrainConfig())
    return tfrecs.load(folder / "run", data=folder / "data")


def files_of(path):
    return {
        os.path.join(folder, name): os.path.getmtime(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
    }


@pytest.mark.parametrize(
    "value, wanted, found",
    [
        (np.bool_(True), bool, True),
        (np.int64(3), int, 3),
        (2, float, 2.0),
        (np.float32(0.5), float, 0.5),
        ([1, np.int32(2)], tuple[int, ...], (1, 2)),
        (iter(["a", 1]), Sequence[Hashable], ["a", 1]),
        (iter([iter("ab")]), Sequence[Sequence[Hashable]], [["a", "b"]]),
        (None, int | None, None),
        ("runs", str | os.PathLike[str], "runs"),
    ],
)
def test_what_is_meant_is_taken(value, wanted, found):
    got = conform("value", value, wanted)
    assert got == found and type(got) is type(found)


@pytest.mark.parametrize(
    "value, wanted, message",
    [
        ("no", bool, "True or False, got 'no'"),
        (1, bool, "True or False, got 1"),
        (None, bool, "True or False, got None"),
        (np.int64(1), bool, "True or False, got "),
        (True, int, "an integer, got True"),
        (np.bool_(True), int, "an integer, got "),
        (1.0, int, "an integer, got 1.0"),
        ("3", int, "an integer, got '3'"),
        ("x", float, "a number, got 'x'"),
        (True, float, "a number, got True"),
        (5, str, "text, got 5"),
        (5, tuple[int, ...], "a list of integers, got 5"),
        ([True], tuple[int, ...], r"a list of integers, got \[True\]"),
        ("ab", tuple[int, ...], "a list of integers, got 'ab'"),
        ("ab", Sequence[Hashable], "a list of tokens, got 'ab'"),
        (5, Sequence[Sequence[Hashable]], "a list, got 5"),
        (5, str | os.PathLike[str], "a path, got 5"),
        (b"runs", str | os.PathLike[str], "a path, got a bytes"),
        ("a\0b", str | os.PathLike[str], "a path, got "),
        ("a\udcffb", str | os.PathLike[str], "a path, got "),
        ("a\0b", str, "text, got "),
        (LOG, Dataset | str | os.PathLike[str] | None, "a Dataset or a path, got a pandas DataFrame"),
    ],
)
def test_a_value_of_another_type_is_refused(value, wanted, message):
    with pytest.raises(InputError, match=f"^value: expected {message}"):
        conform("value", value, wanted)


def test_a_row_of_rows_is_named_by_its_place():
    with pytest.raises(InputError, match=r"^histories\[1\]: expected a list of tokens, got 'b'"):
        conform("histories", [["a"], "b"], Sequence[Sequence[Hashable]])


def test_a_checked_function_keeps_its_name_and_defaults():
    @checked
    def add(first: int, second: int = 2, **others: int):
        """Adds."""
        return first + second + len(others)

    assert (add.__name__, add.__doc__) == ("add", "Adds.") and add(np.int64(1), more="unchecked") == 4
    with pytest.raises(InputError, match="^second: expected an integer, got '3'"):
        add(1, "3")
    with pytest.raises(TypeError, match="missing a required argument"):
        add()


def test_messages_call_an_option_as_its_caller_does():
    with naming(user_column="user"):
        assert option("user_column") == "user"
        with naming(path="data"):
            assert (option("user_column"), option("path"), option("items")) == ("user", "data", "items")
        assert option("path") == "path"
    with on_command_line(), naming(raw_dir="data_path"):
        assert (option("raw_dir"), option("data_dir", "data")) == ("--data_path", "--data_dir")


@pytest.mark.parametrize("name", ["overwrite", "resume", "evaluate", "tensorboard", "retrain", "jit_compile"])
@pytest.mark.parametrize("value", ["no", 0, None])
def test_a_switch_of_train_takes_true_and_false_alone(run, name, value):
    before = files_of(run.run_dir)
    with pytest.raises(InputError, match=f"^{name}: expected True or False, got {value!r}$"):
        tfrecs.train("attrec", run.data, run_dir=run.run_dir, **{"overwrite": True, name: value}, **SIZES)
    assert files_of(run.run_dir) == before


@pytest.mark.parametrize(
    "values, message",
    [
        ({"patience": 1.5}, "patience: expected an integer, got 1.5"),
        ({"epochs": True}, "epochs: expected an integer, got True"),
        ({"epochs": "3"}, "epochs: expected an integer, got '3'"),
        ({"epochs": None}, "epochs: expected an integer, got None"),
        ({"epochs": 2.5}, "epochs: expected an integer, got 2.5"),
        ({"seed": True}, "seed: expected an integer, got True"),
        ({"seed": 1.5}, "seed: expected an integer, got 1.5"),
        ({"keep_checkpoints": 1.5}, "keep_checkpoints: expected an integer, got 1.5"),
        ({"learning_rate": "x"}, "learning_rate: expected a number, got 'x'"),
        ({"learning_rate": 10**400}, "learning_rate: expected a number above 0, got inf"),
        ({"learning_rate": None}, "learning_rate: expected a number, got None"),
        ({"weight_decay": None}, "weight_decay: expected a number, got None"),
        ({"beta_2": "a"}, "beta_2: expected a number, got 'a'"),
        ({"topk": 5}, "topk: expected a list of integers, got 5"),
        ({"topk": [True]}, r"topk: expected a list of integers, got \[True\]"),
        ({"topk": (0,)}, "topk: expected integers of at least 1, got 0"),
        ({"protocol": ["a"]}, r"protocol: expected text, got \['a'\]"),
        ({"optimizer": None}, "optimizer: expected text, got None"),
        ({"select_metric": "nope"}, "select_metric: no metric 'nope' of protocol full_ranking"),
        ({"checkpoint": 5}, "checkpoint: expected text, got 5"),
        ({"model": ["attrec"]}, r"model: expected text, got \['attrec'\]"),
        ({"preset": 5}, "preset: expected text, got 5"),
        ({"run_dir": 5}, "run_dir: expected a path, got 5"),
        ({"run_dir": "/etc/passwd"}, "run_dir /etc/passwd: /etc/passwd is not a directory"),
        ({"run_dir": "run [1]"}, r"run_dir run \[1\]: TensorFlow reads no checkpoints"),
        ({"data": 5}, "data: expected a Dataset or a path, got 5"),
        ({"data": None}, "data: expected a Dataset or a path, got None"),
        ({"data": LOG}, "data: expected a Dataset or a path, got a pandas DataFrame"),
        ({"resume": True, "overwrite": True}, "overwrite 1: removes the run that resume=True needs"),
        ({"checkpoint": "cp-1", "overwrite": True}, "overwrite 1: removes the run that checkpoint needs"),
    ],
)
def test_arguments_of_train(run, tmp_path, values, message):
    arguments = {"model": "attrec", "data": run.data, "run_dir": tmp_path / "run", **values}
    with pytest.raises(InputError, match=f"^{message}"):
        tfrecs.train(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_there_is_named_in_python_words(run):
    message = "holds a run already; overwrite=True removes it, resume=True resumes it, or name another run_dir$"
    with pytest.raises(InputError, match=message):
        tfrecs.train("attrec", run.data, run_dir=run.run_dir, **SIZES)


def test_numbers_of_numpy_are_stored_as_pythons():
    config = TrainConfig(epochs=np.int64(3), learning_rate=np.float32(0.5), topk=[np.int32(5)], retrain=np.bool_(True))
    assert [type(value) for value in (config.epochs, config.learning_rate, config.retrain)] == [int, float, bool]
    assert config.topk == (5,) and type(config.topk[0]) is int


@pytest.mark.parametrize(
    "ask, message",
    [
        (lambda run: tfrecs.load(None), "run_dir: expected a path, got None"),
        (lambda run: tfrecs.load(3), "run_dir: expected a path, got 3"),
        (lambda run: tfrecs.load(run.run_dir, checkpoint=1), "checkpoint: expected text, got 1"),
        (lambda run: tfrecs.load(run.run_dir, data=5), "data: expected a Dataset or a path, got 5"),
        (lambda run: tfrecs.Dataset(None), "data_dir: expected a path, got None"),
        (lambda run: run.export(None), "export_dir: expected a path, got None"),
        (lambda run: run.export("/etc/passwd", k=2), "export_dir /etc/passwd: "),
        (lambda run: run.export("out", k=10**9), "k: expected an integer from 1 to 5, the items there are, got 10"),
        (lambda run: run.export("out", k=1.5), "k: expected an integer, got 1.5"),
        (lambda run: run.recommend(exclude_seen="no"), "exclude_seen: expected True or False, got 'no'"),
        (lambda run: run.recommend(exclude_seen=None), "exclude_seen: expected True or False, got None"),
        (lambda run: run.recommend(histories=5), "histories: expected a list, got 5"),
        (lambda run: run.recommend(histories=["item1"]), r"histories\[0\]: expected a list of tokens, got 'item1'"),
        (lambda run: run.recommend(kind=5), "kind: expected text, got 5"),
        (lambda run: run.recommend(k=True), "k: expected an integer, got True"),
        (lambda run: run.similar_items(5), "items: expected a list of tokens, got 5"),
        (lambda run: run.evaluate(exclude_seen="no"), "exclude_seen: expected True or False, got 'no'"),
        (lambda run: run.evaluate(protocol=["a"]), r"protocol: expected text, got \['a'\]"),
        (lambda run: run.evaluate(protocol="rated_list"), "protocol rated_list: AttRec predicts no ratings"),
        (lambda run: run.evaluate(topk=5), "topk: expected a list of integers, got 5"),
        (lambda run: run.evaluate(topk=(True,)), r"topk: expected a list of integers, got \(True,\)"),
        (lambda run: run.evaluate(eval_batch_size="5"), "eval_batch_size: expected an integer, got '5'"),
        (lambda run: run.evaluate(num_eval_negatives=2.5), "num_eval_negatives: expected an integer, got 2.5"),
        (lambda run: run.evaluate(epochs=5), "epochs: says nothing of how a run is judged; topk, protocol, "),
        (lambda run: run.evaluate(retrain=True), "retrain: says nothing of how a run is judged"),
        (lambda run: run.evaluate(embedding_dim=4), "embedding_dim: says nothing of how a run is judged"),
        (lambda run: run.evaluate(embedding_dim=5), r".*embedding_dim 5 \(the run has 4\)"),
    ],
)
def test_questions_to_a_run(run, ask, message):
    with pytest.raises(InputError, match=f"^{message}"):
        ask(run)


def test_iterators_and_numbers_of_numpy_ask_the_same(run):
    expected = run.recommend(histories=[["item1"], ["item2", "item3"]], k=2)
    assert len(expected) == 4
    given = (iter(history) for history in (["item1"], ["item2", "item3"]))
    pd.testing.assert_frame_equal(run.recommend(histories=given, k=np.int64(2)), expected)
    pd.testing.assert_frame_equal(run.recommend(iter(["user1"]), k=1), run.recommend(["user1"], k=1))
    pd.testing.assert_frame_equal(run.similar_items(iter(["item1"]), k=2), run.similar_items(["item1"], k=2))


def test_vectors_that_are_no_numbers(run):
    again = tfrecs.load(run.run_dir, data=run.data)
    table = next(v for v in again.model.trainable_variables if v.shape[0] > 5)
    table.assign(np.where(np.arange(table.shape[0])[:, None] == 2, np.nan, table.numpy()))
    for ask in (lambda: again.similar_items(["item2"], k=1), again.item_vectors):
        with pytest.raises(NotFiniteError, match="^AttRec: NaN or infinite vectors of 1 of 5 items$"):
            ask()


def test_what_is_given_is_blamed_not_the_stored_configuration(run, capsys):
    flags = ("--data_dir", run.data.data_dir, "--run_dir", run.run_dir, "--load_model", "1", "--epochs", "50")
    config = directory.read_config(run.run_dir)
    stored = {**config, "train": {**config["train"], "epochs": 30, "decay_epochs": 30}}
    directory.write_config(run.run_dir, stored)
    try:
        assert command_line.main(["--model", "attrec", *flags]) == 2
    finally:
        directory.write_config(run.run_dir, config)
    assert "run.py: error: --epochs: the learning rate is 0 after --decay_epochs 30" in capsys.readouterr().err
