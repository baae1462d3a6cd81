"""What is asked of a model from Python: ids are checked and converted, and long histories cut, before it answers."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tfrecs.errors import InputError, nearest
from tfrecs.models import ranges

if TYPE_CHECKING:
    from tfrecs.models.recommender import SequentialRecommender

INPUTS = ("user", "history", "valid", "length", "action", "bucket", "now", "item")
# What a batch of training examples or of held-out items holds besides: it may be asked about as it is.
OF_BATCHES = ("target", "targets", "seen", "negatives", "label", "labels", "epoch", "negative_log_probability")
ALIGNED = ("history", "valid", "bucket", "action")  # inputs `[batch, time]` with a place for each behaviour


def read(model: "SequentialRecommender", inputs: Mapping[str, Any], **items: Any) -> list[Any]:
    """A model's inputs and item ids as it takes them; within a graph they stay as they are, only names are checked.

    Args:
        model: a `SequentialRecommender`.
        inputs: dict of its inputs; ids may be lists or arrays. Of a history longer than the model's `max_history`, the
            latest items are kept, as in serving.
        **items: item ids by the name of their argument, any shape; or None.

    Returns:
        list: the inputs, then the ids, int64.

    Raises:
        InputError: naming the argument and a value that is no id, an input that no model has, or one that is missing.
    """
    _check_names(model, inputs)
    if not tf.executing_eagerly() or any(isinstance(value, keras.KerasTensor) for value in inputs.values()):
        return [inputs, *items.values()]
    found = dict(inputs)
    largest = {"user": model.num_users} | dict.fromkeys(("history", "item", "candidates"), model.num_items)
    for name in largest:
        if name in found:
            found[name] = ids(name, found[name], largest[name])
    if "action" in found and hasattr(model, "num_actions"):
        found["action"] = ids("action", found["action"], model.num_actions)
    if "bucket" in found:
        found["bucket"] = tf.cast(found["bucket"], tf.int64)
    found = _latest(found, getattr(model, "max_history", None))
    return [found, *(None if value is None else ids(name, value, model.num_items) for name, value in items.items())]


def _check_names(model: "SequentialRecommender", inputs: Mapping[str, Any]) -> None:
    name = type(model).__name__
    if not isinstance(inputs, Mapping):
        raise InputError(f"inputs: expected a dict of what {name} reads, got a {type(inputs).__name__}")
    known = (*model.input_names, "candidates")
    for key in inputs:
        if key not in known and key not in OF_BATCHES:
            raise InputError(f"inputs: {key!r} is no input of a model; {nearest(key, known)}")
    for key, is_read in (("user", model.reads_users), ("history", model.reads_history)):
        if is_read and key not in inputs:
            raise InputError(f"inputs: {name} reads {key!r}; there are only {', '.join(map(repr, inputs)) or 'none'}")


@contextlib.contextmanager
def reading(model: "SequentialRecommender", argument: str, tensors: Any) -> Iterator[None]:
    """A context that reads a batch by names.

    Args:
        model: a `SequentialRecommender`.
        argument: str, what the caller called the batches.
        tensors: what is to be a dict of tensors.

    Raises:
        InputError: `tensors` is none, lacks a name that is read in the context, or has users or histories of another
            type or rank.
    """
    name = type(model).__name__
    if not isinstance(tensors, Mapping):
        raise InputError(f"{argument}: expected batches that are dicts of tensors, got a {type(tensors).__name__}")
    for key, shape in (("user", "[batch]"), ("history", "[batch, time]")):
        tensor = tf.convert_to_tensor(tensors[key]) if key in tensors else None
        if tensor is not None and not (tensor.dtype.is_integer and tensor.shape.rank in (None, len(shape.split()))):
            got = f"{tensor.dtype.name} {tuple(tensor.shape)}"
            raise InputError(f"{argument}: expected {key!r} to be integers {shape}, got {got}")
    try:
        yield
    except KeyError as error:
        if error.args[0] in tensors:
            raise
        names = ", ".join(map(repr, tensors)) or "nothing"
        raise InputError(f"{argument}: {name} reads {error.args[0]!r}, but a batch has only {names}") from None


def ids(name: str, values: Any, largest: int) -> tf.Tensor:
    """Ids from lists, arrays or tensors.

    Args:
        name: str, the argument that messages name.
        values: integers of any shape, or floats without fractions.
        largest: int, ids are 0 to `largest`.

    Returns:
        int64 tensor.

    Raises:
        InputError: texts, fractions, rows of different lengths, ids out of range.

    Example:
        >>> ids("history", [[3, 5.0]], 9).numpy().tolist()
        [[3, 5]]
        >>> ids("history", [["b01"]], 9)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: history: expected ids, integers from 0 to 9, got 'b01'
    """
    if isinstance(values, tf.RaggedTensor):
        values = values.to_tensor()
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{name}: expected rows of one length, padded with 0, got {str(values)[:80]}") from None
    if array.size and array.dtype.kind not in "iuf":
        value = array.flat[0]
        raise InputError(f"{name}: expected ids, integers from 0 to {largest}, got {_shown(value)}")
    wrong = (array < 0) | (array > largest)
    if array.dtype.kind == "f":
        wrong |= array != np.floor(array)
    if wrong.any():
        raise InputError(f"{name}: expected ids, integers from 0 to {largest}, got {array[wrong].flat[0].item()!r}")
    return tf.constant(array, tf.int64)


def count(name: str, value: Any) -> int:
    """An integer of at least 1, or an `InputError` that names the argument."""
    ranges.check({name: value}, {name: ranges.SIZE})
    return int(value)


def _latest(inputs: dict[str, tf.Tensor], width: int | None) -> dict[str, tf.Tensor]:
    """Inputs whose histories are at most `width` wide: the last items of each row."""
    history = inputs.get("history")
    if width is None or history is None or history.shape.rank != 2 or history.shape[1] <= width:
        return inputs
    present = tf.cast(inputs["valid"], tf.bool) if "valid" in inputs else history != 0
    place = tf.range(1, history.shape[1] + 1, dtype=tf.int64)
    length = tf.reduce_max(tf.where(present, place, 0), axis=1)
    index = tf.maximum(length - width, 0)[:, tf.newaxis] + tf.range(width, dtype=tf.int64)
    cut = {name: tf.gather(inputs[name], index, batch_dims=1) for name in ALIGNED if name in inputs}
    return inputs | cut


def _shown(value: object) -> str:
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    value = value.item() if isinstance(value, np.generic) else value
    return repr(value)[:80]
