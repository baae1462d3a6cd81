"""Compares a model with numbers read off its original: outputs, loss, gradients and updates."""

import dataclasses
import json
import zipfile

import numpy as np
import tensorflow as tf

from tfrecs.errors import InputError
from tfrecs.importers import attrec
from tfrecs.importers.porter import port

ORIGINALS = (attrec,)
TOLERANCE = {"outputs": 1e-5, "loss": 1e-5, "gradients": 1e-4, "updates": 1e-5}


@dataclasses.dataclass(frozen=True)
class Report:
    """The largest differences of one file.

    Args:
        path: str.
        outputs, loss: float, largest absolute difference.
        gradients: float, largest difference relative to the largest entry of the variable's gradient.
        updates: float, largest absolute difference of the variables after one and three steps, and of the loss
            curve. Variables whose true gradient is zero are left out after three steps: an optimizer turns
            their rounding noise into whole steps.
    """

    path: str
    outputs: float
    loss: float
    gradients: float
    updates: float

    @property
    def passed(self):
        return all(getattr(self, kind) <= limit for kind, limit in TOLERANCE.items())

    def __str__(self):
        numbers = "  ".join(f"{kind} {getattr(self, kind):.2e} (<= {limit:.0e})"
                            for kind, limit in TOLERANCE.items())
        return f"{'ok  ' if self.passed else 'FAIL'} {self.path}: {numbers}"


def check(path):
    """Builds the model from a golden file, loads its weights and compares everything recorded.

    Args:
        path: str, an `.npz` with `config`, `source`, `input/`, `weights/`, `output/`, `grad/`, `after1/`,
            `after3/` and `loss_curve`.

    Returns:
        a `Report`.

    Raises:
        InputError: the file cannot be read, or its case is not supported.
    """
    arrays = _read(path)
    config, source = json.loads(str(arrays["config"])), str(arrays["source"])
    original = next((module for module in ORIGINALS if any(name in source for name in module.SOURCES)), None)
    if original is None:
        raise InputError(f"{path}: case not supported: {source!r}")
    weights = _group(arrays, "weights/")
    try:
        model = original.build(config, weights)
        table = original.name_table(model)
        port(weights, table, path, original.IGNORED)
        batch = original.examples(_group(arrays, "input/"))
        optimizer = original.optimizer(config)
    except KeyError as error:
        raise InputError(f"{path}: case not supported: no {error} in it") from None
    except InputError as error:
        raise InputError(f"{path}: case not supported: {error}") from None
    expected = _group(arrays, "output/")
    found = {name: np.asarray(value) for name, value in original.outputs(model, batch).items()}
    compared = sorted(set(found) & set(expected))
    if not compared or "loss" not in expected:
        raise InputError(f"{path}: case not supported: no known output in it")
    outputs = max(_difference(found[name], expected[name]) for name in compared)
    gradients = _gradients(model, table, batch, _group(arrays, "grad/"))
    updates = _updates(model, optimizer, table, batch, arrays, original)
    loss = max(_difference(found[name], expected[name]) for name in compared if name.startswith("loss"))
    return Report(path, outputs, loss, gradients, updates)


def _gradients(model, table, batch, expected):
    with tf.GradientTape() as tape:
        losses, weights = model.loss_terms(batch, training=True)
        objective = tf.reduce_sum(losses * weights)
        if model.loss_reduction == "mean":
            objective /= tf.reduce_sum(weights)
        if model.losses:
            objective += tf.add_n(model.losses)
    gradients = tape.gradient(objective, [variable.value for variable in table.values()])
    worst = 0.0
    for name, gradient in zip(table, gradients, strict=True):
        if name in expected:
            dense = np.zeros_like(expected[name]) if gradient is None else tf.convert_to_tensor(gradient)
            scale = max(np.abs(expected[name]).max(), 1e-12)
            worst = max(worst, _difference(dense, expected[name]) / scale)
    return worst


def _updates(model, optimizer, table, batch, arrays, original):
    model.compile(optimizer=optimizer, jit_compile=False)
    curve, worst = [], 0.0
    for step in (1, 2, 3):
        model.loss_mean.reset_state()
        curve.append(float(model.train_step(batch)["loss"]))
        for name, expected in _group(arrays, f"after{step}/").items():
            if step == 1 or name not in original.NOISE_VARIABLES:
                worst = max(worst, _difference(table[name], expected))
    return max(worst, _difference(np.array(curve), arrays["loss_curve"]))


def _difference(found, expected):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        return float("inf")
    difference = np.abs(found - expected).max(initial=0.0)
    return float("inf") if np.isnan(difference) else float(difference)


def _group(arrays, prefix):
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _read(path):
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    missing = {"config", "source", "loss_curve"} - set(arrays)
    if missing:
        raise InputError(f"{path}: case not supported: it has no {sorted(missing)}")
    return arrays
