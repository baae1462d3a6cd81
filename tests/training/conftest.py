import json
import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as framework_config

from data_prep.prepare import prepare
from tfrecs.command_line import run as cli
from tfrecs.data import evaluation_batches, training_batches
from tfrecs.progress import StageProgress
from tfrecs.training.loop import Loop

SMALL = ("--embedding_dim", "4", "--batch_size", "64", "--num_recommendations", "0", "--strategy", "none")


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """The sample, tiny: 60 users, about 7 steps an epoch at a batch of 64."""
    return _prepared(tmp_path_factory, num_users=60, seed=7)


@pytest.fixture(scope="session")
def other_data_dir(tmp_path_factory):
    """Other users than `data_dir`, as many items."""
    return _prepared(tmp_path_factory, num_users=50, seed=7)


def _prepared(tmp_path_factory, **options):
    directory = str(tmp_path_factory.mktemp("prepared") / "data")
    prepare("sample", directory, StageProgress(None), num_items=60, mean_length=10, num_shards=2, **options)
    return directory


MADE = {}


@pytest.fixture(autouse=True)
def pipelines_traced_once():
    """Pipelines are pure functions of these arguments, and tracing one takes longer than a tiny run."""
    training, evaluation, made = training_batches.TrainingBatches, evaluation_batches.EvaluationBatches, MADE

    def once(make):
        def wrapper(data_dir, manifest, function, *args, **kwargs):
            if not hasattr(function, "__self__"):
                return make(data_dir, manifest, function, *args, **kwargs)
            plain = [arg.tobytes() if isinstance(arg, np.ndarray) else arg for arg in (*args, *kwargs.values())]
            key = repr((make, data_dir, function.__name__, function.__self__.get_config(), [*kwargs], plain))
            if key not in made:
                made[key] = make(data_dir, manifest, function, *args, **kwargs)
            return made[key]

        return wrapper

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_batches, "TrainingBatches", once(training))
        patch.setattr(evaluation_batches, "EvaluationBatches", once(evaluation))
        yield


@pytest.fixture(autouse=True)
def as_it_was():
    """The command line makes TensorFlow deterministic and Keras seeded for good; other tests chose neither."""
    yield
    framework_config.disable_op_determinism()
    keras.utils.set_random_seed(0)


@pytest.fixture
def command(data_dir, capfd):
    """Runs the command line on the tiny sample; gives (exit code, stdout, stderr)."""

    def run(run_dir, *flags, data=data_dir, small=SMALL):
        argv = ["--model", "attrec", "--data_dir", data, "--run_dir", run_dir, *small, *flags]
        code = cli.main([str(flag) for flag in argv])
        return code, *capfd.readouterr()

    return run


@pytest.fixture(scope="session")
def reference(data_dir, tmp_path_factory):
    """The directory of a finished run of two epochs; copy it, do not touch it."""
    run_dir = tmp_path_factory.mktemp("reference") / "run"
    flags = ("--epochs", "2", "--save_checkpoints_steps", "2", "--keep_checkpoints", "2", "--do_eval", "0")
    argv = ["--model", "attrec", "--data_dir", data_dir, "--run_dir", str(run_dir), *SMALL, *flags]
    assert cli.main(argv) == 0
    return run_dir


@pytest.fixture
def run_dir(reference, tmp_path):
    """A copy of `reference`."""
    return shutil.copytree(reference, tmp_path / "run")


@pytest.fixture
def before_step(monkeypatch, command):
    """Runs the command line; before step `number` of the process, over epochs and phases, calls `action(loop)`."""

    def run(number, action, *args, **options):
        left, make = [number], Loop._steps

        def counting(loop):
            run = make(loop)

            def counted(batches, number, limit):
                left[0] -= 1
                if left[0] == -1:
                    action(loop)
                return run(batches, number, tf.ones_like(limit))

            return counted

        with monkeypatch.context() as patch:
            patch.setattr(Loop, "_steps", counting)
            return command(*args, **options)

    return run


@pytest.fixture
def state():
    """Everything a run leaves that must be equal bit for bit: history, tensors by name, the checkpoints' names."""

    def read(run_dir):
        found = {}
        for folder, _, names in os.walk(run_dir):
            relative = os.path.relpath(folder, run_dir)
            for name in names:
                path = os.path.join(folder, name)
                if name == "history.csv":
                    with open(path, "rb") as file:
                        found[relative, name] = file.read()
                elif name.endswith(".index"):
                    reader = tf.train.load_checkpoint(path.removesuffix(".index"))
                    for tensor in reader.get_variable_to_shape_map():
                        if tensor not in ("_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter/.ATTRIBUTES/VARIABLE_VALUE"):
                            found[relative, name, tensor] = reader.get_tensor(tensor).tobytes()
        return found

    return read


@pytest.fixture
def metrics():
    """The content of a run's `metrics.json`."""

    def read(run_dir):
        with open(os.path.join(run_dir, "metrics.json"), encoding="utf-8") as file:
            return json.load(file)

    return read
