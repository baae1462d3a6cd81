"""Compares a model with numbers read off its original: outputs, loss, gradients and updates."""

import dataclasses
import json
import struct
import zipfile
import zlib

import numpy as np
import tensorflow as tf

from tfrecs.errors import InputError
from tfrecs.importers import attrec
from tfrecs.importers.porter import port
from tfrecs.models.gradients import global_norm, merge_rows

ORIGINALS = (attrec,)
UNREADABLE = (ValueError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error, struct.error)
TOLERANCE = {"outputs": 1e-5, "loss": 1e-5, "gradients": 1e-4, "updates": 1e-5}
SMALLEST_GRADIENT = 1e-3  # a variable whose gradient is smaller throughout is compared as if it were this large
PERTURBATION = 2.4e-7  # of each weight, relative: two units in float32's last place
STEP_PERTURBATION = 1e-5  # of the learning rate, relative: see `attrec.optimizer`
PERTURBED_RUNS = 4
VAGUE = 1e-3  # how much of an entry's gradient may differ, relative, before its update says nothing
HEADROOM = 10.0  # how much more than the perturbed runs the original may differ, where rounding decides


@dataclasses.dataclass(frozen=True)
class Report:
    """The largest differences of one file, against `TOLERANCE`.

    Differences of outputs, loss and updates are absolute, or relative where the original's value exceeds 1; those of
    gradients are relative to the largest entry of the variable's gradient.

    Some entries are decided by rounding: Adam makes a whole step of a gradient of 1e-8 that is 0 but for rounding,
    and a hinge or a ReLU at its corner goes either way. Which ones is measured, not assumed. Where gradients or
    updates exceed their tolerance, the steps are repeated from weights that differ in the last digits; an entry may
    differ from the original by ten times what that moves it, or by what it moves its row. An updated entry whose
    gradients differ by a thousandth of themselves (and little enough, or `gradients` exceeds its own tolerance) may
    differ by twice the longest step recorded. Entries so explained are counted in `rounded` and left out of the
    largest difference. A wrong implementation gains little by it: rounding moves a wrong step no further than a
    right one.

    Args:
        path: str.
        outputs: float; includes how far the recorded ranking contradicts our scores.
        loss: float.
        gradients: float; includes the norm that clipping compares.
        updates: float, of the variables after one and three steps, and of the loss before and after them.
        rounded: int, entries of gradients and updates above their tolerance that rounding explains.
        entries: int, all entries compared.
    """

    path: str
    outputs: float
    loss: float
    gradients: float
    updates: float
    rounded: int
    entries: int

    @property
    def passed(self):
        return all(getattr(self, kind) <= limit for kind, limit in TOLERANCE.items())

    def __str__(self):
        numbers = "  ".join(f"{kind} {getattr(self, kind):.2e} (<= {limit:.0e})" for kind, limit in TOLERANCE.items())
        return (
            f"{'ok  ' if self.passed else 'FAIL'} {self.path}: {numbers}  "
            f"explained by rounding: {self.rounded} of {self.entries} entries"
        )


