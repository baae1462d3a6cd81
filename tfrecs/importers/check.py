"""Compares a model with recorded numbers of its original: outputs, loss, gradients and updates.

An original is a module of this package, listed in `tfrecs.importers.NAMES`, with

- `SOURCES`: texts, one of which the golden file's `source` contains;
- `IGNORED`: regular expressions of names among the weights that no variable of ours stands for;
- `build_from_golden(config, weights, inputs)`: the model, its variables not assigned, its constant tables filled;
- `name_table(model)`: original name to variable, or to a `porter.Part` of one; names whose variable is not trained are
  compared with `grad_untrained/` and are not expected to be updated;
- `batches(inputs)`: dict of prefix (of the names of outputs and gradients) to examples; `{"": examples}` for one;
- `outputs(model, examples)`: what the file records below `output/<prefix>`, the loss among them, under its names;
- `loss(model, examples)`: the loss as `loss_curve` has it, a scalar or what the mean is taken of;
- `optimizer(config)`: the Keras optimizer;

and optionally

- `steps(config)`: list of `(prefix, learning rate or None)`, the steps recorded; default three on the batch `""`;
- `ranking_disagreement(found, recorded)`: how far a recorded ranking contradicts our outputs.

What the file records and a model does not produce is not compared; gradients, updates, loss and an output must be.
"""

import dataclasses
import importlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence, Set

import numpy as np
import tensorflow as tf

from tfrecs.errors import InputError
from tfrecs.importers import NAMES
from tfrecs.importers.porter import Part, parts, port
from tfrecs.importers.steps import NUM_STEPS, Steps, spread

ORIGINALS = tuple(importlib.import_module(f"tfrecs.importers.{name}") for name in NAMES)
UNREADABLE = (ValueError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error, struct.error)
TOLERANCE = {"outputs": 1e-5, "loss": 1e-5, "gradients": 1e-4, "updates": 1e-5}
SMALLEST_GRADIENT = 1e-3  # a variable whose gradient is smaller throughout is compared as if it were this large
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
    def passed(self) -> bool:
        return all(getattr(self, kind) <= limit for kind, limit in TOLERANCE.items())

    def __str__(self) -> str:
        numbers = "  ".join(f"{kind} {getattr(self, kind):.2e} (<= {limit:.0e})" for kind, limit in TOLERANCE.items())
        return (
            f"{'ok  ' if self.passed else 'FAIL'} {self.path}: {numbers}  "
            f"explained by rounding: {self.rounded} of {self.entries} entries"
        )


def check(path: str) -> Report:
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


def _compare(path: str, arrays: Mapping[str, np.ndarray]) -> Report:
    config = json.loads(str(arrays["config"]))
    source = str(arrays.get("source", config.get("source")))
    original = next((module for module in ORIGINALS if any(name in source for name in module.SOURCES)), None)
    if original is None:
        raise InputError(f"no model for {source!r}")
    weights, inputs = _group(arrays, "weights/"), _group(arrays, "input/")
    model = original.build_from_golden(config, weights, inputs)
    table = parts(original.name_table(model))
    port(weights, table, "weights/", original.IGNORED)
    weights = {name: weights[name] for name in table}
    batches = original.batches(inputs)
    order = original.steps(config) if hasattr(original, "steps") else [("", None)] * NUM_STEPS
    recorded = _recorded(arrays, table, batches, set(config.get("grad_none", config.get("no_grad_parameters", ()))))

    outputs = {
        f"output/{prefix}{name}": np.asarray(value)
        for prefix, batch in batches.items()
        for name, value in original.outputs(model, batch).items()
    }
    if hasattr(original, "ranking_disagreement"):
        # A ranking is right where our scores do not contradict it, whatever the order of equal ones.
        outputs["output/topk_index"] = original.ranking_disagreement(
            _group(outputs, "output/"), _group(arrays, "output/")
        )
        recorded["output/topk_index"] = np.zeros_like(outputs["output/topk_index"])
    steps = Steps(model, table, batches, order, original.optimizer(config), original.loss)
    found = outputs | steps(weights)
    differences = {name: _difference(name, found[name], recorded[name]) for name in sorted(set(found) & set(recorded))}
    lacking = set(TOLERANCE) - {_kind(name) for name in differences}
    if lacking:
        raise InputError(f"it records no {sorted(lacking)} of this model")
    rounded = 0
    if any((differences[name] > TOLERANCE[_kind(name)]).any() for name in differences if name not in outputs):
        moved = spread(steps, weights, found)
        for name in set(moved) & set(differences):
            row = moved[name].max(axis=-1, keepdims=True) if moved[name].ndim else 0.0
            allowed = np.maximum(np.maximum(HEADROOM * moved[name], row), _vague(name, found, recorded, order))
            explained = np.abs(found[name] - recorded[name]) <= allowed
            explained &= differences[name] > TOLERANCE[_kind(name)]
            rounded += int(explained.sum())
            differences[name] = np.where(explained, 0.0, differences[name])
    worst = {
        kind: max((value.max(initial=0.0) for name, value in differences.items() if _kind(name) == kind), default=0.0)
        for kind in TOLERANCE
    }
    return Report(path, **worst, rounded=rounded, entries=sum(value.size for value in differences.values()))


