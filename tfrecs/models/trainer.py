"""Keras's compile, fit, evaluate and predict, as a `SequentialRecommender` has them: what cannot count is refused."""

import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrecs.data.dataset import Dataset
from tfrecs.data.evaluation_batches import EvaluationBatches
from tfrecs.data.training_batches import TrainingBatches
from tfrecs.errors import InputError, NotFiniteError
from tfrecs.models import ranges
from tfrecs.models.mixin import Mixin
from tfrecs.models.scoring import not_finite
from tfrecs.models.tables import require_filled

OWN = {
    "loss": "trains on the loss of its own `loss_terms`; override that in a subclass to change it",
    "loss_weights": "has one loss; arguments of its constructor weigh the parts of it",
    "metrics": "ranks the held-out items of `validation_data` and of `evaluate`, and reports hr@K, ndcg@K and mrr",
    "weighted_metrics": "ranks the held-out items of `validation_data` and of `evaluate`; each user counts once",
}
MODES = {"up": "max", "down": "min"}  # what a metric's direction is called by a callback
ELSEWHERE = {
    "y": "reads targets among the tensors of `x`",
    "sample_weight": "weighs examples in its own `loss_terms`",
    "class_weight": "has no classes to weigh",
    "batch_size": "is given batches that have their size: data.training_batches(model, batch_size=...)",
    "validation_batch_size": "is given batches that have their size: data.evaluation_batches(model, batch_size=...)",
    "validation_split": "is given batches of one split: validation_data=data.evaluation_batches(model, 'valid')",
    "shuffle": "is given batches whose order depends on their seed and the epoch",
}