def check(path):
    """Builds the model from a golden file, loads its weights and compares everything recorded.

    Args:
        path: str, an `.npz` with `config`, `source`, `input/`, `weights/`, `output/`, `grad/`, `after1/`,
            `after3/` and `loss_curve`.

    Returns:
        a `Report`.

    Raises:
        InputError: the file cannot be read, or its case is not supported.

    Example:
        >>> check("absent.npz")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: absent.npz: cannot be read: No such file or directory
    """
    arrays = _read(path)
    try:
        # Reduced precision, which accelerators use for products, is no part of the comparison.
        with tf.device("CPU:0"):
            return _compare(path, arrays)
    except KeyError as error:
        raise InputError(f"{path}: case not supported: it has no {error}") from None
    except (ValueError, TypeError, IndexError, tf.errors.OpError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise InputError(f"{path}: case not supported: {reason}") from None


def _compare(path, arrays):
    config, source = json.loads(str(arrays["config"])), str(arrays["source"])
    original = next((module for module in ORIGINALS if any(name in source for name in module.SOURCES)), None)
    if original is None:
        raise InputError(f"no model for {source!r}")
    weights = _group(arrays, "weights/")
    model = original.build(weights, original.described(config))
    table = original.name_table(model)
    port(weights, table, "weights/", original.IGNORED)
    for name in set(table) - set(config.get("grad_none", ())):
        for group in ("grad/", "after1/", "after3/"):
            if arrays[group + name].shape != tuple(table[name].shape):
                raise InputError(f"{group}{name} has shape {arrays[group + name].shape}")
    batch = original.examples(_group(arrays, "input/"))

    outputs = {f"output/{name}": np.asarray(value) for name, value in original.outputs(model, batch).items()}
    outputs["output/topk_index"] = original.disorder(_group(outputs, "output/"), _group(arrays, "output/"))
    arrays["output/topk_index"] = np.zeros_like(outputs["output/topk_index"])
    found = dict(outputs)
    steps = _Steps(model, table, batch, original.optimizer(config))
    found |= steps(weights)
    differences = {name: _difference(name, found[name], arrays[name]) for name in sorted(set(found) & set(arrays))}
    rounded = 0
    if any((differences[name] > TOLERANCE[_kind(name)]).any() for name in differences if name not in outputs):
        spread = _spread(steps, weights, found)
        for name in set(spread) & set(differences):
            row = spread[name].max(axis=-1, keepdims=True) if spread[name].ndim else 0.0
            allowed = np.maximum(np.maximum(HEADROOM * spread[name], row), _vague(name, found, arrays))
            explained = np.abs(found[name] - arrays[name]) <= allowed
            explained &= differences[name] > TOLERANCE[_kind(name)]
            rounded += int(explained.sum())
            differences[name] = np.where(explained, 0.0, differences[name])
    worst = {
        kind: max((value.max(initial=0.0) for name, value in differences.items() if _kind(name) == kind), default=0.0)
        for kind in TOLERANCE
    }
    return Report(path, **worst, rounded=rounded, entries=sum(value.size for value in differences.values()))


def _difference(name, found, expected):
    """Differences in the unit of the tolerance; what is not a number is infinitely far."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        raise InputError(f"{name} has shape {expected.shape}, the model gives {found.shape}")
    scale = np.maximum(1.0, np.abs(expected))
    if _kind(name) == "gradients":
        scale = max(np.abs(expected).max(initial=0.0), SMALLEST_GRADIENT)
    return np.nan_to_num(np.abs(found - expected) / scale, nan=np.inf)


def _spread(steps, weights, found):
    """How far rounding moves each entry, as far as steps from weights that differ in their last digits tell."""
    spread, random = {}, np.random.default_rng(0)
    for _ in range(PERTURBED_RUNS):
        wobbly = {
            name: (value * (1 + PERTURBATION * random.uniform(-1, 1, value.shape))).astype(value.dtype)
            for name, value in sorted(weights.items())
        }
        for name, value in steps(wobbly, 1 + STEP_PERTURBATION * random.uniform(-1, 1)).items():
            spread[name] = np.maximum(spread.get(name, 0.0), np.abs(value - found[name]))
    return spread


class _Steps:
    """Gradients, the norm to clip, and three training steps, from any weights."""

    def __init__(self, model, table, batch, optimizer):
        self.model, self.table, self.batch = model, table, batch
        model.compile(optimizer=optimizer, jit_compile=False)
        optimizer.build(model.trainable_variables)
        self.initial = [variable.numpy() for variable in optimizer.variables]
        self.learning_rate = float(optimizer.learning_rate)

    def __call__(self, weights, stride=1.0):
        """Returns a dict under the golden file's names; `stride` scales the learning rate."""
        for name, variable in self.table.items():
            variable.assign(weights[name])
        optimizer = self.model.optimizer
        for variable, value in zip(optimizer.variables, self.initial):
            variable.assign(value)
        optimizer.learning_rate.assign(self.learning_rate * stride)
        gradients, norm = self._gradients()
        found = {f"grad/{name}": gradient for name, gradient in zip(self.table, gradients)}
        found["output/global_norm_tf1"] = norm
        curve = []
        for step in (1, 2, 3):
            self.model.loss_mean.reset_state()
            curve.append(float(self.model.train_step(self.batch)["loss"]))
            found |= {f"after{step}/{name}": variable.numpy() for name, variable in self.table.items()}
        found["loss_curve"], found["output/loss_after3"] = curve, self.model.loss_terms(self.batch, training=True)[0]
        return {name: np.asarray(value, np.float64) for name, value in found.items()}

    def _gradients(self):
        model = self.model
        with tf.GradientTape() as tape:
            terms, weights = model.loss_terms(self.batch, training=True)
            objective = tf.reduce_sum(terms * weights)
            if model.loss_reduction == "mean":
                objective /= tf.reduce_sum(weights)
            if model.losses:
                objective += tf.add_n(model.losses)
        sources = [variable.value for variable in self.table.values()]
        gradients = tape.gradient(objective, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        dense = [merge_rows(gradient, dense=True) for gradient in gradients]
        counted = gradients if model.clip_unmerged_rows else dense
        return dense, global_norm(counted, tf.distribute.get_replica_context())


def _vague(name, found, arrays):
    """How far each entry of an updated variable may go astray because its own gradient is no more than rounding."""
    step, _, variable = name.partition("/")
    if not step.startswith("after") or f"grad/{variable}" not in arrays:
        return 0.0
    ours, recorded = found[f"grad/{variable}"], arrays[f"grad/{variable}"]
    farthest = np.abs(arrays[name] - arrays[f"weights/{variable}"]).max(initial=0.0)
    return np.where(np.abs(ours - recorded) > VAGUE * np.abs(recorded), 2.0 * farthest, 0.0)


def _kind(name):
    if name.startswith("grad/") or name == "output/global_norm_tf1":
        return "gradients"
    if name.startswith("after") or name in ("loss_curve", "output/loss_after3"):
        return "updates"
    return "loss" if name.startswith("output/loss") else "outputs"


def _group(arrays, prefix):
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _read(path):
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read: not a whole .npz file ({type(error).__name__})") from None
    missing = {"config", "source", "loss_curve", "output/loss"} - set(arrays)
    if missing:
        raise InputError(f"{path}: case not supported: it has no {sorted(missing)}")
    return arrays
