"""The training loop: any strategy, exact resume in the middle of an epoch, the best epoch by validation."""

import time
from collections.abc import Callable, Mapping
from typing import NoReturn

import tensorflow as tf

from tfrecs.errors import NotFiniteError, option
from tfrecs.evaluation.protocols import PROTOCOLS
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.progress import ProgressLine
from tfrecs.runs.checkpoints import Checkpoints
from tfrecs.runs.config import TrainConfig
from tfrecs.runs.listing import Progress
from tfrecs.training import steps

CHECK_EVERY = 50  # steps between looks at the loss: a look waits for the device


class Loop:
    """Trains a model to the end of its configuration.

    Args:
        model: built under `strategy`, compiled with a built optimizer.
        strategy: `tf.distribute.Strategy`.
        config: `TrainConfig`.
        checkpoints: `Checkpoints` of the run.
        batches: `f(first_epoch, end_epoch, skip) -> tf.data.Dataset`, a `data.training_batches.TrainingBatches`.
        validate: `f() -> (dict of metrics, seconds)`, or None: no validation, the last epoch is the best.
        check: `f()` or None, raises `NotFiniteError` where scores are none; called after each epoch without validation.
        on_epoch: `f(Progress)`, called when an epoch is whole, before its checkpoint is written.
    """

    def __init__(
        self,
        model: SequentialRecommender,
        strategy: tf.distribute.Strategy,
        config: TrainConfig,
        checkpoints: Checkpoints,
        batches: Callable[[int, int, int], tf.data.Dataset],
        validate: Callable[[], tuple[dict[str, float], float]] | None = None,
        check: Callable[[], None] | None = None,
        on_epoch: Callable[[Progress], None] | None = None,
    ) -> None:
        self.model, self.strategy, self.config = model, strategy, config
        self.checkpoints, self.batches, self.validate, self.check = checkpoints, batches, validate, check
        self.on_epoch = on_epoch or (lambda progress: None)
        self.progress_line = ProgressLine()
        self._first_bad = tf.Variable(-1, dtype=tf.int64, trainable=False)

        @tf.function
        def weights_are_finite() -> tf.Tensor:
            finite = [tf.reduce_all(tf.math.is_finite(v.value)) for v in model.trainable_variables]
            return tf.reduce_all(finite)

        self._weights_are_finite = weights_are_finite

    def run(self, progress: Progress) -> Progress:
        """Trains from where `progress` stands until the configured end or early stopping.

        Args:
            progress: `Progress`, fresh or restored together with the model's state.

        Returns:
            the finished `Progress`.

        Raises:
            NotFiniteError: naming the step and the last good checkpoint.
            InputError: a checkpoint cannot be saved; the last good one is named.
        """
        if not self._ended(progress):
            self._train(progress)
        if self.checkpoints.newest != progress.name:
            self.checkpoints.save(progress)
        return progress

    def _ended(self, progress: Progress) -> bool:
        if progress.epoch >= self.config.epochs:
            return True
        waited = progress.epoch - progress.best["epoch"] if progress.best else 0
        return bool(self.config.patience and self.validate and waited >= self.config.patience)

    def _train(self, progress: Progress) -> None:
        dataset = self.batches(progress.epoch, self.config.epochs, progress.step)
        clock = self._epoch_began = time.perf_counter()
        if progress.step and self._is_over(progress, dataset):
            if self._close_epoch(progress):
                return
            dataset = self.batches(progress.epoch, self.config.epochs, 0)
        dataset = steps.mark_last(dataset)
        if self.strategy.num_replicas_in_sync > 1:
            dataset = self.strategy.experimental_distribute_dataset(dataset)
        run = self._steps()
        if not progress.step:
            self._reset_losses()
        self.model.optimizer.learning_rate.assign(self.config.rate(progress.epoch))
        meter = _Meter(self.progress_line, self.config, progress)
        batches = iter(dataset)
        clock = self._epoch_began = time.perf_counter()
        while True:
            number, limit = (tf.constant(n, tf.int64) for n in (progress.step + 1, self._steps_ahead(progress)))
            done, examples, ended = (value.numpy() for value in run(batches, number, limit))
            progress.step += int(done)
            progress.examples += int(examples)
            if progress.step % CHECK_EVERY == 0:
                self._check_loss(progress)
                meter.show(progress)
            every = self.config.save_checkpoints_steps
            if every and progress.step % every == 0:
                self._check_all(progress)
                progress.train_seconds += time.perf_counter() - clock
                self.checkpoints.save(progress)
                clock = time.perf_counter()
            if ended:
                progress.train_seconds += time.perf_counter() - clock
                meter.steps_per_epoch = progress.step
                if self._close_epoch(progress):
                    return
                meter.restart(progress)
                self.model.optimizer.learning_rate.assign(self.config.rate(progress.epoch))
                clock = self._epoch_began = time.perf_counter()

    def _steps(self) -> steps.Run:
        return steps.function(self.model, self.strategy, self._first_bad, self.config.jit_compile)

    def _steps_ahead(self, progress: Progress) -> int:
        """Steps to make before something other than a step is due."""
        regularly = [every for every in (CHECK_EVERY, self.config.save_checkpoints_steps) if every]
        return min(self.config.steps_per_execution, *(every - progress.step % every for every in regularly))

    def _is_over(self, progress: Progress, rest: tf.data.Dataset) -> bool:
        """Whether a checkpoint from within an epoch was the last step of it."""
        batch = next(iter(rest), None)
        return batch is None or int(batch["epoch"][0]) != progress.epoch

    def _close_epoch(self, progress: Progress) -> bool:
        """Validates, notes the best, saves; returns whether training has ended."""
        self._check_all(progress)
        progress.step = 0
        progress.epoch += 1
        row: dict[str, float] = {"epoch": progress.epoch, "loss": float(self.model.loss_mean.result())}
        row |= {name: float(mean.result()) for name, mean in zip(self.model.part_names, self.model.loss_parts)}
        metrics, seconds = self._validated(progress)
        if metrics:
            progress.eval_seconds += seconds
            split = self.config.validation_split
            row.update({f"{split}_{name}": value for name, value in metrics.items() if name != "users"})
        progress.history.append(row)
        better = self._note_best(progress, row)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if self._is_shown(name))
        took = f"{time.perf_counter() - self._epoch_began:.1f} s"
        line = f"epoch {progress.epoch}/{self.config.epochs}  {shown}  {took}{'  *' if better else ''}"
        self.progress_line.line(line)
        self.on_epoch(progress)
        every = self.config.save_checkpoints_epochs
        # The next epoch's sum starts from zero in the checkpoint too.
        self._reset_losses()
        if every and progress.epoch % every == 0:
            self.checkpoints.save(progress)
        return self._ended(progress)

    def _validated(self, progress: Progress) -> tuple[dict[str, float], float]:
        """The validation metrics and the seconds they took; none where there is no validation."""
        try:
            due = progress.epoch % min(self.config.eval_step, self.config.epochs) == 0
            if self.validate and due:
                return self.validate()
            if self.check:
                self.check()
            return {}, 0.0
        except NotFiniteError as error:
            self._stop(f"after epoch {progress.epoch}, {error}")

    def _reset_losses(self) -> None:
        for mean in (self.model.loss_mean, *self.model.loss_parts):
            mean.reset_state()

    def _is_shown(self, name: str) -> bool:
        metric = name.removeprefix(f"{self.config.validation_split}_")
        chosen_by = metric == self.config.select_metric
        return metric.endswith("loss") or chosen_by or PROTOCOLS[self.config.protocol].follows(metric)

    def _note_best(self, progress: Progress, row: Mapping[str, float]) -> bool:
        value = row.get(f"{self.config.validation_split}_{self.config.select_metric}")
        if value is None or (progress.best and value <= progress.best["value"]):
            return False
        progress.best = {"name": f"best-{progress.epoch:04d}", "epoch": progress.epoch, "value": value}
        self.checkpoints.save_best(progress)
        return True

    def _check_loss(self, progress: Progress) -> None:
        bad = int(self._first_bad.numpy())
        if bad >= 0:
            self._stop(f"the loss is not finite from step {bad} of epoch {progress.epoch + 1} on")

    def _check_all(self, progress: Progress) -> None:
        """What a checkpoint holds must be good: a finite loss does not say that its update was finite."""
        self._check_loss(progress)
        if not bool(self._weights_are_finite()):
            self._stop(f"the weights are not finite after step {progress.step} of epoch {progress.epoch + 1}")

    def _stop(self, what: str) -> NoReturn:
        raise NotFiniteError(
            f"{what}; the last good checkpoint is {self.checkpoints.newest or 'none'} in "
            f"{self.checkpoints.directory}; a lower {option('learning_rate')} or {option('global_clipnorm')} may help"
        )


