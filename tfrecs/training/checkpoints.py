"""Checkpoints of a run: complete state under `cp-EEEE` (epochs done) or `cp-EEEE-SSSSSS` (and steps into the next).

TensorFlow's checkpoint writer (temporary names, then rename) holds the tensors, a JSON file beside it the history,
and the file `checkpoint`, replaced last, says which one is newest: a kill at any moment leaves the one before whole.
NOTE: `tf.train.CheckpointManager` does the same in the same order but can neither pad numbers nor keep a JSON
beside a checkpoint.
"""

import dataclasses
import glob
import os
import shutil

import tensorflow as tf

from tfrecs import files
from tfrecs.errors import InputError
from tfrecs.training.listing import (
    POINTER,
    READ_ERRORS,
    best,
    check_directory,
    find,
    first_line,
    listed,
    newest,
    position,
    read_progress,
    stem,
)

SAVE_ERRORS = (InputError, OSError, tf.errors.OpError)


class Checkpoints:
    """The checkpoints of one run directory.

    Args:
        directory: str.
        model: a built model, compiled with a built optimizer.
        keep: int, how many are kept; the best by validation is kept apart, as long as a kept one names it.
    """

    def __init__(self, directory, model, keep=3):
        check_directory(directory)
        self.directory, self.keep = directory, keep
        # Keras leaves dropout's random state and metric totals out of what TensorFlow tracks by itself.
        seeds = [v.value for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
        totals = [v.value for v in model.loss_mean.variables]
        self._checkpoint = tf.train.Checkpoint(
            variables=[v.value for v in model.weights],
            seeds=seeds,
            totals=totals,
            optimizer=[v.value for v in model.optimizer.variables],
        )

    @property
    def newest(self):
        """The newest whole checkpoint's name, or None."""
        return newest(self.directory)

    def save(self, progress):
        """Saves everything under `progress.name`, then drops what is older than `keep`.

        Raises:
            InputError: it cannot be saved; what was there before stays as it was.
        """
        kept = [name for name in listed(self.directory) if name != progress.name]
        names = [*kept, progress.name]
        self._write(progress.name, progress)
        self._point(names[-self.keep :])
        for name in names[: -self.keep]:
            self._remove(name)
        self._remove_unnamed_best(names[-self.keep :])

    def save_best(self, progress):
        """Saves the state as `best-EEEE`; older ones go when no kept checkpoint names them any more."""
        name = f"best-{progress.epoch:04d}"
        self._write(name, progress)
        return name

    def restore(self, name):
        """Restores every tensor and returns the `Progress` saved with it.

        Args:
            name: str, `cp-0002`, `cp-2` or `best-0002`.

        Raises:
            InputError: no such checkpoint, a damaged one, or one of another model or other sizes.
        """
        name = find(self.directory, name)
        prefix = os.path.join(self.directory, name)
        progress = read_progress(self.directory, name)
        try:
            self._checkpoint.read(prefix).assert_consumed()
        except READ_ERRORS as error:
            others = [other for other in listed(self.directory) if other != name]
            raise InputError(
                f"{prefix}: damaged, or of another model, other sizes or another optimizer: {first_line(error)}; "
                f"other checkpoints there: {', '.join(others) or 'none'}"
            ) from None
        return progress

    def rewind(self, name, progress):
        """Makes the checkpoint just restored the newest one; training will go through later ones again.

        What a killed writer left behind is removed too.

        Args:
            name: str, a whole name, `cp-0002` or `best-0002`.
            progress: the `Progress` that `restore` returned.
        """
        there = listed(self.directory)
        kept = [other for other in there if position(other)[1] <= (progress.epoch, progress.step)]
        if progress.name not in kept:
            if name != progress.name:
                self._write(progress.name, progress)
            kept = [*kept, progress.name]
        if kept != there:
            self._point(kept)
        escaped = glob.escape(self.directory)
        for path in glob.glob(os.path.join(escaped, "cp-*")):
            if os.path.basename(path).partition(".")[0] not in kept:
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        for path in glob.glob(os.path.join(escaped, "*_temp")):
            shutil.rmtree(path, ignore_errors=True)
        for path in glob.glob(os.path.join(escaped, "*.tmp")):
            os.remove(path)
        self._remove_unnamed_best(kept)

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
            files.write_text(os.path.join(self.directory, POINTER), "\n".join(lines) + "\n")
        except SAVE_ERRORS as error:
            raise self._failed(names[-1], error) from None

    def _failed(self, name, error):
        return InputError(
            f"{os.path.join(self.directory, name)}: cannot be saved: {first_line(error)}; "
            f"the last good checkpoint is {self.newest or 'none'}"
        )

    def _remove(self, name):
        prefix = glob.escape(os.path.join(self.directory, name))
        for path in [*glob.glob(f"{prefix}.*"), *glob.glob(f"{prefix}_temp")]:
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

    def _remove_unnamed_best(self, kept):
        # A run may be resumed from any kept checkpoint, so the best that any of them names must stay.
        try:
            named = {best(self.directory, name) for name in kept}
        except InputError:  # an older one is damaged: what it names is not known, so all stay
            return
        for path in glob.glob(os.path.join(glob.escape(self.directory), "best-*.index")):
            if stem(path) not in named:
                self._remove(stem(path))
