"""Files of delimited text cut into blocks of whole records, with the number of each line."""

import contextlib
import csv
import dataclasses
import gzip
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from tfrecs import files
from tfrecs.errors import InputError

BLOCK_BYTES = 8 << 20
# A record longer than this is taken for a quote that is never closed, or for no text at all.
LONGEST_RECORD = 16 << 20
csv.field_size_limit(LONGEST_RECORD)
BOM = b"\xef\xbb\xbf"
# Text is rarely packed to less than a tenth. What unpacks to far more may be made to fill memory and disk.
LARGEST_RATIO = 200
UNPACKED_ANYWAY = 64 << 20


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

    roles: Mapping[str, int]
    num_columns: int
    delimiter: str
    quoted: bool
    header: bool


class Readable(Protocol):
    """What bytes are read from."""

    def read1(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


# Lines that the source takes apart itself.
LINES = Layout({}, 1, "\n", quoted=False, header=False)


def blocks(path: str, layout: Layout, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[bytes, int, float]]:
    """Yields `(bytes, line, fraction)`: whole records, the number of their first line, progress."""
    line = 1
    rest = b""
    with open_binary(path) as (file, position):
        size = max(1, os.path.getsize(path))
        while True:
            data = read_some(file, block_bytes, path, line + rest.count(b"\n"))
            buffer = rest + data
            if not data and buffer and not buffer.endswith(b"\n"):
                buffer += b"\n"
            end = end_of_records(buffer, layout)
            if end < len(buffer) and (not data or len(buffer) - end > LONGEST_RECORD):
                number = line + buffer.count(b"\n", 0, end)
                problem = "a quote is never closed"
                if data and not layout.quoted:
                    problem = f"a line longer than {LONGEST_RECORD:,} bytes"
                raise InputError(f"{path}:{number}: {problem}: {buffer[end : end + 80]!r}")
            if end:
                yield buffer[:end], line, min(1.0, position() / size)
                line += buffer.count(b"\n", 0, end)
            rest = buffer[end:]
            if not data:
                return


@contextlib.contextmanager
def open_binary(path: str) -> Iterator[tuple[Readable, Callable[[], int]]]:
    """Gives `(file, position)`: the content without a byte order mark, unpacked, and the bytes of the file consumed."""
    with files.open_regular(path) as raw:
        file = _Unpacked(raw, path) if path.endswith(".gz") else raw
        start = read_some(file, len(BOM), path, 1)
        yield _Pushed(start.removeprefix(BOM), file), raw.tell


class _Pushed:
    """A file with bytes that were read from it put back."""

    def __init__(self, start: bytes, file: Readable) -> None:
        self.start, self.file = start, file

    def read1(self, size: int) -> bytes:
        if self.start:
            data, self.start = self.start[:size], self.start[size:]
            return data
        return self.file.read1(size)


class _Unpacked:
    """The content of a gzipped file, refused where it is out of proportion."""

    def __init__(self, raw: io.BufferedReader, path: str) -> None:
        self.file, self.path, self.count = gzip.GzipFile(fileobj=raw), path, 0
        self.most = max(UNPACKED_ANYWAY, LARGEST_RATIO * os.fstat(raw.fileno()).st_size)

    def read1(self, size: int) -> bytes:
        data = self.file.read1(size)
        self.count += len(data)
        if self.count > self.most:
            raise InputError(
                f"{self.path}: unpacks to over {self.most:,} bytes, more than {LARGEST_RATIO} times its size; "
                "if that is right, unpack it first"
            )
        return data


def read_some(file: Readable, num_bytes: int, path: str, line: int) -> bytes:
    """The next bytes of a file: as many as asked for, fewer only at its end.

    Args:
        file: as `open_binary` gives it.
        num_bytes: int.
        path: str, for messages.
        line: int, the number of the line that the next byte belongs to.

    Raises:
        InputError: naming the line at which the file is damaged.
    """
    pieces, missing = [], num_bytes
    try:
        while missing and (piece := file.read1(missing)):
            pieces.append(piece)
            missing -= len(piece)
    except (EOFError, OSError, zlib.error) as error:
        line += sum(piece.count(b"\n") for piece in pieces)
        raise InputError(f"{path}:{line}: cannot be read: {error}") from None
    return b"".join(pieces)


def end_of_records(buffer: bytes, layout: Layout) -> int:
    """Where the last whole record of the buffer ends."""
    if not (layout.quoted and b'"' in buffer):
        return buffer.rfind(b"\n") + 1
    pattern = _record_pattern(layout)
    end = 0
    while match := pattern.match(buffer, end):
        end = match.end()
    return end


def _record_pattern(layout: Layout) -> re.Pattern[bytes]:
    """A record with its line break; a quote opens a field only at the field's start."""
    delimiter = re.escape(layout.delimiter.encode())
    quoted = rb'"[^"]*(?:""[^"]*)*"(?!")[^D\n]*'
    field = rb"(?:" + quoted + rb'|(?!")[^D\n]*)'
    field = field.replace(b"D", delimiter)
    return re.compile(field + rb"(?:" + delimiter + field + rb")*\n")


def records(block: bytes, line: int, layout: Layout) -> Iterator[tuple[int, bytes]]:
    """Yields `(line, bytes)` of each record that is not blank, line break included."""
    if layout.quoted and b'"' in block:
        pieces = (match.group() for match in _record_pattern(layout).finditer(block))
    else:
        pieces = (piece + b"\n" for piece in block.split(b"\n")[:-1])
    for piece in pieces:
        if piece.rstrip(b"\r\n"):
            yield line, piece
        line += piece.count(b"\n")


def split_record(text: str, layout: Layout) -> list[str]:
    """The fields of one record.

    Raises:
        ValueError: no record, as where a carriage return stands without a line feed.
    """
    text = text.removesuffix("\n").removesuffix("\r")
    if not layout.quoted:
        return text.split(layout.delimiter)
    # A quoted field may hold line breaks; csv wants those lines one by one.
    *lines, last = text.split("\n")
    try:
        return next(csv.reader([*(line + "\n" for line in lines), last], delimiter=layout.delimiter))
    except csv.Error as error:
        raise ValueError(str(error).partition(" - ")[0]) from None
