"""A run from prepared data to numbers: build, resume, train, choose by validation, look at the test split once."""

import dataclasses
import functools
import glob
import os
import shutil

import keras
import tensorflow as tf

from tfrecs import files
from tfrecs.data import pipeline, statistics
from tfrecs.errors import InputError, nearest
from tfrecs.models import MODELS
from tfrecs.models.baselines import Popularity, Transitions
from tfrecs.training import checkpoints, evaluation, optimizers, reports, strategy
from tfrecs.training.loop import Loop


class Experiment:
    """One model on one prepared data set in one run directory.

    Args:
        model_name: str, a key of `models.MODELS`.
        model_arguments: dict, keyword arguments of its constructor.
        config: `TrainConfig`.
        data_dir: str.
        manifest: its `Manifest`.
        run_dir: str, made if absent.
    """

    def __init__(self, model_name, model_arguments, config, data_dir, manifest, run_dir):
        self.model_name, self.config = model_name, config
        self.data_dir, self.manifest, self.run_dir = data_dir, manifest, run_dir
        self.arguments = {"num_users": manifest.num_users, "num_items": manifest.num_items, **model_arguments}
        self.strategy = strategy.create(config.strategy)
        self._evaluation_batches = {}
        self.model = self._build()

    def _build(self):
        keras.utils.set_random_seed(self.config.seed)
        with self.strategy.scope():
            model = MODELS[self.model_name](**self.arguments, dtype=self.config.precision)
            model.compile(optimizer=optimizers.create(self.config), jit_compile=self.config.jit_compile)
            model.optimizer.build(model.trainable_variables)
        if self.config.select_metric not in model.ranking_means:
            hint = nearest(self.config.select_metric, model.ranking_means)
            raise InputError(f"--select_metric: unknown metric {self.config.select_metric!r}; {hint}")
        rank = evaluation.model_rank(model, self.config.exclude_seen)
        self._evaluator = evaluation.Evaluator(rank, self.strategy)
        return model

    def train(self, resume=False, name=None, describe=None):
        """Trains, from scratch or from a checkpoint, then loads the weights to be judged.

        Args:
            resume: bool, continue from the newest checkpoint; from scratch where there is none.
            name: str or None, continue from this checkpoint instead.
            describe: dict of more entries for `config.json`.

        Returns:
            the finished `checkpoints.Progress` of the phase that chose the epoch, and that of the retraining
            or None.
        """
        if not (resume or name):
            clear(self.run_dir)
        os.makedirs(self.run_dir, exist_ok=True)
        files.write_json(os.path.join(self.run_dir, checkpoints.CONFIG_FILE), self.description() | (describe or {}))
        validated = (self.config.train_split, self.config.validation_split) != ("train_valid", "valid")
        progress = self._fit(self.run_dir, self.model, self.config, self.config.train_split, validated, name)
        if not self.config.retrain:
            if progress.best:
                checkpoints.Checkpoints(self.run_dir, self.model).restore(progress.best["name"])
            return progress, None
        print(f"retraining on training and validation items for {progress.best['epoch']} epochs", flush=True)
        self.model = self._build()
        config = dataclasses.replace(self.config, epochs=progress.best["epoch"], patience=0)
        retrained = self._fit(os.path.join(self.run_dir, "retrain"), self.model, config, "train_valid", False, None)
        return progress, retrained

    def load(self, name=None):
        """Loads the weights that a finished run is judged by.

        Args:
            name: str or None, a checkpoint; default the retrained model, else the best, else the newest.

        Returns:
            str, the checkpoint's path.
        """
        run_dir = os.path.join(self.run_dir, "retrain")
        if name or not self.config.retrain or checkpoints.newest(run_dir) is None:
            run_dir = self.run_dir
        name = name or checkpoints.best(run_dir) or checkpoints.newest(run_dir)
        checkpoints.Checkpoints(run_dir, self.model).restore(name)
        return os.path.join(run_dir, name)

    def _fit(self, run_dir, model, config, split, validated, name):
        os.makedirs(run_dir, exist_ok=True)
        store = checkpoints.Checkpoints(run_dir, model, config.keep_checkpoints)
        progress = checkpoints.Progress()
        name = name or store.newest
        if name:
            name = checkpoints.find(run_dir, name)
            progress = store.restore(name)
            store.rewind(name)
            print(f"resuming from {os.path.join(run_dir, name)}", flush=True)
        loop = Loop(model, self.strategy, config, store, self.training_batches(split),
                    (lambda: self.evaluate(config.validation_split)) if validated else None,
                    lambda progress: reports.write_history(run_dir, progress.history))
        return loop.run(progress)

    def training_batches(self, split):
        """See `data.pipeline.TrainingBatches`."""
        weights = statistics.sampling_weights(
            self.data_dir, self.manifest, self.config.negative_sampling, split, self.model.negatives_include_pad)
        return pipeline.TrainingBatches(
            self.data_dir, self.manifest, self.model.training_examples, weights, self.config.batch_size,
            self.config.seed, split, exclude_held_out=self.model.negatives_exclude_held_out)

    def evaluate(self, split):
        """Full-ranking metrics of the model as it stands, and the seconds they took."""
        return self._evaluator(self.evaluation_batches(split))

    def baselines(self, split):
        """Metrics of popularity and transitions on the same users, items and exclusions.

        Counts are taken from the items the model may have trained on: with retraining, validation items too.
        """
        trained = "train_valid" if self.config.retrain else self.config.train_split
        counts = statistics.item_counts(self.data_dir, self.manifest, trained)
        pairs = statistics.transition_pairs(self.data_dir, self.manifest, trained)
        found = {}
        for name, baseline in (("popularity", Popularity(counts)), ("transitions", Transitions(counts, pairs))):
            rank = functools.partial(baseline.rank, exclude_seen=self.config.exclude_seen)
            found[name], _ = evaluation.Evaluator(rank)(self.evaluation_batches(split))
        return found

    def evaluation_batches(self, split, max_users=None):
        """See `data.pipeline.evaluation_batches`; traced once, iterated many times."""
        if (split, max_users) not in self._evaluation_batches:
            self._evaluation_batches[split, max_users] = pipeline.evaluation_batches(
                self.data_dir, self.manifest, self.model.history_inputs, self.config.eval_batch_size, split, max_users)
        return self._evaluation_batches[split, max_users]

    def description(self):
        """What `config.json` holds: enough to rebuild the model and repeat the run."""
        arguments = {k: v for k, v in self.model.get_config().items() if k not in ("name", "trainable", "dtype")}
        return {"model": self.model_name, "model_arguments": arguments, "dataset": self.manifest.name,
                "train": dataclasses.asdict(self.config)}


def clear(run_dir):
    """Removes what an earlier run left in a run directory; other files stay."""
    patterns = ("cp-*", "best-*", "checkpoint", "history.csv", "metrics.json", "curves.png", "config.json", "*.tmp")
    for pattern in patterns:
        for path in glob.glob(os.path.join(run_dir, pattern)):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    retrain = os.path.join(run_dir, "retrain")
    if os.path.isdir(retrain):
        clear(retrain)
        if not os.listdir(retrain):
            os.rmdir(retrain)


def enable_determinism():
    """Makes equal runs equal bit for bit; call before TensorFlow has run anything."""
    tf.config.experimental.enable_op_determinism()
