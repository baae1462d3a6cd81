"""One history that is asked about: tokens, times and actions in, the model's inputs out."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrecs.data.dataset import Dataset
from tfrecs.errors import InputError
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.serving import batch
from tfrecs.serving.tokens import as_list, id_of, item_ids

LATEST = 4_102_444_800  # 2100-01-01 in seconds: a larger number is of another unit


@dataclasses.dataclass(frozen=True)
class OneHistory:
    """A history as ids.

    Args:
        user: int, 0 for an unknown user.
        fields: dict of `item` and, where the model reads them, `timestamp` and `action`, to lists of int of one length.
        now: int, the moment of the question in seconds, or None.
    """

    user: int
    fields: dict[str, list[int]]
    now: int | None

    def inputs(self, model: SequentialRecommender, rows: Sequence[Sequence[int]] | None = None) -> dict[str, tf.Tensor]:
        """The model's inputs.

        Args:
            model: a `SequentialRecommender`.
            rows: list of lists of int, the places to keep in each row; default one row with all of them.

        Returns:
            dict of tensors.
        """
        rows = [range(len(self.fields["item"]))] if rows is None else rows
        sequences = {"user": tf.fill([len(rows)], tf.constant(self.user, tf.int64))}
        for name, values in self.fields.items():
            kept = [[values[place] for place in row] for row in rows]
            sequences[name] = tf.ragged.constant(kept, tf.int64, ragged_rank=1, row_splits_dtype=tf.int64)
        if self.now is not None:
            sequences["now"] = tf.fill([len(rows)], tf.constant(self.now, tf.int64))
        return model.history_inputs(sequences)


def read(
    model: SequentialRecommender,
    data: Dataset,
    history: Sequence[Hashable] | None = None,
    user: Hashable | None = None,
    times: Sequence[Any] | None = None,
    actions: Sequence[Hashable] | None = None,
    now: Any = None,
) -> OneHistory:
    """Reads a history that is given, or that of a user in the data.

    Args:
        model: a trained `SequentialRecommender`.
        data: its `Dataset`.
        history: list of item tokens, oldest first; default the one that `user` has in the data.
        user: a user's token, or None for an unknown user.
        times: list of unix seconds, datetimes or ISO 8601 texts, one for each item; default all at `now`.
        actions: list of action tokens, one for each item; default unknown.
        now: a time, the moment of the question; default the latest of the history.

    Returns:
        `OneHistory`.

    Raises:
        InputError: naming the argument: unknown tokens, no history, lists that do not pair up, what the model does not
            read.
    """
    name = type(model).__name__
    _check_read(model, name, history, user, times, actions, now)
    user_id = 0 if user is None else id_of(data, "user", user, "user")
    now = None if now is None else _seconds("now", [now])[0]
    if not model.reads_history:
        return OneHistory(user_id, {"item": []}, now)
    if history is None:
        ((_, sequences),) = batch.sequences_of(model, data, np.array([user_id]), None)
        return OneHistory(user_id, {field: sequences[field].to_list()[0] for field in model.fields}, now)
    fields = {"item": item_ids(data, "history", history)}
    if not fields["item"]:
        raise InputError("history: expected one item at least, got none")
    count = len(fields["item"])
    if "timestamp" in model.fields:
        fields["timestamp"] = [now or 0] * count if times is None else _paired("times", _seconds("times", times), count)
        now = max(fields["timestamp"]) if now is None else now
    if "action" in model.fields:
        given = [] if actions is None else _paired("actions", as_list("actions", actions), count)
        ids = [id_of(data, "action", token, f"actions[{place}]") for place, token in enumerate(given)]
        fields["action"] = ids or [0] * count
    return OneHistory(user_id, fields, now)


def _check_read(
    model: SequentialRecommender,
    name: str,
    history: Sequence[Hashable] | None,
    user: Hashable | None,
    times: Sequence[Any] | None,
    actions: Sequence[Hashable] | None,
    now: Any,
) -> None:
    """Refuses what would be ignored."""
    if not model.reads_history and history is not None:
        raise InputError(f"history: {name} reads none, only the user; leave it out")
    if model.reads_history and history is None and user is None:
        raise InputError("history: expected a list of items, or a user with a history in the data")
    if history is not None and user is not None and not model.reads_users:
        raise InputError(f"user: {name} reads the history alone; leave out one of them")
    for argument, values in (("times", times), ("actions", actions)):
        if values is not None and history is None:
            raise InputError(f"{argument}: expected only with a history, one for each item of it")
    fields = {"times": (times, "timestamp"), "now": (now, "timestamp"), "actions": (actions, "action")}
    for argument, (values, field) in fields.items():
        if values is not None and field not in model.fields:
            raise InputError(f"{argument}: this {name} reads none; leave it out")


def _paired(name: str, values: list[Any], count: int) -> list[Any]:
    if len(values) != count:
        raise InputError(f"{name}: {len(values)} of them, but {count} items in the history")
    return values


def _seconds(name: str, values: Any) -> list[int]:
    """Times as unix seconds."""
    values = as_list(name, values)
    numbers = [isinstance(value, int | float | np.integer | np.floating) for value in values]
    try:
        if all(numbers):
            found = np.asarray(values, np.float64)
        else:
            # A datetime without a zone is one of UTC, as in the preparation.
            times = [pd.Timestamp(value) for value in values]
            found = np.array([(time if time.tz else time.tz_localize("UTC")).timestamp() for time in times])
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected unix seconds, datetimes or ISO 8601 texts: {error}") from None
    wrong = ~(np.abs(found) < LATEST)
    if wrong.any():
        raise InputError(f"{name}: expected unix seconds before the year 2100, got {values[int(wrong.argmax())]!r}")
    return np.floor(found).astype(np.int64).tolist()
