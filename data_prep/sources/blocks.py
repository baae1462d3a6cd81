"""Files of delimited text cut into blocks of whole records, with the number of each line."""

import contextlib
import csv
import dataclasses
import gzip
import os
import re

from tfrecs.errors import InputError

BLOCK_BYTES = 8 << 20
# A record longer than this is taken for a quote that is never closed.
LONGEST_RECORD = 64 << 20
csv.field_size_limit(LONGEST_RECORD)
BOM = b"\xef\xbb\xbf"


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


# Lines that the source takes apart itself.
LINES = Layout({}, 1, "\n", quoted=False, header=False)


def blocks(path, layout, block_bytes=BLOCK_BYTES):
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
            end = end_of_records(buffer, layout)
            if end < len(buffer) and (not data or len(buffer) - end > LONGEST_RECORD):
                number = line + buffer.count(b"\n", 0, end)
                problem = "a quote is never closed" if layout.quoted else "a line without an end"
                raise InputError(f"{path}:{number}: {problem}: {buffer[end : end + 80]!r}")
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


def end_of_records(buffer, layout):
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
