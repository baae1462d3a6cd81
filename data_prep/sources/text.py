"""Delimited text in bounded blocks: fast while all is well, exact about the line when it is not.

A block of whole records goes through Arrow's CSV parser; only a block that fails there or in the
checks is read again record by record, which finds the line. Lines are counted as an editor does.
"""

import contextlib
import csv
import dataclasses
import gzip
import os
import re

import pyarrow as pa
from pyarrow import csv as arrow_csv

from data_prep.sources import fields
from tfrecs.errors import InputError

BLOCK_BYTES = 8 << 20
# A record longer than this is taken for a quote that is never closed.
LONGEST_RECORD = 64 << 20
csv.field_size_limit(LONGEST_RECORD)
BOM = b"\xef\xbb\xbf"
# Stands for a delimiter of several characters, which Arrow's parser does not know.
SEPARATOR = "\x1f"


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a file's lines become interactions.

    Args:
        roles: dict of `user`, `item` and maybe `timestamp`, `rating`, `action` to the index of
            their column.
        num_columns: int, fields in every line.
        delimiter: str.
        quoted: bool, whether a field may be in double quotes.
        header: bool, whether the first line that is not blank names the columns.
    """

    roles: dict
    num_columns: int
    delimiter: str
    quoted: bool
    header: bool


def read(path, layout, bad_lines, block_bytes=BLOCK_BYTES):
    """Reads a log in blocks.

    Args:
        path: str; a name ending in `.gz` is decompressed.
        layout: `Layout`.
        bad_lines: `data_prep.sources.log.BadLines`.
        block_bytes: int, about how much to read at a time.

    Yields:
        `(table, fraction)` as `data_prep.sources.log.Log.chunks`.

    Raises:
        InputError: naming FILE:LINE and echoing the value.
    """
    has_header = layout.header
    for block, line, fraction in blocks(path, layout, block_bytes):
        if has_header:
            header = next((record for _, record in records(block, line, layout)), None)
            if header is None:
                continue
            start = block.index(header) + len(header)
            line += block.count(b"\n", 0, start)
            block = block[start:]
            has_header = False
        table = _read_fast(block, layout)
        if table is None:
            table = _read_carefully(block, line, path, layout, bad_lines)
        yield table, fraction


def read_header(path, delimiter):
    """The fields of the first line that is not blank.

    Raises:
        InputError: no such line, or it is not UTF-8.
    """
    layout = Layout({}, 0, delimiter, quoted=True, header=True)
    for block, line, _ in blocks(path, layout, 1 << 16):
        for number, record in records(block, line, layout):
            try:
                return split_record(record.decode("utf-8"), layout)
            except UnicodeDecodeError:
                raise InputError(f"{path}:{number}: not UTF-8: {record[:80]!r}") from None
    raise InputError(f"{path}: empty")


def blocks(path, layout, block_bytes):
    """Yields `(bytes, line, fraction)`: whole records, the number of their first line, progress."""
    line = 1
    rest = b""
    with open_binary(path) as (file, position):
        size = max(1, os.path.getsize(path))
        first = True
        while True:
            data = _read_some(file, block_bytes, path)
            if first and data.startswith(BOM):
                data = data[len(BOM) :]
            first = False
            buffer = rest + data
            if not data and buffer and not buffer.endswith(b"\n"):
                buffer += b"\n"
            end = _end_of_records(buffer, layout)
            if end < len(buffer) and (not data or len(buffer) - end > LONGEST_RECORD):
                raise InputError(
                    f"{path}:{line + buffer[:end].count(10)}: a quote is never closed: "
                    f"{buffer[end : end + 80]!r}"
                )
            if end:
                yield buffer[:end], line, min(1.0, position() / size)
                line += buffer.count(b"\n", 0, end)
            rest = buffer[end:]
            if not data:
                return


@contextlib.contextmanager
def open_binary(path):
    """Gives `(file, position)`: the content, decompressed, and the bytes of the file consumed."""
    try:
        raw = open(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    with raw:
        yield (gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else raw), raw.tell


def _read_some(file, num_bytes, path):
    try:
        return file.read(num_bytes)
    except (EOFError, OSError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _end_of_records(buffer, layout):
    """Where the last whole record of the buffer ends."""
    if not (layout.quoted and b'"' in buffer):
        return buffer.rfind(b"\n") + 1
    pattern = _record_pattern(layout)
    end = 0
    while match := pattern.match(buffer, end):
        end = match.end()
    return end


def _record_pattern(layout):
    """A record with its line break; a quote opens a field only at the field's start."""
    delimiter = re.escape(layout.delimiter.encode())
    quoted = rb'"[^"]*(?:""[^"]*)*"(?!")[^D\n]*'
    field = rb"(?:" + quoted + rb'|(?!")[^D\n]*)'
    field = field.replace(b"D", delimiter)
    return re.compile(field + rb"(?:" + delimiter + field + rb")*\n")


def records(block, line, layout):
    """Yields `(line, bytes)` of each record that is not blank, line break included."""
    if layout.quoted and b'"' in block:
        pieces = (match.group() for match in _record_pattern(layout).finditer(block))
    else:
        pieces = (piece + b"\n" for piece in block.split(b"\n")[:-1])
    for piece in pieces:
        if piece.rstrip(b"\r\n"):
            yield line, piece
        line += piece.count(b"\n")


def split_record(text, layout):
    """The fields of one record."""
    text = text.removesuffix("\n").removesuffix("\r")
    if not layout.quoted:
        return text.split(layout.delimiter)
    # A quoted field may hold line breaks; csv wants those lines one by one.
    *lines, last = text.split("\n")
    return next(csv.reader([*(line + "\n" for line in lines), last], delimiter=layout.delimiter))


def _read_fast(block, layout):
    """The block as a table, or None where anything is out of the ordinary."""
    if block.count(b"\r") != block.count(b"\r\n"):
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
    return fields.convert_columns(
        {role: table[names[index]] for role, index in layout.roles.items()}
    )


def _read_carefully(block, line, path, layout, bad_lines):
    """The block as a table, record by record."""
    columns = {role: [] for role in layout.roles}
    for number, record in records(block, line, layout):
        try:
            text = record.decode("utf-8")
        except UnicodeDecodeError:
            bad_lines.add("encoding", path, number, f"not UTF-8: {record[:80]!r}")
            continue
        try:
            values = split_record(text, layout)
        except csv.Error as error:
            bad_lines.add("fields", path, number, f"{error}: {text[:80]!r}")
            continue
        if len(values) != layout.num_columns:
            shown = text.rstrip("\r\n")[:80]
            message = f"expected {layout.num_columns} fields, found {len(values)}: {shown!r}"
            bad_lines.add("fields", path, number, message)
            continue
        try:
            row = {role: fields.convert(role, values[i]) for role, i in layout.roles.items()}
        except fields.BadValue as error:
            bad_lines.add(error.role, path, number, str(error))
            continue
        for role, value in row.items():
            columns[role].append(value)
    return fields.table(columns)
