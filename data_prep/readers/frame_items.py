"""Item attributes from a DataFrame: a column of tokens or of lists for each."""

from collections.abc import Callable, Hashable, Iterator, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from data_prep.readers import fields, frame_columns
from data_prep.readers.item_table import Collector, values
from data_prep.readers.log import AttributeChunks
from tfrecs.errors import InputError

ARGUMENT = "item_features"
LISTS = (list, tuple, np.ndarray)


def open_table(frame: pd.DataFrame, item: Hashable) -> tuple[dict[str, str], AttributeChunks]:
    """Checks a table of items; all of its columns become attributes.

    Args:
        frame: `pandas.DataFrame`, a row per item.
        item: the name of its item column.

    Returns:
        `(kinds, chunks)`: dict of attribute to `token` or `list`, and a function as
        `data_prep.readers.log.Log.attribute_chunks`.

    Raises:
        InputError: not a DataFrame, no such column or none besides, two rows of one item, or a column that holds
            neither tokens nor lists of them; naming the column and the row.
    """
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"{ARGUMENT}: expected a pandas DataFrame, got a {type(frame).__name__}")
    frame_columns.check_names(ARGUMENT, frame, {"item": item})
    names = [column for column in frame.columns if column != item]
    if not names:
        raise InputError(f"{ARGUMENT}: no column besides {item!r}")
    for column in names:
        if not isinstance(column, str):
            raise InputError(f"{ARGUMENT}: column {column!r}: the name of an attribute is text")
    read_items = frame_columns.reader("item", ARGUMENT, frame, item)
    _check_unique(frame, item)
    columns = {column: _column(frame, column) for column in names}
    kinds = {column: kind for column, (kind, _) in columns.items()}
    return kinds, lambda: _chunks(frame, item, read_items, columns)


def _check_unique(frame: pd.DataFrame, item: Hashable) -> None:
    repeated = frame[item].duplicated().to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        raise InputError(
            f"{ARGUMENT}: column {item!r}, {frame_columns.row_name(frame, row)}: "
            f"{frame_columns.value_name(frame[item].iloc[row])} has a row already; expected one row per item"
        )


def _column(frame: pd.DataFrame, column: str) -> tuple[str, Callable[[int, int], list[list[str]]]]:
    """`(kind, texts)` of a column: `token` or `list`, and a function `(begin, end)` giving lists of str."""
    series = frame[column]
    where = f"{ARGUMENT}: column {column!r}"
    if isinstance(series.dtype, pd.ArrowDtype) and pa.types.is_nested(series.dtype.pyarrow_dtype):
        series = series.astype(object)
    if series.dtype == object:
        has_lists = np.fromiter((isinstance(value, LISTS) for value in series), bool, len(series))
        if has_lists.any():
            _check_lists(where, frame, series, has_lists)
            return "list", lambda begin, end: [_tokens(value) for value in series.iloc[begin:end]]
    kind = frame_columns.kind_of(series)
    if kind in ("floating", "mixed-integer-float"):  # integers with missing values
        series = _whole(where, frame, series)
    elif kind not in (*frame_columns.TOKENS, "boolean", "empty"):
        raise InputError(f"{where}: {frame_columns.complaint(frame, series, kind)}; expected tokens or lists of them")
    if kind == "boolean":
        series = series.map({True: "True", False: "False"}, na_action="ignore")

    def texts(begin: int, end: int) -> list[list[str]]:
        array = frame_columns.text(where, frame, series, begin, end)
        return [[] if value is None else [value] for value in array.to_pylist()]

    return "token", texts


def _whole(where: str, frame: pd.DataFrame, series: pd.Series) -> pd.Series:
    """A column of floating-point numbers as integers, which it must hold."""
    numbers = series.to_numpy(np.float64, na_value=np.nan)
    broken = ~np.isnan(numbers) & ~((np.abs(numbers) < 2**53) & (numbers == np.floor(numbers)))
    if broken.any():
        row = int(broken.argmax())
        raise InputError(
            f"{where}, {frame_columns.row_name(frame, row)}: {numbers[row]} is no token; expected text, integers or "
            "categories: bin the numbers, or leave the column out"
        )
    return pd.Series(pd.array(numbers, "Int64"), index=series.index)


def _check_lists(where: str, frame: pd.DataFrame, series: pd.Series, has_lists: np.ndarray) -> None:
    """Refuses a column of lists with other values in it, and lists whose values are of several types."""
    first = None
    for row, value in enumerate(series):
        if not has_lists[row]:
            if not pd.api.types.is_scalar(value) or not pd.isna(value):
                raise InputError(
                    f"{where}, {frame_columns.row_name(frame, row)}: {value!r:.80} among lists; expected a list"
                )
            continue
        for token in value:
            kind = str if isinstance(token, str) else int if isinstance(token, (int, np.integer)) else type(token)
            if kind is float and np.isnan(token) or token is None or token is pd.NA:
                continue
            if kind not in (str, int) or isinstance(token, bool):
                raise InputError(
                    f"{where}, {frame_columns.row_name(frame, row)}: {token!r:.80} in a list; expected text or integers"
                )
            first = first or kind
            if kind is not first:
                raise InputError(
                    f"{where}, {frame_columns.row_name(frame, row)}: mixed types in lists, {first.__name__}, then "
                    f"{kind.__name__}"
                )


def _tokens(value: object) -> list[str]:
    """The tokens of a list; a missing one has none."""
    if not isinstance(value, LISTS):
        return []
    return [str(token) for token in value if isinstance(token, (str, int, np.integer))]


def _chunks(
    frame: pd.DataFrame,
    item: Hashable,
    read_items: Callable[[int, int], pa.Array],
    columns: Mapping[str, tuple[str, Callable[[int, int], list[list[str]]]]],
) -> Iterator[tuple[str, pa.Table]]:
    """Yields the attributes, as `Log.attribute_chunks`."""
    collector = Collector(columns)
    for begin in range(0, len(frame), frame_columns.ROWS_PER_CHUNK):
        end = min(begin + frame_columns.ROWS_PER_CHUNK, len(frame))
        items = read_items(begin, end).to_pylist()
        for column, (_, texts) in columns.items():
            for row, (token, cell) in enumerate(zip(items, texts(begin, end), strict=True), begin):
                try:
                    fields.convert("item", token)
                    tokens = [part for text in cell for part in values(text, column, "token", "")]
                    pa.array(tokens, pa.string())
                except (fields.BadValue, UnicodeEncodeError) as error:
                    bad = item if getattr(error, "role", column) == "item" else column
                    problem = f"not valid Unicode: {cell!r:.80}" if isinstance(error, UnicodeEncodeError) else error
                    where = f"{ARGUMENT}: column {bad!r}, {frame_columns.row_name(frame, row)}"
                    raise InputError(f"{where}: {problem}") from None
                collector.add(column, token, tokens)
        yield from collector.tables()
