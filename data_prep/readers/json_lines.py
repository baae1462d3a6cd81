"""Lines that hold one object each: JSON, or a Python literal, as older collections were written."""

import ast
import json
import warnings
from collections.abc import Iterator
from typing import Any

from data_prep.readers import blocks
from data_prep.readers.log import BadLines

# The objects in memory take many times the text.
LONGEST_OBJECT = 1 << 20


def entries(
    block: bytes, first_line: int, path: str, bad_lines: BadLines, kind: str | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields `(line, dict)` of each line of a block that is not blank.

    Args:
        block: bytes, whole lines.
        first_line: int, the number of the block's first line.
        path: str, for messages.
        bad_lines: `data_prep.readers.log.BadLines`.
        kind: str, the kind of a line that holds no object, or None for `encoding` and `format`.
    """
    for line, record in blocks.records(block, first_line, blocks.LINES):
        if not record.strip():
            continue
        try:
            text = record.decode("utf-8").strip()
        except UnicodeDecodeError:
            bad_lines.add(kind or "encoding", path, line, f"not UTF-8: {record[:80]!r}")
            continue
        try:
            yield line, parse(text)
        except ValueError as error:
            bad_lines.add(kind or "format", path, line, str(error))


def parse(text: str) -> dict[str, Any]:
    """The object that a text holds; nothing in it is ever run.

    Args:
        text: str.

    Returns:
        dict.

    Raises:
        ValueError: neither JSON nor a Python literal, or not an object; it echoes the text.

    Example:
        >>> parse('{"asin": "A", "price": null}') == parse("{'asin': 'A', 'price': None}")
        True
    """
    if len(text) > LONGEST_OBJECT:
        raise ValueError(f"longer than {LONGEST_OBJECT:,} characters: {text[:80]!r}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd escapes such as '\/', which stand for themselves
                value = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise ValueError(f"neither JSON nor a Python literal: {text[:80]!r}") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, {{...}}: {text[:80]!r}")
    return value
