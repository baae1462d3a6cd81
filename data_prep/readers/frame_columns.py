"""Columns of DataFrames as Arrow arrays; what cannot be used is refused, naming the column and the row."""

import datetime
from collections.abc import Callable, Hashable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute

from tfrecs.errors import InputError, nearest
from tfrecs.options import is_unicode

TOKENS = ("string", "integer")
# What `pandas.api.types.infer_dtype` calls the values that a role may have.
KINDS = {
    "user": TOKENS,
    "item": TOKENS,
    "action": TOKENS,
    "rating": ("integer", "floating", "mixed-integer-float", "decimal"),
    "timestamp": ("integer", "floating", "mixed-integer-float", "string", "datetime64", "datetime", "date"),
}
EXPECTED = {
    "rating": "numbers",
    "timestamp": "dates, ISO 8601 text or numbers",
    **dict.fromkeys(("user", "item", "action"), "text, integers or categories"),
}
NOUNS = {
    "floating": "floating-point numbers",
    "boolean": "booleans",
    "string": "text",
    "integer": "integers",
    "bytes": "bytes",
    "decimal": "decimal numbers",
    "complex": "complex numbers",
    "date": "dates",
    "datetime": "times",
    "datetime64": "times",
}
ROWS_PER_CHUNK = 1 << 16
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)


def row_name(frame: pd.DataFrame, row: int) -> str:
    """What a message calls a row: its number from 0, and its index where that is another."""
    label = frame.index[row]
    is_number = isinstance(label, (int, np.integer)) and label == row
    return f"row {row}" if is_number else f"row {row} (index {value_name(label)})"


def value_name(value: object) -> str:
    """A value of a DataFrame for a message."""
    return repr(value.item() if isinstance(value, np.generic) else value)[:80]


class BadRows:
    """Raises on a row that cannot be used; takes the place of `data_prep.readers.log.BadLines`.

    Args:
        argument: str, what messages call the DataFrame.
        frame: `pandas.DataFrame`.
        columns: dict of role to its column.
    """

    def __init__(self, argument: str, frame: pd.DataFrame, columns: Mapping[str, Hashable]) -> None:
        self.argument, self.frame, self.columns = argument, frame, columns

    def add(self, role: str, path: str, row: int, message: str) -> None:
        """Raises `InputError` naming the column and the row."""
        raise InputError(f"{self.argument}: column {self.columns[role]!r}, {row_name(self.frame, row)}: {message}")


def check_names(argument: str, frame: pd.DataFrame, columns: Mapping[str, Hashable]) -> None:
    """Refuses a DataFrame without the columns, or with two of one name.

    Args:
        argument: str, what messages call the DataFrame.
        frame: `pandas.DataFrame`.
        columns: dict of role, an argument, to the name of its column.

    Raises:
        InputError: naming the argument, the column and the nearest one.
    """
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        count = int((frame.columns == repeated[0]).sum())
        raise InputError(f"{argument}: {count} columns are called {repeated[0]!r}")
    for role, column in columns.items():
        if isinstance(column, (list, set, dict, pd.Series, np.ndarray)) or column not in frame.columns:
            index = "; it is the index: reset_index() makes it a column" if _is_index(frame, column) else ""
            hint = nearest(column, frame.columns) if len(frame.columns) else "it has no columns"
            raise InputError(f"{role}: {argument} has no column {column!r}{index or '; ' + hint}")
    if "item" in columns and columns.get("user") == columns["item"]:
        raise InputError(f"user, item: both name the column {columns['item']!r}")


def _is_index(frame: pd.DataFrame, column: Hashable) -> bool:
    return isinstance(column, str) and column in frame.index.names


def reader(role: str, argument: str, frame: pd.DataFrame, column: Hashable) -> Callable[[int, int], pa.Array]:
    """Checks a column of the log.

    Args:
        role: str, a key of `KINDS`.
        argument: str, what messages call the DataFrame.
        frame: `pandas.DataFrame`.
        column: the column's name.

    Returns:
        function `(begin, end)` giving those rows as an Arrow array: text of a user, item or action, float64 of a
        rating, and of timestamps numbers, text, or timestamps of microseconds in UTC.

    Raises:
        InputError: a missing value, values of several types, or of none that the role may have.
    """
    series = frame[column]
    where = f"{argument}: column {column!r}"
    missing = series.isna().to_numpy()
    if missing.any():
        row = int(missing.argmax())
        raise InputError(f"{where}, {row_name(frame, row)}: no value ({value_name(series.iloc[row])})")
    kind = kind_of(series)
    if kind not in (*KINDS[role], "empty"):
        raise InputError(f"{where}: {complaint(frame, series, kind)}; {role} expects {EXPECTED[role]}")
    if role == "rating":
        return lambda begin, end: pa.array(series.iloc[begin:end].to_numpy(np.float64))
    if role == "timestamp":
        if kind in ("datetime", "date", "datetime64"):
            _check_years(where, frame, series)
            return lambda begin, end: _moments(series.iloc[begin:end])
        if kind != "string":
            return lambda begin, end: _numbers(series.iloc[begin:end], kind)
    return lambda begin, end: text(where, frame, series, begin, end)


