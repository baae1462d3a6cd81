"""One run in its run directory, from prepared data to `metrics.json`: train or resume, evaluate, write the results."""

import contextlib
import dataclasses
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tfrecs import files
from tfrecs.data.manifest import Manifest, read_vocabulary
from tfrecs.errors import InputError, option
from tfrecs.models import MODELS
from tfrecs.progress import note
from tfrecs.runs import directory, history, listing, lock, metrics_file, pointer, record
from tfrecs.runs.config import JUDGING, TrainConfig
from tfrecs.runs.listing import Progress
from tfrecs.training import recipe as recipes
from tfrecs.training import summary
from tfrecs.training.experiment import Experiment, check_arguments, check_data, enable_determinism
from tfrecs.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Actions:
    """What a run is to do.

    Args:
        train: bool; without it the run that is there is judged.
        evaluate: bool, measure the model and the baselines on the test split.
        resume: bool, go on from the newest checkpoint; from scratch where there is none.
        checkpoint: str or None, go on from, or judge, this checkpoint.
        overwrite: bool, remove the run that the directory holds and start from scratch.
        tensorboard: bool, write the history as scalars too.
    """

    train: bool = True
    evaluate: bool = True
    resume: bool = False
    checkpoint: str | None = None
    overwrite: bool = False
    tensorboard: bool = False

    @property
    def starts_fresh(self) -> bool:
        """Whether training starts from nothing."""
        return self.train and self.checkpoint is None and not self.resume


def check(recipe: Recipe, run_dir: str, actions: Actions, named: Collection[str] = ()) -> None:
    """Refuses what can be refused before any data are read or made; makes TensorFlow deterministic for good.

    Args:
        recipe: `Recipe`.
        run_dir: str.
        actions: `Actions`.
        named: as for `run`.

    Raises:
        InputError: the directory cannot hold the run, or an argument is out of its range.
    """
    if actions.overwrite and not actions.starts_fresh:
        other = option("load_model 1", "resume=True") if actions.resume else option("load_weight_path", "checkpoint")
        other = other if actions.train else option("do_train 0")
        raise InputError(f"{option('overwrite')} 1: removes the run that {other} needs")
    directory.check_start(run_dir, actions.starts_fresh, actions.overwrite)
    enable_determinism()
    if actions.starts_fresh or listing.newest(run_dir) is None:
        check_arguments(recipe.model, recipe.model_arguments, recipe.config)
    else:
        stored = directory.read_config(run_dir)
        _check_given(run_dir, stored, recipe, actions, named)
        _config_of(run_dir, stored, recipe)


@contextlib.contextmanager
def locked(run_dir: str, actions: Actions) -> Iterator[contextlib.ExitStack]:
    """Keeps other processes out of a run directory that is there; a new one is locked once it is made."""
    with contextlib.ExitStack() as stack:
        if record.is_marked(run_dir) and (actions.train or actions.evaluate):
            stack.enter_context(lock.exclusive(run_dir))
            directory.check_start(run_dir, actions.starts_fresh, actions.overwrite)
        yield stack


