"""Parquet files in bounded batches; a bad value is named by its row, counted from 1."""

import os
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet
from pyarrow import compute

from data_prep.readers import blocks, fields
from data_prep.readers.log import BadLines
from tfrecs.errors import InputError

ROWS_PER_BATCH = 1 << 16
# A value that every row shares is stored once, so that a small file may hold rows without end.
MOST_TEXT_PER_BATCH = 256 << 20
# What Arrow raises for damaged files: its own exceptions, and those of names and sizes that make no sense.
READ_ERRORS = (pa.ArrowException, OSError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError)


def read_schema(path: str) -> pa.Schema:
    """The schema of a file.

    Raises:
        InputError: not a parquet file.
    """
    try:
        return pyarrow.parquet.read_schema(path)
    except READ_ERRORS as error:
        raise InputError(f"{path}: not a parquet file: {error}") from None


def column_names(path: str) -> list[str]:
    """The names of a file's columns; errors as `read_schema`."""
    return read_schema(path).names


def read(path: str, columns: Mapping[str, str], bad_lines: BadLines) -> Iterator[tuple[pa.Table, float]]:
    """Reads a log in batches.

    Args:
        path: str.
        columns: dict of role to column name.
        bad_lines: `data_prep.readers.log.BadLines`; a row counts as a line.

    Yields:
        `(table, fraction)` as `data_prep.readers.log.Log.chunks`.

    Raises:
        InputError: naming FILE:ROW and echoing the value, or a damaged file.
    """
    converter = fields.Converter(columns)
    for batch, row, total in batches(path, list(dict.fromkeys(columns.values()))):
        values = {role: _readable(path, role, batch[name]) for role, name in columns.items()}
        table = None
        if not any(column.null_count for column in values.values()):
            table = converter.convert_columns(values)
        if table is None:
            texts = (compute.cast(column, pa.string()).to_pylist() for column in values.values())
            rows = ([text or "" for text in row] for row in zip(*texts, strict=True))
            table = converter.convert_rows(enumerate(rows, start=row + 1), path, bad_lines)
        yield table, (row + batch.num_rows) / max(1, total)


def batches(path: str, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, int, int]]:
    """Yields `(record batch, rows before it, rows in all)`.

    Args:
        path: str.
        columns: list of str, names of columns; text comes dictionary-encoded.

    Raises:
        InputError: naming FILE:ROW, where the file is damaged or holds more text than fits.
    """
    schema = read_schema(path)
    texts = [name for name in columns if pa.types.is_string(schema.field(name).type)]
    row = 0
    try:
        with pyarrow.parquet.ParquetFile(path, read_dictionary=texts, page_checksum_verification=True) as file:
            _check_footer(path, file.metadata)
            reader = file.iter_batches(ROWS_PER_BATCH, columns=columns)
            while (batch := next(reader, None)) is not None:
                batch.validate(full=True)  # that texts are UTF-8
                for name in texts:
                    _check_text(path, row, name, batch[name])
                yield batch, row, file.metadata.num_rows
                row += batch.num_rows
            if row != file.metadata.num_rows:
                raise InputError(f"{path}: damaged: {row:,} rows, its footer says {file.metadata.num_rows:,}")
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(f"{path}:{row + 1}: cannot be read: {error}") from None


def _check_footer(path: str, metadata: pa.parquet.FileMetaData) -> None:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    if sum(group.num_rows for group in groups) != metadata.num_rows:
        raise InputError(f"{path}: damaged: the rows of its parts are not those of its footer")
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > max(blocks.UNPACKED_ANYWAY, blocks.LARGEST_RATIO * os.path.getsize(path)):
        raise InputError(f"{path}: unpacks to {unpacked:,} bytes, more than {blocks.LARGEST_RATIO} times its size")


def _check_text(path: str, row: int, name: str, column: pa.Array) -> None:
    if pa.types.is_dictionary(column.type):
        lengths = compute.binary_length(column.dictionary).take(column.indices)
        size = compute.sum(lengths.cast(pa.int64())).as_py() or 0
        if size > MOST_TEXT_PER_BATCH:
            raise InputError(
                f"{path}:{row + 1}: column {name!r} holds {size:,} bytes of text in {len(column):,} rows, "
                f"more than {MOST_TEXT_PER_BATCH:,}"
            )


def _readable(path: str, role: str, column: pa.Array) -> pa.Array:
    """The column as text, so that one set of rules holds for every kind of file; times as microseconds."""
    if pa.types.is_date(column.type):
        column = compute.cast(column, pa.timestamp("ms"))
    if pa.types.is_timestamp(column.type):
        column = compute.floor_temporal(column, unit="microsecond")
        return compute.cast(column, pa.timestamp("us"))
    try:
        return compute.cast(column, pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise InputError(f"{path}: the {role} column holds {column.type}, which is no text") from None