def kind_of(series: pd.Series) -> str:
    """What a column holds, missing values left out, as `pandas.api.types.infer_dtype` calls it; of categories, theirs.

    Example:
        >>> kind_of(pd.Series([1, 2], dtype="category")), kind_of(pd.Series([1, "a"]))
        ('integer', 'mixed-integer')
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.cat.categories.to_series()
    if isinstance(series.dtype, pd.ArrowDtype) and pa.types.is_date(series.dtype.pyarrow_dtype):
        return "date"
    return pd.api.types.infer_dtype(series, skipna=True)


def complaint(frame: pd.DataFrame, series: pd.Series, kind: str) -> str:
    """What is wrong with a column's type: the first row whose type is another, or the type."""
    if kind.startswith("mixed"):
        present = series[series.notna()] if not isinstance(series.dtype, pd.CategoricalDtype) else series
        types = [type(value) for value in present]
        for row, other in enumerate(types):
            if other is not types[0]:
                names = f"{types[0].__name__}, then {other.__name__}"
                position = int(np.flatnonzero(series.notna().to_numpy())[row])
                return f"mixed types, {names} in {row_name(frame, position)}"
        return f"holds values of the type {types[0].__name__}"
    return f"holds {NOUNS.get(kind, kind)}"


def text(where: str, frame: pd.DataFrame, series: pd.Series, begin: int, end: int) -> pa.Array:
    """Rows of a column of text, integers or categories, as an Arrow array of text, missing values as null.

    Raises:
        InputError: text that is not valid Unicode.
    """
    part = series.iloc[begin:end]
    try:
        if isinstance(part.dtype, pd.CategoricalDtype):
            codes = pa.array(part.cat.codes.to_numpy(), mask=(part.cat.codes < 0).to_numpy())
            return as_text(_array(part.cat.categories.to_series())).take(codes)
        return as_text(_array(part))
    except UnicodeEncodeError as error:
        row = begin + next(row for row, value in enumerate(part) if isinstance(value, str) and not is_unicode(value))
        raise InputError(f"{where}, {row_name(frame, row)}: not valid Unicode: {error.object!r:.80}") from None


def _array(series: pd.Series) -> pa.Array:
    """An Arrow array of a column of text or integers."""
    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, OverflowError):  # integers beyond int64
        array = pa.array([None if value is None or value is pd.NA else str(value) for value in series.tolist()])
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def as_text(array: pa.Array) -> pa.Array:
    """An Arrow array as text."""
    return compute.cast(array, pa.string())


def _numbers(series: pd.Series, kind: str) -> pa.Array:
    values = series.to_numpy(np.int64 if kind == "integer" else np.float64)
    return pa.array(values)


def _check_years(where: str, frame: pd.DataFrame, series: pd.Series) -> None:
    """Refuses times that the calendar of ISO 8601 does not have."""
    if series.dtype == object:
        return
    years = _local_times(series).dt.year.to_numpy()
    outside = (years < 1) | (years > 9999)
    if outside.any():
        row = int(outside.argmax())
        raise InputError(f"{where}, {row_name(frame, row)}: the year {years[row]} is out of range")


def _local_times(series: pd.Series) -> pd.Series:
    if isinstance(series.dtype, pd.ArrowDtype):
        series = series.astype(
            "datetime64[us]" if getattr(series.dtype.pyarrow_dtype, "tz", None) is None else "datetime64[us, UTC]"
        )
    return series


def _moments(series: pd.Series) -> pa.Array:
    """Timestamps of microseconds in UTC, without a zone."""
    if series.dtype == object:
        counts = [_microseconds(value) for value in series]
        return pa.array(counts, pa.int64()).cast(pa.timestamp("us"))
    series = _local_times(series)
    if series.dt.tz is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    return pa.array(series.to_numpy().astype("datetime64[us]"))


def _microseconds(value: datetime.date) -> int:
    """Microseconds since 1970 of a date or time."""
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.timezone.utc)
    return (value - EPOCH) // MICROSECOND