def run(
    recipe: Recipe,
    data_dir: str,
    manifest: Manifest,
    run_dir: str,
    actions: Actions,
    stack: contextlib.ExitStack,
    named: Collection[str] = (),
) -> tuple[Experiment, dict[str, Any]]:
    """Trains, evaluates and writes the results.

    Args:
        recipe: `Recipe`; of a run that goes on, only given values count.
        data_dir: str, verified prepared data.
        manifest: its `Manifest`.
        run_dir: str, checked with `check`, within `locked`.
        actions: `Actions`.
        stack: `contextlib.ExitStack` that keeps the directory's lock, from `locked`.
        named: of `model` and `preset`, those that were asked for, which a stored run must agree with.

    Returns:
        `(experiment, metrics)`: the `Experiment` with the weights to be judged, and the content of `metrics.json`.

    Raises:
        InputError: data or arguments that do not fit the run or the model.
        NotFiniteError: training or evaluation ran into NaN or infinity.
    """
    preset, model_arguments, config, resume = _stored(recipe, data_dir, manifest, run_dir, actions, named)
    check_data(recipe.model, model_arguments, config, data_dir, manifest, actions.train)
    experiment = Experiment(recipe.model, model_arguments, config, data_dir, manifest, run_dir)
    metrics = {
        "model": recipe.model,
        "preset": preset,
        "dataset": manifest.name,
        "protocol": config.protocol,
        "seed": config.seed,
        "exclude_seen": experiment.evaluator.protocol.exclude_seen,
        "retrained_on_validation": config.retrain,
        "num_users": manifest.num_users,
        "num_items": manifest.num_items,
        "num_interactions": manifest.num_interactions,
    }
    ranks = None
    if actions.train:
        note(summary.of_model(experiment.model))
        epochs = "1 epoch" if config.epochs == 1 else f"{config.epochs} epochs"
        note(f"training: {metrics_file.title(metrics, config.train_split)}; at most {epochs}")
        if config.jit_compile:
            by_tokens = "every length of histories" if config.batch_tokens else "a whole one, the last of an epoch"
            note(f"{option('jit_compile')} 1: XLA compiles the step for each shape of a batch: {by_tokens}")
        experiment.check()
        stack.enter_context(lock.exclusive(run_dir))
        description = {"preset": preset}
        progress, retrained = experiment.train(
            resume, actions.checkpoint, description, actions.tensorboard, actions.overwrite
        )
        metrics |= metrics_file.of_training(progress, retrained)
    else:
        path, progress = experiment.load(actions.checkpoint)
        note(f"judging {path}")
        checkpoint = os.path.relpath(path, run_dir)
        metrics |= {"checkpoint": checkpoint} | _of_judged(checkpoint, progress)
        metrics["retrained_on_validation"] = _is_of_second_phase(checkpoint)
    if actions.evaluate:
        test, ranks = metrics_file.of_test(experiment)
        metrics |= test
    if actions.evaluate or actions.train:
        metrics_file.plot(run_dir, progress, metrics, config.train_split)
        history.write_ranks(run_dir, read_vocabulary(data_dir, manifest, "user") if ranks else (), ranks)
        files.write_json(os.path.join(run_dir, history.METRICS_FILE), metrics | history.environment())
    return experiment, metrics