class _Meter:
    """Shows where training is: examples per second of this epoch, and the time left at this process's pace."""

    def __init__(self, progress_line: ProgressLine, config: TrainConfig, progress: Progress) -> None:
        self.progress_line, self.config = progress_line, config
        self.started, self.first = time.monotonic(), (progress.epoch, progress.step)
        self.steps_per_epoch = 0.0  # not known yet
        if progress.epoch and not config.batch_tokens:
            before = progress.examples - progress.step * config.batch_size
            self.steps_per_epoch = max(before / config.batch_size / progress.epoch, 1.0)
        self.restart(progress)

    def restart(self, progress: Progress) -> None:
        """Starts measuring the rate anew, at the start of an epoch."""
        self.since, self.examples = time.monotonic(), progress.examples

    def show(self, progress: Progress) -> None:
        """Updates the line; how long an epoch is, and so the time left, is known after the first."""
        rate = (progress.examples - self.examples) / max(time.monotonic() - self.since, 1e-9)
        done, total, per_epoch = 0.0, 0.0, self.steps_per_epoch
        if per_epoch:
            first = self.first[0] + self.first[1] / per_epoch
            done, total = progress.epoch + progress.step / per_epoch - first, self.config.epochs - first
        text = f"epoch {progress.epoch + 1}/{self.config.epochs} step {progress.step}, {rate:,.0f} examples/s"
        self.progress_line.update(text, done, total, self.started)
