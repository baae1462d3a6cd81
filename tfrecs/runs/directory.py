"""A run directory as a whole: its configuration, the data it belongs to, the checkpoint that stands for it."""

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from tfrecs import files, json_files, optimizers
from tfrecs.data.manifest import Manifest
from tfrecs.errors import InputError, option
from tfrecs.models import MODELS
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.runs import config_file, listing, record, schemas
from tfrecs.runs.checkpoints import Checkpoints
from tfrecs.runs.config import TrainConfig
from tfrecs.runs.record import CONFIG as CONFIG_FILE
from tfrecs.runs.record import RETRAIN

# What a constructor may raise where a list holds values of wrong types, which no schema describes.
ARGUMENT_ERRORS = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
REMEDY = "move {} away to have the second phase trained again"


def load_model(run_dir: str, name: str | None = None) -> SequentialRecommender:
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
    except ARGUMENT_ERRORS as error:
        reason = listing.first_line(error)
        raise InputError(f"{os.path.join(run_dir, CONFIG_FILE)}: not the arguments of the model: {reason}") from None
    prefix = os.path.join(*judged(run_dir, name))
    weights = tf.train.Checkpoint(variables=[v.value for v in model.weights])
    try:
        weights.read(prefix).assert_existing_objects_matched().expect_partial()
    except listing.READ_ERRORS as error:
        raise InputError(f"{prefix}: damaged, or not of this model: {listing.first_line(error)}") from None
    return model


def judged(run_dir: str, name: str | None = None) -> tuple[str, str]:
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
    phase = _phase(folder) if retrained else None
    if retrained and phase and phase["epochs"] == chosen["epoch"]:
        progress = listing.read_progress(folder, retrained)
        if (progress.epoch, progress.step) == (chosen["epoch"], 0):
            return folder, retrained
    return run_dir, chosen["name"]


def write_run(run_dir: str, name: str, model: SequentialRecommender, config: TrainConfig) -> None:
    """Writes a run directory around a model that was not trained here, as `cp-0000`.

    Args:
        run_dir: str, made if absent; must hold no run.
        name: str, the model's name on the command line.
        model: a built model.
        config: `TrainConfig`, stored with it; its optimizer's state, fresh, is part of the checkpoint.

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
    write_config(run_dir, content)


def arguments_of(model: SequentialRecommender) -> dict[str, Any]:
    """The constructor arguments that `config.json` keeps."""
    return {k: v for k, v in model.get_config().items() if k not in ("name", "trainable", "dtype")}


def read_config(run_dir: str) -> dict[str, Any]:
    """The `config.json` of a run directory.

    Raises:
        InputError: there is none, or it is not a run's.
    """
    path = os.path.join(run_dir, CONFIG_FILE)
    if not os.path.lexists(path):
        raise InputError(f"{path}: no run there")
    return config_file.read(path)


def write_config(run_dir: str, config: Mapping[str, Any]) -> None:
    """Writes the `config.json` of a run directory, which `read_config` reads."""
    json_files.write(os.path.join(run_dir, CONFIG_FILE), config)


def data_identity(manifest: Manifest) -> dict[str, Any]:
    """What `config.json` keeps of the data: counts, and digests of the vocabularies and of the sequences."""
    vocabularies = [f"{name} {entry.sha256}" for name, entry in sorted(manifest.vocabularies.items())]
    return {
        "num_users": manifest.num_users,
        "num_items": manifest.num_items,
        "num_interactions": manifest.num_interactions,
        "vocabularies_sha256": _digest(vocabularies),
        "sequences_sha256": _digest([shard.sha256 for shard in manifest.shards]),
    }


def check_data(run_dir: str, config: Mapping[str, Any], data_dir: str, manifest: Manifest, training: bool) -> None:
    """Refuses data whose ids mean something else than those a run was trained on.

    Args:
        run_dir: str.
        config: dict, the run's `config.json`.
        data_dir, manifest: the directory of prepared data, and its manifest.
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


def start(run_dir: str, fresh: bool, overwrite: bool = False) -> None:
    """Makes a run directory ready to be written; call with its lock taken.

    Args:
        run_dir: str, made if absent.
        fresh: bool, the run starts from nothing.
        overwrite: bool, remove the run that is there first.

    Raises:
        InputError: see `check_start`.
    """
    check_start(run_dir, fresh, overwrite)
    if fresh:
        record.clear(run_dir)
    record.mark(run_dir, _verified(run_dir) if _is_unmarked_run(run_dir) else ())
    record.remove_stale(run_dir)


def check_start(run_dir: str, fresh: bool, overwrite: bool = False) -> None:
    """Refuses a directory that a run cannot start in; writes nothing.

    Raises:
        InputError: TensorFlow cannot read checkpoints there, it is not a run directory but holds names that a run
            writes, a folder of it is a link, its marker is damaged, or it holds a run and `fresh` without `overwrite`.
    """
    listing.check_directory(run_dir)
    files.check_writable(option("run_dir"), run_dir)
    if fresh or not _is_unmarked_run(run_dir):
        record.check(run_dir)
    if fresh:
        record.check(os.path.join(run_dir, RETRAIN))
    record.check_links(run_dir, fresh)
    for folder in (run_dir, os.path.join(run_dir, RETRAIN)):
        record.written(folder)
    if fresh and not overwrite and record.is_used(run_dir):
        removes, resumes = option("overwrite 1", "overwrite=True"), option("load_model 1", "resume=True")
        raise InputError(
            f"{option('run_dir')} {run_dir}: holds a run already; {removes} removes it, {resumes} resumes it, "
            f"or name another {option('run_dir')}"
        )


def _is_unmarked_run(run_dir: str) -> bool:
    """Whether a directory without marker is a run directory all the same: its configuration's checksum shows it."""
    path = os.path.join(run_dir, CONFIG_FILE)
    if record.is_marked(run_dir) or not os.path.lexists(path):
        return False
    try:
        json_files.load(path, "a run's configuration")
    except InputError:
        return False
    return True


def _verified(run_dir: str) -> list[str]:
    """The checkpoints whose checksums show that tfrecs wrote them."""
    found = []
    for name in listing.on_disk(run_dir):
        with contextlib.suppress(InputError):
            listing.read_progress(run_dir, name)
            found.append(name)
    return found


def start_phase(directory: str, settings: Mapping[str, Any]) -> None:
    """Makes the folder of the second phase; what one of other settings left, since the first chose anew, goes.

    Args:
        directory: str.
        settings: dict, what follows from the first phase.
    """
    start(directory, _phase(directory) != settings, overwrite=True)
    json_files.write(os.path.join(directory, CONFIG_FILE), settings)


def _phase(directory: str) -> dict[str, Any] | None:
    """The settings of the second phase, None where it has not begun."""
    path = os.path.join(directory, CONFIG_FILE)
    if not os.path.lexists(path) and not listing.listed(directory):
        return None
    return json_files.read(path, schemas.PHASE, "the settings of a second phase", REMEDY.format(directory))


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()
