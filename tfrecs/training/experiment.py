"""A run from prepared data to numbers: build, resume, train, choose by validation, look at the test split once."""

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrecs import optimizers
from tfrecs.data import dataset, training_batches
from tfrecs.data.manifest import Manifest
from tfrecs.data.training_batches import TrainingBatches
from tfrecs.errors import InputError, option
from tfrecs.evaluation import evaluator, protocols
from tfrecs.models import MODELS, construction
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.progress import note
from tfrecs.runs import directory, history, listing, lock
from tfrecs.runs.checkpoints import Checkpoints
from tfrecs.runs.config import TrainConfig, validates
from tfrecs.runs.listing import Progress
from tfrecs.training import memory, strategy
from tfrecs.training.loop import Loop


class Experiment:
    """One model on one prepared data set in one run directory.

    Args:
        model_name: str, a key of `models.MODELS`.
        model_arguments: dict, keyword arguments of its constructor; what the data decides is added.
        config: `TrainConfig`.
        data_dir: str.
        manifest: its `Manifest`.
        run_dir: str, made if absent.

    Attributes:
        model: the model of the phase that is trained or evaluated.
        trained_on: str, the split that this phase trains on.
        evaluator: `evaluation.evaluator.Evaluator` of the model.
    """

    def __init__(
        self,
        model_name: str,
        model_arguments: Mapping[str, Any],
        config: TrainConfig,
        data_dir: str,
        manifest: Manifest,
        run_dir: str,
    ) -> None:
        self.model_name, self.config = model_name, config
        self.data_dir, self.manifest, self.run_dir = data_dir, manifest, run_dir
        self.arguments = model_arguments
        self.strategy = strategy.create(config.strategy)
        self.model = self._build(config.train_split)
        self._checked = False

    def _build(self, split: str) -> SequentialRecommender:
        """The model and its evaluator for what a phase trains on."""
        self.trained_on = split
        cls = MODELS[self.model_name]
        options = {"split": split, "dtype": self.config.precision}
        keras.utils.set_random_seed(self.config.seed)
        with self.strategy.scope():
            model = construction.create(cls, self.arguments, self.data_dir, self.manifest, **options)
            # Keras denies XLA where operations are deterministic; `Loop` compiles the step itself.
            model.compile(optimizer=optimizers.create(self.config), jit_compile=False)
            model.under_xla, model.weight_decay = self.config.jit_compile, self.config.weight_decay
            model.optimizer.build(model.trainable_variables)
        self.evaluator = evaluator.create(model, self.config, self.strategy, self.data_dir, self.manifest)
        return model

    def train(
        self,
        resume: bool = False,
        name: str | None = None,
        describe: Mapping[str, Any] | None = None,
        tensorboard: bool = False,
        overwrite: bool = False,
    ) -> tuple[Progress, Progress | None]:
        """Trains, from scratch or from a checkpoint, then loads the weights to evaluate.

        Args:
            resume: bool, continue from the newest checkpoint; from scratch where there is none.
            name: str or None, continue from this checkpoint instead.
            describe: dict of more entries for `config.json`.
            tensorboard: bool, write the history as scalars below `tensorboard` too.
            overwrite: bool, remove the run that the directory holds, rather than refuse to start from scratch.

        Returns:
            the finished `Progress` of the phase that chose the epoch, and that of the retraining or None.

        Raises:
            InputError: the checkpoint is not this model's, there is nothing to train on or to choose the epoch by, or a
                file cannot be written.
            NotFiniteError: the loss, the weights or the scores are no longer numbers.
        """
        self.check()
        with lock.exclusive(self.run_dir):
            return self._train(resume, name, describe, tensorboard, overwrite)

    def _train(
        self, resume: bool, name: str | None, describe: Mapping[str, Any] | None, tensorboard: bool, overwrite: bool
    ) -> tuple[Progress, Progress | None]:
        directory.start(self.run_dir, not (resume or name), overwrite)
        directory.write_config(self.run_dir, {**self.description(), **(describe or {})})
        validated = validates(self.config.train_split, self.config.validation_split)
        progress = self._fit(self.run_dir, self._training_batches, self.config, validated, name, tensorboard)
        retrained = None
        if self.config.retrain:
            if progress.best is None:
                metric = self.config.select_metric
                raise InputError(f"{option('retrain')}: validation had no {metric} here to choose the epoch by")
            epochs = progress.best["epoch"]
            note(f"retraining on training and validation items for {epochs} epochs")
            self.model = self._build("train_valid")
            # A falling rate falls to 0 within the epochs there are: stopped halfway down, the model would be worse.
            decay_epochs = epochs if self.config.decay_epochs else 0
            config = dataclasses.replace(self.config, epochs=epochs, decay_epochs=decay_epochs, patience=0)
            run_dir = os.path.join(self.run_dir, directory.RETRAIN)
            directory.start_phase(run_dir, {"epochs": epochs, "decay_epochs": decay_epochs})
            batches = self.training_batches("train_valid")
            retrained = self._fit(run_dir, batches, config, False, None, tensorboard)
        elif progress.best:
            Checkpoints(self.run_dir, self.model).restore(progress.best["name"])
        return progress, retrained

    def load(self, name: str | None = None) -> tuple[str, Progress]:
        """Loads the weights that a finished run is evaluated by.

        Args:
            name: str or None, a checkpoint; default see `directory.judged`.

        Returns:
            str, the checkpoint's path, and the `Progress` of the phase that chose its epoch.
        """
        folder, found = directory.judged(self.run_dir, name)
        if folder != self.run_dir:  # the second phase's, which trained on validation items too
            self.model = self._build("train_valid")
        progress = Checkpoints(folder, self.model).restore(found)
        self.model.require_tables()
        newest = listing.newest(self.run_dir) if folder != self.run_dir else None
        if newest:
            progress = listing.read_progress(self.run_dir, newest)
        return os.path.join(folder, found), progress

    def check(self) -> None:
        """Refuses data that leave nothing to do; called before an earlier run is removed."""
        if self._checked:
            return
        if next(iter(self._training_batches(0, 1)), None) is None:
            raise InputError(
                f"{self.data_dir}: no training examples: every history is too short, or leaves no item as a negative"
            )
        split = self.config.validation_split
        if (self.config.patience or self.config.retrain) and self.evaluator.is_empty(split):
            flag = option("retrain" if self.config.retrain else "patience")
            raise InputError(f"{flag}: no user of {self.data_dir} has a {split} item to choose the epoch by")
        self._checked = True

    def _fit(
        self,
        run_dir: str,
        batches: TrainingBatches,
        config: TrainConfig,
        validated: bool,
        name: str | None,
        tensorboard: bool,
    ) -> Progress:
        store = Checkpoints(run_dir, self.model, config.keep_checkpoints)
        progress = listing.Progress()
        name = name or store.newest
        if name:
            name = listing.find(run_dir, name)
            progress = store.restore(name)
            self.model.require_tables()
            store.rewind(name, progress)
            note(f"resuming from {os.path.join(run_dir, name)}")
            if progress.epoch > config.epochs:
                note(f"nothing to train: {name} has {progress.epoch} epochs, {option('epochs')} {config.epochs}")
        record = history.History(run_dir, tensorboard)
        record(progress)
        validate = (lambda: self.evaluator.evaluate(config.validation_split)) if validated else None
        check = None if validated else self.evaluator.check
        return Loop(self.model, self.strategy, config, store, batches, validate, check, record).run(progress)

    @functools.cached_property
    def _training_batches(self) -> TrainingBatches:
        return self.training_batches(self.config.train_split)

    def training_batches(self, split: str) -> TrainingBatches:
        """See `data.training_batches.TrainingBatches`."""
        config = self.config
        return dataset.training_batches_of(
            self.model,
            self.data_dir,
            self.manifest,
            batch_size=config.batch_size,
            seed=config.seed,
            split=split,
            batch_tokens=config.batch_tokens,
            negative_sampling=config.negative_sampling,
        )

    def description(self) -> dict[str, Any]:
        """What `config.json` holds: enough to rebuild the model, repeat the run and know its data again."""
        return {
            "model": self.model_name,
            "model_arguments": directory.arguments_of(self.model),
            "dataset": self.manifest.name,
            "data_dir": os.path.abspath(self.data_dir),
            "data": directory.data_identity(self.manifest),
            "train": dataclasses.asdict(self.config),
        }


