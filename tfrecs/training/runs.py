"""A run directory as a whole: its configuration, the data it belongs to, the checkpoint that stands for it."""

import dataclasses
import glob
import hashlib
import json
import os
import shutil

import tensorflow as tf

from tfrecs import files
from tfrecs.errors import InputError
from tfrecs.models import MODELS
from tfrecs.training import listing, optimizers
from tfrecs.training.checkpoints import Checkpoints

CONFIG_FILE = "config.json"
RETRAIN = "retrain"  # the folder of the second phase, within the run directory
REPORTS = ("history.csv", "metrics.json", "ranks.parquet", "curves.png", CONFIG_FILE)
LEFT_BY_RUNS = ("cp-*", "best-*", "checkpoint", *REPORTS, "tensorboard")
LEFT_BY_KILLS = tuple(f"{name}.tmp" for name in ("checkpoint", *REPORTS))


def load_model(run_dir, name=None):
    """Rebuilds the trained model of a run directory.

    Args:
        run_dir: str, a directory with `config.json` and checkpoints.
        name: str or None, a checkpoint; default the one `judged` names.

    Returns:
        the model, with the weights of that checkpoint.

    Raises:
        InputError: no configuration or no checkpoint there.
    """
    config = read_config(run_dir)
    try:
        model = MODELS[config["model"]](**config["model_arguments"])
    except TypeError as error:
        raise InputError(f"{os.path.join(run_dir, CONFIG_FILE)}: not the arguments of the model: {error}") from None
    prefix = os.path.join(*judged(run_dir, name))
    weights = tf.train.Checkpoint(variables=[v.value for v in model.weights])
    try:
        weights.read(prefix).assert_existing_objects_matched().expect_partial()
    except listing.READ_ERRORS as error:
        raise InputError(f"{prefix}: damaged, or not of this model: {listing.first_line(error)}") from None
    return model


def judged(run_dir, name=None):
    """The checkpoint that stands for a run.

    Args:
        run_dir: str.
        name: str or None, a checkpoint asked for by name. Default: the retrained model where retraining is whole,
            else the best by validation, else the newest.

    Returns:
        `(directory, name)`.

    Raises:
        InputError: no checkpoint, or none of that name.
    """
    if name is not None:
        return run_dir, listing.find(run_dir, name)
    newest = listing.newest(run_dir)
    if newest is None:
        raise InputError(f"{run_dir}: no checkpoint there")
    chosen = listing.read_progress(run_dir, newest).best
    if chosen is None:
        return run_dir, newest
    folder = os.path.join(run_dir, RETRAIN)
    retrained = listing.newest(folder)
    if retrained and _phase(folder).get("epochs") == chosen["epoch"]:
        progress = listing.read_progress(folder, retrained)
        if (progress.epoch, progress.step) == (chosen["epoch"], 0):
            return folder, retrained
    return run_dir, chosen["name"]


def write_run(run_dir, name, model, config):
    """Writes a run directory around a model that was not trained here, as `cp-0000`.

    Args:
        run_dir: str, made if absent; must hold no run.
        name: str, the model's name on the command line.
        model: a built model.
        config: `TrainConfig`, kept beside it; its optimizer's state, fresh, is part of the checkpoint.

    Raises:
        InputError: the directory holds something already.
    """
    if os.path.isdir(run_dir) and os.listdir(run_dir):
        raise InputError(f"{run_dir}: exists and is not empty")
    os.makedirs(run_dir, exist_ok=True)
    model.compile(optimizer=optimizers.create(config))
    model.optimizer.build(model.trainable_variables)
    Checkpoints(run_dir, model).save(listing.Progress())
    content = {"model": name, "model_arguments": arguments_of(model), "train": dataclasses.asdict(config)}
    files.write_json(os.path.join(run_dir, CONFIG_FILE), content)


def arguments_of(model):
    """The constructor arguments that `config.json` keeps."""
    return {k: v for k, v in model.get_config().items() if k not in ("name", "trainable", "dtype")}


def read_config(run_dir):
    """The `config.json` of a run directory.

    Raises:
        InputError: there is none, or it is not a run's.
    """
    path = os.path.join(run_dir, CONFIG_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        found = config["model"], dict(config["model_arguments"]), dict(config["train"])
    except OSError as error:
        raise InputError(f"{path}: no run there ({error.strerror})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a run's configuration: {error!r}") from None
    if found[0] not in MODELS:
        raise InputError(f"{path}: unknown model {found[0]!r}")
    return config


def data_identity(manifest):
    """What `config.json` keeps of the data: counts, and digests of the vocabularies and of the sequences."""
    vocabularies = [f"{name} {entry.sha256}" for name, entry in sorted(manifest.vocabularies.items())]
    return {
        "num_users": manifest.num_users,
        "num_items": manifest.num_items,
        "num_interactions": manifest.num_interactions,
        "vocabularies_sha256": _digest(vocabularies),
        "sequences_sha256": _digest([shard.sha256 for shard in manifest.shards]),
    }


def check_data(run_dir, config, data_dir, manifest, training):
    """Refuses data whose ids mean something else than those a run was trained on.

    Args:
        run_dir: str.
        config: dict, the run's `config.json`.
        data_dir, manifest: the data at hand.
        training: bool, whether the run trains on; then the sequences must be the same too.

    Raises:
        InputError: naming both.
    """
    arguments, here = config["model_arguments"], data_identity(manifest)
    there = {name: arguments.get(name, here[name]) for name in ("num_users", "num_items")} | config.get("data", {})
    # An original's weights name no data; where users have no vectors, any users will do.
    any_users = "data" not in config and not MODELS[config["model"]].reads_users
    names = ["num_items", "vocabularies_sha256"] if any_users else ["num_users", "num_items", "vocabularies_sha256"]
    names += ["num_interactions", "sequences_sha256"] if training else []
    different = [name for name in names if there.get(name, here[name]) != here[name]]
    if different:
        what = ", ".join(f"{name} {there[name]} there, {here[name]} here" for name in different)
        raise InputError(
            f"{data_dir}: {manifest.name} with {manifest.num_users} users and {manifest.num_items} items is not the "
            f"data of {run_dir}: {config.get('dataset', 'unnamed')} with {there['num_users']} users and "
            f"{there['num_items']} items ({what})"
        )


def start_phase(directory, settings):
    """Makes the folder of the second phase; what one of other settings left, since the first chose anew, goes.

    Args:
        directory: str.
        settings: dict, what follows from the first phase.
    """
    if _phase(directory) != settings:
        _clear(directory)
    os.makedirs(directory, exist_ok=True)
    files.write_json(os.path.join(directory, CONFIG_FILE), settings)


def _phase(directory):
    try:
        with open(os.path.join(directory, CONFIG_FILE), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def clear(run_dir):
    """Removes what an earlier run left in a run directory; other files stay.

    Raises:
        InputError: the directory holds a `config.json` that no run wrote.
    """
    if os.path.lexists(os.path.join(run_dir, CONFIG_FILE)):
        read_config(run_dir)
    _clear(run_dir)
    retrain = os.path.join(run_dir, RETRAIN)
    if os.path.isdir(retrain):
        _clear(retrain)
        if not os.listdir(retrain):
            os.rmdir(retrain)


def _clear(directory):
    for pattern in (*LEFT_BY_RUNS, *LEFT_BY_KILLS):
        for path in glob.glob(os.path.join(glob.escape(directory), pattern)):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def _digest(lines):
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()
