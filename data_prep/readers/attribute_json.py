"""Item attributes as one JSON object: `{"item": [value, value, ...], ...}`, also gzipped.

The object is read entry by entry, so that memory is bounded by the longest entry and not by the file.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import pyarrow as pa

from data_prep.readers import blocks
from tfrecs.errors import InputError

LONGEST_ENTRY = 1 << 20
VALUES_PER_TABLE = 100_000
SPACE = re.compile(r"[ \t\r\n]*")


def read(path: str) -> Iterator[pa.Table]:
    """Reads the attributes of all items.

    Args:
        path: str; a name ending in `.gz` is decompressed.

    Yields:
        Arrow tables with the string columns `item` and `value`, as `Log.attribute_chunks`.

    Raises:
        InputError: not such an object; it names the line or the item and echoes the value.
    """
    items, values = [], []
    for item, entries in _pairs(path):
        if not item.strip() or "\n" in item or "\r" in item:
            raise InputError(f"{path}: not the name of an item: {item!r:.80}")
        if not isinstance(entries, list):
            raise InputError(f"{path}: item {item!r:.80}: expected a list, got {entries!r:.80}")
        for value in entries:
            items.append(item)
            values.append(_text(path, item, value))
        if len(values) >= VALUES_PER_TABLE:
            yield _table(path, items, values)
            items, values = [], []
    yield _table(path, items, values)


def _table(path: str, items: list[str], values: list[str]) -> pa.Table:
    try:
        return pa.table({"item": pa.array(items, pa.string()), "value": pa.array(values, pa.string())})
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: not valid Unicode: {error.object!r:.80}") from None


def _pairs(path: str) -> Iterator[tuple[str, Any]]:
    """The object's pairs in their order, an item's second entry included."""
    with blocks.open_binary(path) as (file, _):
        text = _Text(file, path)
        text.skip_space()
        if text.peek() != "{":
            raise InputError(f"{path}: expected an object from item to list, got {text.near()}")
        text.expect("{")
        text.skip_space()
        if text.peek() != "}":
            while True:
                item = text.value()
                if not isinstance(item, str):
                    text.fail("Expecting property name enclosed in double quotes")
                text.expect(":")
                yield item, text.value()
                if text.peek() != ",":
                    break
                text.expect(",")
        text.expect("}")
        if text.peek():
            text.fail("Extra data")


class _Text:
    """The text of a file, of which there is always as much in memory as the longest entry may have."""

    def __init__(self, file: blocks.Readable, path: str) -> None:
        self.file, self.path = file, path
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        # Objects become tuples of pairs, so that they are told from lists and none of their content is lost.
        self.json = json.JSONDecoder(object_pairs_hook=tuple)
        self.buffer, self.place, self.at_end = "", 0, False
        self.line = self.bytes_line = 1
        self.fill()

    def fill(self) -> None:
        """Reads on where less than an entry is left; what was used is forgotten."""
        if self.at_end or len(self.buffer) - self.place >= LONGEST_ENTRY:
            return
        data = blocks.read_some(self.file, 2 * LONGEST_ENTRY, self.path, self.bytes_line)
        self.at_end = not data
        try:
            more = self.decoder.decode(data, self.at_end)
        except UnicodeDecodeError as error:
            line = self.bytes_line + error.object.count(b"\n", 0, error.start)
            near = error.object[error.start : error.start + 80]
            raise InputError(f"{self.path}:{line}: not UTF-8: {near!r}") from None
        self.bytes_line += data.count(b"\n")
        self.line += self.buffer.count("\n", 0, self.place)
        self.buffer, self.place = self.buffer[self.place :] + more, 0
        if not self.at_end:
            self.fill()

    def skip_space(self) -> None:
        """Goes on to the next character that is no space."""
        while True:
            if space := SPACE.match(self.buffer, self.place):
                self.place = space.end()
            if self.place < len(self.buffer) or self.at_end:
                return
            self.fill()

    def peek(self) -> str:
        """The next character, or "" at the end."""
        return self.buffer[self.place : self.place + 1]

    def expect(self, character: str) -> None:
        """Takes a character and the space after it."""
        if self.peek() != character:
            self.fail(f"Expecting {character!r}")
        self.place += 1
        self.skip_space()

    def value(self) -> Any:
        """Takes a value and the space after it."""
        self.fill()
        try:
            found, self.place = self.json.raw_decode(self.buffer, self.place)
        except json.JSONDecodeError as error:
            cut_off = error.pos >= len(self.buffer) - 10 or error.msg.startswith("Unterminated string")
            if cut_off and not self.at_end:
                self.fail(f"a value longer than {LONGEST_ENTRY:,} characters")
            self.place = error.pos
            self.fail(error.msg)
        except ValueError as error:  # a number of thousands of digits
            raise InputError(f"{self.path}:{self.line_here()}: not JSON that can be read: {error}") from None
        except RecursionError:
            raise InputError(f"{self.path}:{self.line_here()}: not JSON that can be read: nested too deeply") from None
        self.skip_space()
        return found

    def line_here(self) -> int:
        """The number of the line where the next character stands."""
        return self.line + self.buffer.count("\n", 0, self.place)

    def near(self) -> str:
        """The text at this place, for a message."""
        return repr(self.buffer[self.place : self.place + 80])

    def fail(self, problem: str) -> NoReturn:
        """Raises `InputError` naming the line."""
        raise InputError(f"{self.path}:{self.line_here()}: not JSON: {problem}: {self.near()}")


def _text(path: str, item: str, value: object) -> str:
    """A value as text; numbers are written as they are."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip() or "\n" in value or "\r" in value:
        raise InputError(f"{path}: item {item!r:.80}: expected text or a whole number, got {value!r:.80}")
    return value