def check_arguments(model_name: str, model_arguments: Mapping[str, Any], config: TrainConfig) -> None:
    """Tries a model's arguments at the smallest sizes, so that bad ones are found before any data is made.

    Args:
        model_name: str, a key of `models.MODELS`.
        model_arguments: dict, keyword arguments of its constructor, without sizes of the data.
        config: `TrainConfig`.

    Raises:
        InputError: naming the argument, an unknown `--select_metric`, a training split that has the test items, or
            sizes for which there is not enough memory.
    """
    keras.utils.set_random_seed(config.seed)
    try:
        model = memory.outline(MODELS[model_name], {**MODELS[model_name].minimal_sizes, **model_arguments})
        memory.check(model, config)
    except InputError:
        raise
    except directory.ARGUMENT_ERRORS as error:
        raise InputError(f"{option('model')} {model_name}: {listing.first_line(error)}") from None
    if config.negative_sampling != type(config).negative_sampling and not model.draws_negatives:
        raise InputError(
            f"{option('negative_sampling')} {config.negative_sampling}: has no effect, {type(model).__name__} draws no "
            "negatives with these arguments"
        )
    if config.train_split == "all" and not (config.protocol == "rated_list" and model.own_split):
        raise InputError(
            f"{option('train_split')} all: has the items that {option('protocol')} {config.protocol} is judged on; "
            f"only rated_list with {option('random_split')} holds out others; train leaves them out"
        )
    protocols.check_metric(config, kinds_known=False)


