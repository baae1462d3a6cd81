"""Parquet files in bounded batches; a bad value is named by its row, counted from 1."""

import pyarrow as pa
import pyarrow.parquet
from pyarrow import compute

from data_prep.sources import fields
from tfrecs.errors import InputError

ROWS_PER_BATCH = 1 << 16


def column_names(path):
    """The names of a file's columns.

    Raises:
        InputError: not a parquet file.
    """
    try:
        return pyarrow.parquet.read_schema(path).names
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: not a parquet file: {error}") from None


def read(path, columns, bad_lines):
    """Reads a log in batches.

    Args:
        path: str.
        columns: dict of role to column name.
        bad_lines: `data_prep.sources.log.BadLines`; a row counts as a line.

    Yields:
        `(table, fraction)` as `data_prep.sources.log.Log.chunks`.

    Raises:
        InputError: naming FILE:ROW and echoing the value, or a damaged file.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            total = max(1, file.metadata.num_rows)
            row = 0
            for batch in file.iter_batches(ROWS_PER_BATCH, columns=list(set(columns.values()))):
                text = {role: _text(path, role, batch[name]) for role, name in columns.items()}
                table = None
                if not any(column.null_count for column in text.values()):
                    table = fields.convert_columns(text)
                if table is None:
                    table = _convert_rows(text, row, path, bad_lines)
                row += batch.num_rows
                yield table, row / total
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _text(path, role, column):
    """The column as strings, so that one set of rules holds for every kind of file."""
    if pa.types.is_timestamp(column.type):
        column = compute.cast(compute.cast(column, pa.timestamp("us")), pa.int64())
        column = compute.floor(compute.divide(compute.cast(column, pa.float64()), 1e6))
        column = compute.cast(column, pa.int64())
    try:
        return compute.cast(column, pa.string())
    except pa.ArrowNotImplementedError:
        raise InputError(f"{path}: the {role} column holds {column.type}") from None


def _convert_rows(text, row, path, bad_lines):
    columns = {role: [] for role in text}
    rows = zip(*(column.to_pylist() for column in text.values()), strict=True)
    for number, values in enumerate(rows, start=row + 1):
        try:
            converted = [
                fields.convert(role, "" if value is None else value) for role, value in zip(text, values, strict=True)
            ]
        except fields.BadValue as error:
            bad_lines.add(error.role, path, number, str(error))
            continue
        for role, value in zip(text, converted, strict=True):
            columns[role].append(value)
    return fields.table(columns)
