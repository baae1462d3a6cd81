"""`.keras` files: found in a new process, and what an optimizer was given."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.models.attrec.test_attrec import SIZES
from tfrecs.models import load_model
from tfrecs.models.attrec import AttRec
from tfrecs.models.saving import seed_states
from tfrecs.optimizers import LazyAdam


@pytest.mark.slow
def test_a_new_process_loads_a_model_after_importing_tfrecs_alone(tmp_path):
    model = AttRec(**SIZES)
    model.compile(LazyAdam(0.25))
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    program = (
        "import tfrecs; model = tfrecs.models.load_model('model.keras'); "
        "print(type(model).__name__, type(model.optimizer).__name__, float(model.optimizer.learning_rate))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == "AttRec LazyAdam 0.25\n"


@pytest.mark.parametrize("auto_scale_loss", [True, False])
def test_how_it_was_compiled(tmp_path, auto_scale_loss):
    model = AttRec(**SIZES, dtype="mixed_float16")
    optimizer = keras.optimizers.SGD(0.5, momentum=0.9, global_clipnorm=2.0)
    model.compile(optimizer, steps_per_execution=4, jit_compile=True, auto_scale_loss=auto_scale_loss)
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    found = load_model(tmp_path / "model.keras")
    assert isinstance(found.optimizer, keras.optimizers.LossScaleOptimizer) == auto_scale_loss
    inner = found.optimizer.inner_optimizer if auto_scale_loss else found.optimizer
    assert (inner.momentum, inner.global_clipnorm, found.steps_per_execution) == (0.9, 2.0, 4)
    assert found.under_xla == model.under_xla == found.jit_compile
    assert not load_model(tmp_path / "model.keras", compile=False).compiled


def test_weights_files_keep_random_states(tmp_path):
    """Those of `BackupAndRestore`; a file without them, of an earlier version, leaves them as they are."""
    keras.utils.set_random_seed(1)
    model, other = AttRec(**SIZES), AttRec(**SIZES)
    inputs = {"user": np.array([1]), "history": np.array([[3, 5, 2, 1]])}
    model.encode(inputs, training=True)
    model.save_weights(tmp_path / "new.weights.h5")
    other.load_weights(tmp_path / "new.weights.h5")
    states = [np.asarray(state) for state in seed_states(model)]
    assert states and all((np.asarray(state) == kept).all() for state, kept in zip(seed_states(other), states))
    again = [one.encode(inputs, training=True)["intent"].numpy() for one in (model, other)]
    np.testing.assert_array_equal(*again)
