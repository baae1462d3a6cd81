"""Delimited text, read fast while all is well, and exact about the line when it is not.

A block of whole records goes through Arrow's CSV parser; only a block that fails there or in the
checks is read again record by record, which finds the line. Lines are counted as an editor does.
"""

from collections.abc import Iterator

import pyarrow as pa
from pyarrow import csv as arrow_csv

from data_prep.readers import fields
from data_prep.readers.blocks import BLOCK_BYTES, BOM, Layout, blocks, records, split_record
from data_prep.readers.log import BadLines
from tfrecs.errors import InputError

# Stands for a delimiter of several characters, which Arrow's parser does not know.
SEPARATOR = "\x1f"


def read(
    path: str, layout: Layout, bad_lines: BadLines, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[pa.Table, float]]:
    """Reads a log in blocks.

    Args:
        path: str; a name ending in `.gz` is decompressed.
        layout: `Layout`.
        bad_lines: `data_prep.readers.log.BadLines`.
        block_bytes: int, about how much to read at a time.

    Yields:
        `(table, fraction)` as `data_prep.readers.log.Log.chunks`.

    Raises:
        InputError: naming FILE:LINE and echoing the value.
    """
    has_header = layout.header
    converter = fields.Converter(layout.roles)
    for block, line, fraction in blocks(path, layout, block_bytes):
        if has_header:
            header = next((record for _, record in records(block, line, layout)), None)
            if header is None:
                continue
            start = block.index(header) + len(header)
            line += block.count(b"\n", 0, start)
            block = block[start:]
            has_header = False
        table = _read_fast(block, layout, converter)
        if table is None:
            table = converter.convert_rows(_rows(block, line, path, layout, bad_lines), path, bad_lines)
        yield table, fraction


def read_header(path: str, delimiter: str, quoted: bool = True) -> list[str]:
    """The fields of the first line that is not blank; `quoted` as in `Layout`.

    Raises:
        InputError: no such line, or it is not UTF-8.
    """
    layout = Layout({}, 0, delimiter, quoted, header=True)
    for block, line, _ in blocks(path, layout, 1 << 16):
        for number, record in records(block, line, layout):
            try:
                return split_record(record.decode("utf-8"), layout)
            except UnicodeDecodeError:
                raise InputError(f"{path}:{number}: not UTF-8: {record[:80]!r}") from None
            except ValueError as error:
                raise InputError(f"{path}:{number}: {error}: {record[:80]!r}") from None
    raise InputError(f"{path}: empty")


def _read_fast(block: bytes, layout: Layout, converter: fields.Converter) -> pa.Table | None:
    """The block as a table, or None where anything is out of the ordinary."""
    if block.count(b"\r") != block.count(b"\r\n"):
        return None
    if block.startswith(BOM):  # which Arrow drops; at the start of the file it is gone already
        return None
    delimiter = layout.delimiter
    if len(delimiter) > 1:
        if SEPARATOR.encode() in block:
            return None
        block = block.replace(delimiter.encode(), SEPARATOR.encode())
        delimiter = SEPARATOR
    names = [str(index) for index in range(layout.num_columns)]
    used = [names[index] for index in layout.roles.values()]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(block),
            arrow_csv.ReadOptions(column_names=names, block_size=len(block) + 1),
            arrow_csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if layout.quoted else False,
                newlines_in_values=layout.quoted,
            ),
            arrow_csv.ConvertOptions(
                include_columns=list(dict.fromkeys(used)),
                column_types=dict.fromkeys(names, pa.string()),
            ),
        )
    except pa.ArrowInvalid:
        return None
    return converter.convert_columns({role: table[names[index]] for role, index in layout.roles.items()})


def _rows(block: bytes, line: int, path: str, layout: Layout, bad_lines: BadLines) -> Iterator[tuple[int, list[str]]]:
    """Yields `(line, texts)` of the records of a block, the texts as `layout.roles` has them."""
    for number, record in records(block, line, layout):
        try:
            text = record.decode("utf-8")
        except UnicodeDecodeError:
            bad_lines.add("encoding", path, number, f"not UTF-8: {record[:80]!r}")
            continue
        try:
            values = split_record(text, layout)
        except ValueError as error:
            bad_lines.add("fields", path, number, f"{error}: {text[:80]!r}")
            continue
        if len(values) != layout.num_columns:
            shown = text.rstrip("\r\n")[:80]
            message = f"expected {layout.num_columns} fields, found {len(values)}: {shown!r}"
            bad_lines.add("fields", path, number, message)
            continue
        yield number, [values[index] for index in layout.roles.values()]