class Trainer(Mixin):
    """What `SequentialRecommender` changes of `keras.Model`; comes before it among the bases."""

    _tables_filled: bool

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        loss: None = None,
        loss_weights: None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = False,
        auto_scale_loss: bool = True,
    ) -> None:
        """As Keras's, but that a model brings its own loss and metrics.

        Args:
            optimizer: as for `keras.Model.compile`.
            loss, loss_weights, metrics, weighted_metrics: None; a loss term is added by overriding `loss_terms` in a
                subclass, or by `add_loss` there.
            run_eagerly, auto_scale_loss: as for `keras.Model.compile`.
            steps_per_execution: as for `keras.Model.compile`; several replicas take these steps one by one.
            jit_compile: bool, whether XLA compiles the steps; it does so once for every shape of a batch, and batches
                differ in shape, so `auto` is off.

        Raises:
            InputError: a loss or metrics are given.
        """
        given = dict(loss=loss, loss_weights=loss_weights, metrics=metrics, weighted_metrics=weighted_metrics)
        for name, value in given.items():
            if value is not None:
                raise InputError(f"{name}: {type(self).__name__} {OWN[name]}")
        ranges.check({"steps_per_execution": steps_per_execution}, {"steps_per_execution": ranges.SIZE})
        super().compile(
            optimizer=optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=False if jit_compile == "auto" else jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        self.auto_scale_loss = auto_scale_loss
        self.under_xla = bool(self.jit_compile)

    def fit(
        self,
        x: Any = None,
        y: None = None,
        *,
        callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.CallbackList | None = None,
        validation_data: Any = None,
        class_weight: None = None,
        sample_weight: None = None,
        steps_per_epoch: int | None = None,
        **options: Any,
    ) -> keras.callbacks.History:
        """As Keras's, which also takes the batches of a `Dataset`.

        Epoch e reads pass e of the training batches: the order and the negatives depend on the batches' seed and on e
        alone. So `fit(batches, epochs=5)` equals `fit(batches, epochs=3)` followed by `fit(batches, initial_epoch=3,
        epochs=5)`, while a second `fit(batches, epochs=3)` reads the passes 0 to 2 again.

        The end of a `tf.data.Dataset` without a length, `batches(0, 1)` for one, is found by a step that fails: Keras
        counts it in `optimizer.iterations`.

        Args:
            x: `data.training_batches.TrainingBatches`, or training examples in any form that Keras takes.
            y, class_weight, sample_weight: None.
            callbacks: as for `keras.Model.fit`.
            validation_data: `data.evaluation_batches.EvaluationBatches`, or as for `evaluate`.
            steps_per_epoch: int or None; of training batches, epoch e reads the steps from `e * steps_per_epoch` on of
                the passes one after another.
            **options: as for `keras.Model.fit`.

        Returns:
            `keras.callbacks.History`.

        Raises:
            InputError: something is given that would not count, or batches that were made for another model.
            NotFiniteError: the scores of validation are NaN or infinite.
        """
        self._refuse(y=y, class_weight=class_weight, sample_weight=sample_weight)
        if validation_data is not None:
            size = {"validation_batch_size": options.get("validation_batch_size")}
            validation_data = self._evaluated(validation_data, "validation_data", **size)
        if isinstance(x, EvaluationBatches):
            raise InputError("x: fit trains on training batches: data.training_batches(model)")
        _check_batches("x", x, "data.training_batches(model)")
        if isinstance(x, TrainingBatches):
            self._check_maker(x.make_examples, "x", "data.training_batches(model)")
            self._refuse(batch_size=options.get("batch_size"), validation_split=options.get("validation_split") or None)
            self._refuse(shuffle=None if options.get("shuffle", True) else False)
            if steps_per_epoch is not None:
                ranges.check({"steps_per_epoch": steps_per_epoch}, {"steps_per_epoch": ranges.SIZE})
            options["shuffle"] = False  # Keras warns that it shuffles no batches
            clock = _Clock(options.get("initial_epoch", 0))
            x, steps_per_epoch = x.passes(lambda: clock.epoch, steps_per_epoch), None
            callbacks = _with(clock, callbacks)
        self._direct(callbacks or [])
        self._initial_epoch = None  # what `BackupAndRestore` left there is of an earlier call
        try:
            return super().fit(
                x,
                callbacks=callbacks,
                validation_data=validation_data,
                steps_per_epoch=steps_per_epoch,
                **options,
            )
        except Exception:
            self.train_function = self.test_function = None  # one that was half traced fails on good batches too
            raise

    def evaluate(self, x: Any = None, y: None = None, **options: Any) -> Any:
        """As Keras's, which also takes `data.evaluation_batches.EvaluationBatches`.

        Raises:
            InputError: `y`, training batches, or batches that were made for another model are given.
            NotFiniteError: scores are NaN or infinite; the message says for how many users.
        """
        self._refuse(y=y)
        results = super().evaluate(self._evaluated(x, "x", batch_size=options.get("batch_size")), **options)
        bad, count = int(self.unsound_rows.result()), int(self.ranked_rows.result())
        if bad:
            raise NotFiniteError(not_finite(type(self).__name__, bad, count))
        return results

    def predict(self, x: Any, **options: Any) -> np.ndarray:
        """As Keras's, which also takes `data.evaluation_batches.EvaluationBatches`: scores of all items."""
        return super().predict(self._evaluated(x, "x", batch_size=options.get("batch_size")), **options)

    def summary(self, *args: Any, print_fn: Callable[[str], Any] | None = None, **options: Any) -> None:
        """As Keras's, then the sizes that the data decided, and the shape of each weight."""
        super().summary(*args, print_fn=print_fn, **options)
        show, config = print_fn or print, self.get_config()
        show(" Sizes: " + ", ".join(f"{name} {config[name]}" for name in self.minimal_sizes))
        owners = {id(variable): layer.name for layer in self.layers for variable in layer.weights}
        paths = [_path(variable.path, self.name, owners.get(id(variable), "")) for variable in self.weights]
        width = max(map(len, paths))
        trained = {id(variable) for variable in self.trainable_variables}
        for path, variable in zip(paths, self.weights):
            end = "" if id(variable) in trained else "  not trained"
            show(f" {path:<{width}}  {str(tuple(variable.shape)):<16}{math.prod(variable.shape):>13,}{end}")

    def _get_metrics_result_or_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        """What a step reports, over all replicas; its own logs are means of the replicas' means."""
        results = self.get_metrics_result()
        return {name: results.get(name, value) for name, value in logs.items()}

    def _make_function(self, step_function: Callable[..., Any]) -> Callable[..., Any]:
        """As Keras's; its loop over the steps of one execution fails where TensorFlow 2.21 sums over replicas in it."""
        function = super()._make_function(step_function)
        if self.steps_per_execution == 1 or self.distribute_strategy.num_replicas_in_sync == 1:
            return function

        def one_by_one(iterator: Iterator[Any]) -> Any:
            first = next(iterator)  # at the end of the data, StopIteration says so
            return function(itertools.chain([first], iterator))  # no iterator of TensorFlow: a loop in Python

        return one_by_one

    def make_train_function(self, force: bool = False) -> Callable[..., Any]:
        self.require_tables()
        return super().make_train_function(force)

    def make_test_function(self, force: bool = False) -> Callable[..., Any]:
        self.require_tables()
        return super().make_test_function(force)

    def make_predict_function(self, force: bool = False) -> Callable[..., Any]:
        self.require_tables()
        return super().make_predict_function(force)

    def require_tables(self) -> None:
        """See `tables.require_filled`; within a graph it cannot look."""
        if not self._tables_filled and tf.executing_eagerly():
            require_filled(self)
            self._tables_filled = True

    def _direct(self, callbacks: Any) -> None:
        """Tells callbacks of mode `auto` whether more of what they monitor is better; Keras asks only its own."""
        modes = {metric.name: MODES[metric._direction] for metric in self.metrics if hasattr(metric, "_direction")}
        for callback in getattr(callbacks, "callbacks", keras.tree.flatten(callbacks)):
            monitored = str(getattr(callback, "monitor", "")).removeprefix("val_")
            if getattr(callback, "mode", None) == "auto" and monitored in modes:
                callback.mode = modes[monitored]

    def _evaluated(self, batches: Any, argument: str, **size: int | None) -> Any:
        """What Keras reads of evaluation batches, which have their `size`; anything else stays as it is."""
        if isinstance(batches, TrainingBatches):
            raise InputError(f"{argument}: training batches hold out no items: data.evaluation_batches(model, split)")
        _check_batches(argument, batches, "data.evaluation_batches(model, split)")
        if not isinstance(batches, EvaluationBatches):
            return batches
        self._refuse(**size)
        self._check_maker(batches.make_inputs, argument, "data.evaluation_batches(model, split)")
        if not len(batches):
            raise InputError(f"{argument}: no user has a held-out item to rank")
        return batches.dataset()

    def _check_maker(self, make: Callable[..., Any], argument: str, remedy: str) -> None:
        """Refuses batches of a model that reads other things: histories of another length, for one."""
        maker = getattr(make, "__self__", self)
        if type(maker) is not type(self):
            made_for, name = type(maker).__name__, type(self).__name__
            raise InputError(f"{argument}: batches made for {made_for}, not {name}: {remedy}")
        own, other = self.get_config(), maker.get_config()
        for name in own:
            if name not in ("name", "dtype") and own[name] != other[name]:
                raise InputError(f"{argument}: batches made for {name} {other[name]}, not {own[name]}: {remedy}")

    def _refuse(self, **given: object) -> None:
        """Refuses what would not count, unless it is None."""
        for name, value in given.items():
            if value is not None:
                raise InputError(f"{name}: {type(self).__name__} {ELSEWHERE[name]}; leave it out")


def _path(path: str, model: str, layer: str) -> str:
    """A variable's path, below the layer of the model that it belongs to."""
    path = path.removeprefix(f"{model}/")
    return path if path.startswith(f"{layer}/") or not layer else f"{layer}/{path}"


class _Clock(keras.callbacks.Callback):
    """Knows which epoch `fit` is in."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch = epoch


def _with(first: keras.callbacks.Callback, callbacks: Any) -> Any:
    """Callbacks in any form that `fit` takes, and one before them."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.append(first)
        return callbacks
    return [first, *keras.tree.flatten(callbacks or [])]


def _check_batches(argument: str, batches: Any, wanted: str) -> None:
    """Refuses what is no batches at all."""
    if batches is None or isinstance(batches, str | os.PathLike | Dataset):
        raise InputError(f"{argument}: expected batches, as from {wanted}, got {batches!r}")
