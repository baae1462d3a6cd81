"""Checkpoints of a run: complete state under `cp-EEEE` (epochs done) or `cp-EEEE-SSSSSS` (and steps into the next).

TensorFlow's checkpoint writer (temporary names, then rename) holds the tensors, a JSON file beside it the history,
and the file `checkpoint`, replaced last, says which one is newest: a kill at any moment leaves the one before whole.
NOTE: `tf.train.CheckpointManager` does the same in the same order but can neither pad numbers nor keep a JSON
beside a checkpoint.
"""

import dataclasses
import glob
import json
import os
import shutil

import keras
import tensorflow as tf

from tfrecs import files
from tfrecs.errors import InputError
from tfrecs.models import MODELS

CONFIG_FILE = "config.json"
SAVE_ERRORS = (OSError, tf.errors.OpError)


@dataclasses.dataclass
class Progress:
    """Where a run stands; what a checkpoint holds besides tensors.

    Args:
        epoch: int, whole epochs done.
        step: int, steps done in the epoch after them.
        history: list of dict, a row per whole epoch.
        best: dict or None, `name`, `epoch` and `value` of the best checkpoint by validation.
        train_seconds: float, spent in training steps so far.
        examples: int, training examples seen so far.
        eval_seconds: float, spent in validation so far.
    """

    epoch: int = 0
    step: int = 0
    history: list = dataclasses.field(default_factory=list)
    best: dict | None = None
    train_seconds: float = 0.0
    examples: int = 0
    eval_seconds: float = 0.0

    @property
    def name(self):
        return f"cp-{self.epoch:04d}" + (f"-{self.step:06d}" if self.step else "")


