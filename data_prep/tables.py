"""Prepares what Python is given, a DataFrame, the path of a table, or a source by its name: which of them it is."""

import os
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from data_prep import frames
from data_prep.prepare import prepare as prepare_source
from data_prep.sources import SOURCES
from tfrecs.errors import InputError, naming, nearest


def prepare(
    data: pd.DataFrame | str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    columns: Mapping[str, Hashable | None],
    item_features: pd.DataFrame | str | os.PathLike[str] | None,
    options: Mapping[str, Any],
) -> None:
    """Does what `tfrecs.prepare` documents; messages name its arguments.

    Args:
        data, out_dir, item_features: as for `tfrecs.prepare`.
        columns: dict of role, `user` and so on, to the name of its column or None.
        options: dict of all other arguments.

    Raises:
        InputError: naming the column, row, file or argument, and the value.
    """
    named = {role: column for role, column in columns.items() if column is not None}
    for name in ("dataset", "df"):
        if name in options:
            raise InputError(f"{name}: data says what is prepared; leave it out")
    if isinstance(data, pd.DataFrame):
        with naming(df="data"):
            arguments: dict[str, Any] = {**named, "item_features": item_features, **options}
            frames.prepare(data, out_dir, **arguments)
    elif isinstance(data, str) and data in SOURCES:
        if named:
            raise InputError(f"{next(iter(named))}: source {data!r} knows its columns; leave it out")
        if item_features is not None:
            raise InputError(f"item_features: source {data!r} has its own; leave it out")
        prepare_source(data, out_dir, **options)
    else:
        _prepare_file(os.fspath(data), out_dir, named, item_features, options)


def _prepare_file(
    path: str,
    out_dir: str | os.PathLike[str],
    columns: Mapping[str, Hashable],
    item_features: pd.DataFrame | str | os.PathLike[str] | None,
    options: Mapping[str, Any],
) -> None:
    if not os.path.exists(path):
        what = f"got {path[:200]!r}; {nearest(path, SOURCES)}"
        raise InputError(f"data: expected a DataFrame, a file or the name of a source, {what}")
    if isinstance(item_features, pd.DataFrame):
        raise InputError("item_features: expected the path of a table, since data is one, got a DataFrame")
    given: dict[str, Any] = {"path": path} | {f"{role}_column": column for role, column in columns.items()}
    given |= {} if item_features is None else {"items": item_features}
    roles = ("user", "item", "timestamp", "rating", "action")
    words = {"path": "data", "items": "item_features"} | {f"{role}_column": role for role in roles}
    for name in given:
        if name in options:
            raise InputError(f"{name}: the same as {words[name]}, which is given; leave it out")
    with naming(**{name: word for name, word in words.items() if name not in options}):
        prepare_source("delimited", out_dir, **given, **options)