def check_data(
    model_name: str,
    model_arguments: Mapping[str, Any],
    config: TrainConfig,
    data_dir: str,
    manifest: Manifest,
    training: bool = True,
) -> None:
    """Refuses data that lacks what a model reads, or that is too large for the memory there is.

    Args:
        model_name, model_arguments, config: as for `check_arguments`.
        data_dir, manifest: prepared data, verified.
        training: bool, whether the run trains; otherwise it is only judged.

    Raises:
        InputError: naming the missing columns and the models that would work; or with the memory that is needed.
    """
    construction.require_columns(MODELS[model_name], model_arguments, data_dir, manifest)
    decided = MODELS[model_name].data_arguments(data_dir, manifest, model_arguments, config.train_split)
    model = memory.outline(MODELS[model_name], {**model_arguments, **decided})
    memory.check(model, config, _extent(config, data_dir, manifest), training=training)


def _extent(config: TrainConfig, data_dir: str, manifest: Manifest) -> memory.Extent:
    """The sizes of the data, and the lengths of the first users' sequences for those of a block."""
    users = dataset.TOKEN_BLOCK if config.batch_tokens else dataset.BLOCK
    block = next(iter(training_batches.sequences(data_dir, manifest, ("item",), users)), None)
    if block is None:
        return memory.Extent(manifest.num_interactions, manifest.num_users)
    trained = training_batches.training_ends(block, config.train_split).numpy()
    longest = int(block["item"].bounding_shape(axis=1))
    return memory.Extent(manifest.num_interactions, manifest.num_users, trained, longest)


def enable_determinism() -> None:
    """Makes equal runs equal bit for bit; call before TensorFlow has run anything."""
    tf.config.experimental.enable_op_determinism()
