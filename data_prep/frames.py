"""Prepares pandas DataFrames: a log with a row per interaction, and a table of its items."""

import os
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from data_prep.prepare import OPTIONS
from data_prep.readers import frame_columns, frame_items, items_file
from data_prep.readers.fields import Converter
from data_prep.readers.log import FIELDS, BadLines, Log
from data_prep.sources import delimited
from data_prep.sources.options import ITEMS_FILE
from data_prep.writing import write
from tfrecs.data.manifest import Manifest
from tfrecs.errors import InputError, naming, option
from tfrecs.options import Option, resolve
from tfrecs.progress import StageProgress

ITEM_OPTIONS = {name: declared for name, declared in ITEMS_FILE.items() if name != "items"}


def prepare(
    df: pd.DataFrame,
    out_dir: str | os.PathLike[str],
    *,
    user: Hashable = "user",
    item: Hashable = "item",
    timestamp: Hashable | None = None,
    rating: Hashable | None = None,
    action: Hashable | None = None,
    item_features: pd.DataFrame | str | os.PathLike[str] | None = None,
    name: str | None = None,
    progress: StageProgress | None = None,
    **options: Any,
) -> Manifest:
    """Prepares a DataFrame, atomically, with the result that a file of the same rows would give.

    Users, items and actions are text, integers or categories. Times are dates (`datetime64`, `datetime.date`,
    ISO 8601 text; UTC where there is no time zone) or numbers, whose unit is recognised: seconds, milliseconds or
    microseconds since 1970. Interactions of a user with equal timestamps keep the order of the rows.

    Args:
        df: `pandas.DataFrame`, a row per interaction; columns that are not named here are not read.
        out_dir: str or `os.PathLike`, the directory to make.
        user, item: names of the columns of users and items.
        timestamp, rating, action: names of further columns, or None.
        item_features: `pandas.DataFrame` with a row per item, or None. It has the column `item`; each other column
            becomes an item attribute: a token (text, integer or category), or a list of tokens (a list, tuple or
            array). A missing value is no value. A column `kind` says what kind of object an item is. Or the path of
            such a table, as `python -m data_prep.prepare --items` reads it; its `items_*` are options then.
        name: str, the dataset's name, or None for the last part of `out_dir`.
        progress: a `tfrecs.progress.StageProgress`, or None for one that writes to stderr.
        **options: any of `data_prep.prepare.OPTIONS`: `split`, `min_user_interactions`, `overwrite` and so on.

    Returns:
        the `tfrecs.data.manifest.Manifest` written.

    Raises:
        InputError: a column that is missing, doubled, incomplete or of no usable type, naming it and the row (counted
            from 0, with its index where that is another); bad options. Nothing is left behind.

    Example:
        >>> import tempfile
        >>> from tfrecs.progress import StageProgress
        >>> df = pd.DataFrame({"customer": [7, 7, 8], "sku": ["a", "b", "a"]})
        >>> directory = os.path.join(tempfile.mkdtemp(), "shop")
        >>> prepare(df, directory, user="customer", item="sku", progress=StageProgress(None)).num_items
        2
    """
    if not isinstance(df, pd.DataFrame):
        raise InputError(f"{option('df')}: expected a pandas DataFrame, got a {type(df).__name__}")
    directory = Option(str, None, "").convert("out_dir", out_dir)
    if directory is None:
        raise InputError(f"{option('out_dir')}: required")
    name = Option(str, None, "").convert("name", name) or os.path.basename(os.path.abspath(directory))
    columns = {"user": user, "item": item, "timestamp": timestamp, "rating": rating, "action": action}
    for role in ("user", "item"):
        if columns[role] is None:
            raise InputError(f"{role}: expected the name of a column, got None")
    columns = {role: column for role, column in columns.items() if column is not None}
    path = os.fspath(item_features) if isinstance(item_features, str | os.PathLike) else None
    values = resolve(OPTIONS | (ITEM_OPTIONS if path else {}), options, "DataFrames")
    frame_columns.check_names(option("df"), df, columns)
    readers = {role: frame_columns.reader(role, option("df"), df, column) for role, column in columns.items()}
    log = Log(
        name,
        tuple(field for field in FIELDS if field in columns),
        lambda: _chunks(df, columns, readers),
        {"columns": {role: str(column) for role, column in columns.items()}},
    )
    if path:
        _add_items(log, path, values, item)
    elif item_features is not None:
        log.attributes, log.attribute_chunks = frame_items.open_table(item_features, item)
    return write(lambda: log, "frames", values, directory, progress, {"pandas": pd.__version__})


def _add_items(log: Log, path: str, values: Mapping[str, Any], item: Hashable) -> None:
    """Adds the attributes of a table of items in a file."""
    name = os.path.basename(path)
    bad_lines = BadLines("error", {})
    log.provenance["raw_files"] = {name: delimited.digest_raw(path)}
    with naming(item_column="item", items="item_features"):
        log.attributes, log.attribute_chunks, left_out = items_file.open_table(
            path, values, str(item), delimited.delimiter_of, bad_lines
        )
    log.provenance["columns_left_out"] = {name: left_out}


def _chunks(
    df: pd.DataFrame, columns: Mapping[str, Hashable], readers: Mapping[str, Callable[[int, int], pa.Array]]
) -> Iterator[tuple[pa.Table, float]]:
    """Yields the log, as `Log.chunks`."""
    converter = Converter(columns)
    bad_rows = frame_columns.BadRows(option("df"), df, columns)
    for begin in range(0, len(df), frame_columns.ROWS_PER_CHUNK):
        end = min(begin + frame_columns.ROWS_PER_CHUNK, len(df))
        arrays = {role: read(begin, end) for role, read in readers.items()}
        table = converter.convert_columns(arrays)
        if table is None:
            texts = (frame_columns.as_text(array).to_pylist() for array in arrays.values())
            table = converter.convert_rows(enumerate(zip(*texts, strict=True), begin), option("df"), bad_rows)
        yield table, end / len(df)
