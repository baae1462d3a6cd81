"""Checkpoints of a run: complete state under `cp-EEEE` (epochs done) or `cp-EEEE-SSSSSS` (and steps into the next).

TensorFlow's checkpoint writer (temporary names, then rename) holds the tensors, a JSON file next to it the history,
and the file `checkpoint`, replaced last, says which one is newest: a kill at any moment leaves the one before whole.
NOTE: `tf.train.CheckpointManager` does the same in the same order but can neither pad numbers nor keep a JSON
next to a checkpoint.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence

import tensorflow as tf

from tfrecs.errors import InputError
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.models.saving import seed_states
from tfrecs.runs import pointer, record
from tfrecs.runs.listing import (
    READ_ERRORS,
    Progress,
    best,
    check_directory,
    find,
    first_line,
    listed,
    newest,
    others,
    position,
    read_progress,
    write_progress,
)

SAVE_ERRORS = (InputError, OSError, tf.errors.OpError)


class Checkpoints:
    """The checkpoints of one run directory.

    Args:
        directory: str.
        model: a built model, compiled with a built optimizer.
        keep: int, how many are kept; the best by validation is kept apart, as long as a kept one names it.
    """

    def __init__(self, directory: str, model: SequentialRecommender, keep: int = 3) -> None:
        check_directory(directory)
        self.directory, self.keep = directory, keep
        # Keras leaves dropout's random state and metric totals out of what TensorFlow tracks by itself.
        seeds = [state.value for state in seed_states(model)]
        totals = [v.value for mean in (model.loss_mean, *model.loss_parts) for v in mean.variables]
        self._checkpoint = tf.train.Checkpoint(
            variables=[v.value for v in model.weights],
            seeds=seeds,
            totals=totals,
            optimizer=[v.value for v in model.optimizer.variables],
        )

    @property
    def newest(self) -> str | None:
        """See `listing.newest`."""
        return newest(self.directory)

    def save(self, progress: Progress) -> None:
        """Saves everything under `progress.name`, then drops what is older than `keep`.

        Raises:
            InputError: it cannot be saved; what was there before stays as it was.
        """
        kept = [name for name in listed(self.directory) if name.startswith("cp-") and name != progress.name]
        names = [*kept, progress.name]
        self._write(progress.name, progress)
        self._point(names[-self.keep :])
        record.remove(self.directory, names[: -self.keep])
        self._remove_unnamed_best(names[-self.keep :])

    def save_best(self, progress: Progress) -> str:
        """Saves the state as `best-EEEE`; older ones go when no kept checkpoint names them any more."""
        name = f"best-{progress.epoch:04d}"
        self._write(name, progress)
        return name

    def restore(self, name: str) -> Progress:
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
            raise InputError(
                f"{prefix}: damaged, or of another model, other sizes or another optimizer: {first_line(error)}; "
                f"{others(self.directory, name)}"
            ) from None
        return progress

    def rewind(self, name: str, progress: Progress) -> None:
        """Makes the checkpoint just restored the newest one; training will go through later ones again.

        Args:
            name: str, a whole name, `cp-0002` or `best-0002`.
            progress: the `Progress` that `restore` returned.
        """
        here = progress.epoch, progress.step
        kept = [other for other in listed(self.directory) if other.startswith("cp-") and position(other)[1] <= here]
        if progress.name not in kept:
            if name != progress.name:
                self._write(progress.name, progress)
            kept = [*kept, progress.name]
        named = pointer.read(self.directory)
        if kept != named:
            self._point(kept)
        # Later ones, and those that a killed process had taken off the list already.
        own = [other for other in record.written(self.directory) if other.startswith("cp-") and other not in kept]
        gone = [other for other in own if position(other)[1] > here or (named and other not in named)]
        record.remove(self.directory, gone)
        self._remove_unnamed_best(kept)

    def _write(self, name: str, progress: Progress) -> None:
        prefix = os.path.join(self.directory, name)
        try:
            record.claim(self.directory, name)
            self._checkpoint.write(prefix)
            write_progress(self.directory, name, progress)
        except SAVE_ERRORS as error:
            with contextlib.suppress(InputError):  # the disk may be too full for the list, too
                record.remove(self.directory, [name])
            raise self._failed(name, error) from None

    def _point(self, names: Sequence[str]) -> None:
        try:
            pointer.write(self.directory, names)
        except SAVE_ERRORS as error:
            raise self._failed(names[-1], error) from None

    def _failed(self, name: str, error: Exception) -> InputError:
        good = listed(self.directory)
        return InputError(
            f"{os.path.join(self.directory, name)}: cannot be saved: {first_line(error)}; "
            f"the last good checkpoint is {good[-1] if good else 'none'}"
        )

    def _remove_unnamed_best(self, kept: Iterable[str]) -> None:
        # A run may be resumed from any kept checkpoint, so the best that any of them names must stay.
        try:
            named = {best(self.directory, name) for name in kept}
        except InputError:  # an older one is damaged: what it names is not known, so all stay
            return
        there = record.written(self.directory)
        record.remove(self.directory, [name for name in there if name.startswith("best-") and name not in named])