def _recorded(
    arrays: Mapping[str, np.ndarray], table: Mapping[str, Part], batches: Iterable[str], without_gradient: Set[str]
) -> dict[str, np.ndarray]:
    """The arrays to compare; every variable must have its gradients and updates."""
    recorded = dict(arrays)
    for name in set(table) - without_gradient:
        trained = table[name].variable.trainable
        groups = [("grad/" if trained else "grad_untrained/") + prefix for prefix in batches]
        groups += ["after1/"] if sum(key.startswith("after1/") for key in arrays) > 1 else []  # DIF-SR's: of one table
        for group in groups + ["after3/"] * trained:
            if recorded[group + name].shape != table[name].shape:
                raise InputError(f"{group}{name} has shape {recorded[group + name].shape}")
    return recorded


def _difference(name: str, found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Differences in the unit of the tolerance; what is not a number is infinitely far."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        raise InputError(f"{name} has shape {expected.shape}, the model gives {found.shape}")
    scale = np.maximum(1.0, np.abs(expected))
    if _kind(name) == "gradients":
        scale = max(np.abs(expected).max(initial=0.0), SMALLEST_GRADIENT)
    return np.nan_to_num(np.abs(found - expected) / scale, nan=np.inf)


def _vague(
    name: str,
    found: Mapping[str, np.ndarray],
    recorded: Mapping[str, np.ndarray],
    order: Sequence[tuple[str, float | None]],
) -> float | np.ndarray:
    """How far each entry of an updated variable may go astray because its own gradient is no more than rounding."""
    step, _, variable = name.partition("/")
    if not step.startswith("after"):
        return 0.0
    farthest = np.abs(recorded[name] - recorded[f"weights/{variable}"]).max(initial=0.0)
    gradients = {f"grad/{prefix}{variable}" for prefix, _ in order} & set(recorded)
    vague = [np.abs(found[key] - recorded[key]) > VAGUE * np.abs(recorded[key]) for key in sorted(gradients)]
    return 2.0 * farthest * np.any(vague, axis=0) if vague else 0.0


def _kind(name: str) -> str:
    if name.startswith("grad") or name.endswith("/global_norm_tf1"):
        return "gradients"
    if name.startswith("after") or name in ("loss_curve", "output/loss_after3"):
        return "updates"
    return "loss" if name.rpartition("/")[2].startswith("loss") else "outputs"


def _group(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _read(path: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read: not a whole .npz file ({type(error).__name__})") from None
    missing = {"config", "loss_curve"} - set(arrays)
    if missing:
        raise InputError(f"{path}: case not supported: it has no {sorted(missing)}")
    return arrays