def judge(
    run_dir: str, checkpoint: str | None, data_dir: str, manifest: Manifest, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Measures a trained run and its baselines on the test split; writes nothing.

    Args:
        run_dir: str.
        checkpoint: str or None, default the one that stands for the run.
        data_dir, manifest: the data of the run.
        given: dict of `TrainConfig`'s arguments that say how to judge, those of `runs.config.JUDGING`.

    Returns:
        dict, as from `metrics_file.of_test`.

    Raises:
        InputError: an argument that the run contradicts, or that has no effect on judging.
        NotFiniteError: scores are NaN or infinite.
    """
    stored = directory.read_config(run_dir)
    recipe = recipes.create(stored["model"], stored.get("preset") or "recommended", given, goes_on=True)
    actions = Actions(train=False, checkpoint=checkpoint)
    _refuse_to_judge_by(name for name in recipe.given_config if name not in JUDGING)
    _, model_arguments, config, _ = _stored(recipe, data_dir, manifest, run_dir, actions, ())
    _refuse_to_judge_by(recipe.given_model)
    check_data(recipe.model, model_arguments, config, data_dir, manifest, training=False)
    experiment = Experiment(recipe.model, model_arguments, config, data_dir, manifest, run_dir)
    experiment.load(checkpoint)
    return metrics_file.of_test(experiment)[0]


def _refuse_to_judge_by(names: Iterable[str]) -> None:
    for name in names:
        raise InputError(f"{option(name)}: says nothing of how a run is judged; {', '.join(JUDGING)} do")


def _stored(
    recipe: Recipe, data_dir: str, manifest: Manifest, run_dir: str, actions: Actions, named: Collection[str]
) -> tuple[str, Mapping[str, Any], TrainConfig, bool]:
    """Preset, model arguments and `TrainConfig` of the run that goes on or is judged, else those of the recipe.

    Also whether training resumes a run.
    """
    if actions.starts_fresh:
        return recipe.preset, recipe.model_arguments, recipe.config, False
    if actions.checkpoint is not None:
        listing.find(run_dir, actions.checkpoint)
    elif listing.newest(run_dir) is None:
        if not actions.train:
            raise InputError(f"{run_dir}: no checkpoint there to judge; {option('do_train')} 1 trains first")
        note(f"no checkpoint in {run_dir}: starting fresh")
        # A run that stopped before its first checkpoint goes on, and needs no --overwrite.
        return recipe.preset, recipe.model_arguments, recipe.config, True
    for folder in (run_dir, os.path.join(run_dir, directory.RETRAIN)):
        if pointer.exists(folder) and pointer.read(folder) is None:
            path = os.path.join(folder, pointer.FILE_NAME)
            note(f"{path}: damaged; the checkpoints themselves are listed, {listing.newest(folder)} is the newest")
    stored = directory.read_config(run_dir)
    _check_given(run_dir, stored, recipe, actions, named)
    directory.check_data(run_dir, stored, data_dir, manifest, actions.train)
    decided = MODELS[stored["model"]].minimal_sizes
    model_arguments = {k: v for k, v in stored["model_arguments"].items() if k not in decided}
    with _naming_file(run_dir):
        check_arguments(stored["model"], model_arguments, recipes.configure(stored["train"], {}))
    config = _config_of(run_dir, stored, recipe)
    if recipe.given_config:
        check_arguments(stored["model"], model_arguments, config)
    return stored.get("preset", recipe.preset), model_arguments, config, True


def _check_given(
    run_dir: str, stored: Mapping[str, Any], recipe: Recipe, actions: Actions, named: Collection[str]
) -> None:
    """Refuses given values that a stored run contradicts; `named` as for `run`."""
    wrong = recipes.contradictions(stored, recipe, actions.train, named)
    if wrong:
        afresh = f"{option('load_model 0', 'resume=False')} {option('overwrite 1', 'overwrite=True')}"
        raise InputError(
            f"{run_dir}: the stored run has other hyper-parameters: {'; '.join(wrong)}; leave them out, or start "
            f"afresh with {afresh} or in another {option('run_dir')}"
        )


def _config_of(run_dir: str, stored: Mapping[str, Any], recipe: Recipe) -> TrainConfig:
    """The configuration of a stored run with the given values on top."""
    with _naming_file(run_dir):
        recipes.configure(stored["train"], {})
    return recipes.configure(stored["train"], recipe.given_config)


@contextlib.contextmanager
def _naming_file(run_dir: str) -> Iterator[None]:
    """A context whose errors are of what the run directory's configuration says."""
    try:
        yield
    except (TypeError, InputError) as error:
        path = os.path.join(run_dir, directory.CONFIG_FILE)
        raise InputError(f"{path}: not a configuration of this version: {error}") from None


def _is_of_second_phase(checkpoint: str) -> bool:
    """Whether a checkpoint, named relative to its run directory, was trained on validation items too."""
    return os.path.dirname(checkpoint) == directory.RETRAIN


def _of_judged(checkpoint: str, progress: Progress) -> dict[str, Any]:
    """What is known of a checkpoint that was not trained here; its validation metrics, where an epoch ends.

    Args:
        checkpoint: str, its name, relative to the run directory.
        progress: `Progress`, of the phase that chose its epoch.
    """
    name = os.path.basename(checkpoint)
    _, (epoch, step) = listing.position(name)
    by_name = {"epochs_run": epoch, "best_epoch": epoch} | metrics_file.of_epoch(progress, epoch)
    if _is_of_second_phase(checkpoint) or name.startswith("best-"):
        return metrics_file.of_training(progress)
    return {"epochs_run": epoch} if step else by_name