class Checkpoints:
    """The checkpoints of one run directory.

    Args:
        directory: str.
        model: a built model, compiled with a built optimizer.
        keep: int, how many are kept; the best is kept apart.
    """

    def __init__(self, directory, model, keep=3):
        self.directory, self.keep = directory, keep
        # Keras leaves dropout's random state and metric totals out of what TensorFlow tracks by itself.
        seeds = [v.value for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
        totals = [v.value for v in model.loss_mean.variables]
        self._checkpoint = tf.train.Checkpoint(
            variables=[v.value for v in model.trainable_variables], seeds=seeds, totals=totals,
            optimizer=[v.value for v in model.optimizer.variables])
        for folder in glob.glob(os.path.join(directory, "*_temp")):
            shutil.rmtree(folder, ignore_errors=True)  # what a killed writer left

    @property
    def newest(self):
        """The newest whole checkpoint's name, or None."""
        return newest(self.directory)

    def save(self, progress):
        """Saves everything under `progress.name`, then drops what is older than `keep`."""
        kept = [name for name in _listed(self.directory) if name != progress.name]
        names = [*kept, progress.name]
        dropped, names = names[:-self.keep], names[-self.keep:]
        self._write(progress.name, progress)
        self._point(names)
        best_name = progress.best["name"] if progress.best else None
        stale = [_stem(path) for path in glob.glob(os.path.join(self.directory, "best-*.index"))]
        for name in [*dropped, *(name for name in stale if name != best_name)]:
            self._remove(name)

    def save_best(self, progress):
        """Saves the state as `best-EEEE`; older ones go when a checkpoint that names this one is safe."""
        name = f"best-{progress.epoch:04d}"
        self._write(name, progress)
        return name

    def restore(self, name):
        """Restores every tensor and returns the `Progress` saved with it.

        Args:
            name: str, `cp-0002`, `cp-2` or `best-0002`.

        Raises:
            InputError: no such checkpoint, or it belongs to another model.
        """
        name = find(self.directory, name)
        prefix = os.path.join(self.directory, name)
        try:
            self._checkpoint.read(prefix).assert_consumed()
            with open(f"{prefix}.json", encoding="utf-8") as file:
                return Progress(**json.load(file))
        except (AssertionError, ValueError, TypeError, OSError, tf.errors.OpError) as error:
            reason = str(error).split("\n")[0]
            raise InputError(f"{prefix}: not a checkpoint of this model and optimizer, or damaged: {reason}") from None

    def rewind(self, name):
        """Makes `name` the newest: later checkpoints are dropped, since training will go through them again."""
        names = _listed(self.directory)
        if name in names and name != names[-1]:
            kept = names[: names.index(name) + 1]
            self._point(kept)
            for later in names[len(kept):]:
                self._remove(later)

    def _write(self, name, progress):
        prefix = os.path.join(self.directory, name)
        try:
            self._checkpoint.write(prefix)
            files.write_json(f"{prefix}.json", dataclasses.asdict(progress))
        except SAVE_ERRORS as error:
            self._remove(name)
            raise self._failed(name, error) from None

    def _point(self, names):
        # The text form of TensorFlow's CheckpointState, which `tf.train.latest_checkpoint` reads.
        lines = [f'model_checkpoint_path: "{names[-1]}"', *(f'all_model_checkpoint_paths: "{name}"' for name in names)]
        try:
            files.write_text(os.path.join(self.directory, "checkpoint"), "\n".join(lines) + "\n")
        except OSError as error:
            raise self._failed(names[-1], error) from None

    def _failed(self, name, error):
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        return InputError(f"{os.path.join(self.directory, name)}: cannot be saved: {reason}; "
                          f"the last good checkpoint is {self.newest or 'none'}")

    def _remove(self, name):
        prefix = os.path.join(self.directory, name)
        for path in [*glob.glob(f"{prefix}.*"), *glob.glob(f"{prefix}_temp")]:
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def newest(directory):
    """The name of the newest whole checkpoint of a run directory, or None."""
    names = _listed(directory)
    return names[-1] if names else None


def best(directory):
    """The name of the best checkpoint by validation that the newest one knows of, or None."""
    name = newest(directory)
    if name is None:
        return None
    with open(os.path.join(directory, f"{name}.json"), encoding="utf-8") as file:
        entry = json.load(file)["best"]
    return entry["name"] if entry else None


def find(directory, name):
    """Resolves a checkpoint's name, with or without leading zeros.

    Raises:
        InputError: there is none of that name; those there are, are listed.
    """
    wanted = _numbers(name)
    there = sorted(_stem(path) for path in glob.glob(os.path.join(directory, "*.index")))
    for candidate in there:
        if _numbers(candidate) == wanted:
            return candidate
    raise InputError(f"{os.path.join(directory, name)}: no such checkpoint; there are: {', '.join(there) or 'none'}")


def load_model(run_dir, name=None):
    """Rebuilds the trained model of a run directory.

    Args:
        run_dir: str, a directory with `config.json` and checkpoints.
        name: str or None; default the best by validation, else the newest.

    Returns:
        the model, with the weights of that checkpoint.

    Raises:
        InputError: no configuration or no checkpoint there.
    """
    config = read_config(run_dir)
    model = MODELS[config["model"]](**config["model_arguments"])
    name = name or best(run_dir) or newest(run_dir)
    if name is None:
        raise InputError(f"{run_dir}: no checkpoint there")
    prefix = os.path.join(run_dir, find(run_dir, name))
    weights = tf.train.Checkpoint(variables=[v.value for v in model.trainable_variables])
    try:
        weights.read(prefix).assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{prefix}: not a checkpoint of this model: {str(error).splitlines()[0]}") from None
    return model


def write_run(run_dir, name, model, train=None):
    """Writes a run directory around a model that was not trained here, as `cp-0000`.

    Args:
        run_dir: str, made if absent; must hold no run.
        name: str, the model's name on the command line.
        model: a built model.
        train: dict or None, training options to keep beside it.

    Raises:
        InputError: the directory holds something already.
    """
    if os.path.isdir(run_dir) and os.listdir(run_dir):
        raise InputError(f"{run_dir}: exists and is not empty")
    os.makedirs(run_dir, exist_ok=True)
    model.compile(optimizer=keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    Checkpoints(run_dir, model).save(Progress())
    arguments = {k: v for k, v in model.get_config().items() if k not in ("name", "trainable", "dtype")}
    files.write_json(os.path.join(run_dir, CONFIG_FILE),
                     {"model": name, "model_arguments": arguments, "train": train or {}})


def read_config(run_dir):
    """The `config.json` of a run directory, or InputError."""
    path = os.path.join(run_dir, CONFIG_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        if config["model"] not in MODELS:
            raise InputError(f"{path}: unknown model {config['model']!r}")
        return config
    except OSError as error:
        raise InputError(f"{path}: no run there ({error.strerror})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a run's configuration: {error!r}") from None


def _listed(directory):
    state = tf.train.get_checkpoint_state(directory)
    names = [os.path.basename(path) for path in state.all_model_checkpoint_paths] if state else []
    return [name for name in names if os.path.exists(os.path.join(directory, f"{name}.index"))]


def _stem(path):
    return os.path.basename(path).removesuffix(".index")


def _numbers(name):
    kind, *numbers = name.removesuffix(".index").split("-")
    return kind, tuple(int(number) if number.isdigit() else number for number in numbers)
