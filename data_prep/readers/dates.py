"""Dates and times as ISO 8601 writes them, read as whole seconds and microseconds since 1970; UTC without a zone."""

import datetime
import re

import pyarrow as pa
from pyarrow import compute

MICROSECONDS = 1_000_000
TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?(Z|[+-]\d\d(?::?\d\d)?))?)?", re.ASCII
)
# What Arrow reads as `parse` does: all without a zone, or all with one.
PLAIN = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?$"
ZONED = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})$"
EPOCH = datetime.datetime(1970, 1, 1)


def parse(text: str) -> tuple[int, int] | None:
    """Reads one date or time.

    Args:
        text: str, `2024-01-31`, `2024-01-31 10:00`, `2024-01-31T10:00:00.25Z`, `2024-01-31 10:00:00+01:00`; digits
            after the microseconds are cut off.

    Returns:
        `(seconds, microseconds)`, ints, or None where the text is something else.

    Example:
        >>> parse("1970-01-02 01:00:00.5+01:00"), parse("tomorrow")
        ((86400, 500000), None)
    """
    match = TIME.fullmatch(text.strip())
    if not match:
        return None
    *parts, fraction, zone = match.groups()
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in parts)
        moment = datetime.datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    offset = 0
    if zone and zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[3:].removeprefix(":") or 0)
        if hours > 23 or minutes > 59:
            return None
        offset = (3600 * hours + 60 * minutes) * (-1 if zone[0] == "-" else 1)
    seconds = (moment - EPOCH) // datetime.timedelta(seconds=1) - offset
    return seconds, int((fraction or "")[:6].ljust(6, "0"))


def parse_column(column: pa.Array) -> tuple[pa.Array, pa.Array] | None:
    """Reads a column at once.

    Args:
        column: Arrow array, of text, numbers or timestamps of microseconds.

    Returns:
        `(seconds, microseconds)`, int64 arrays, or None where a value is no time, or an unusual one for `parse`.
    """
    if pa.types.is_timestamp(column.type):
        return split(compute.cast(column, pa.int64()))
    if not pa.types.is_string(column.type):
        return None
    for pattern, kind in ((PLAIN, pa.timestamp("us")), (ZONED, pa.timestamp("us", "UTC"))):
        if compute.all(compute.match_substring_regex(column, pattern), min_count=0).as_py():
            try:
                return split(compute.cast(compute.cast(column, kind), pa.int64()))
            except pa.ArrowInvalid:  # as of the 30th of February
                return None
    return None


def split(microseconds: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Whole seconds, rounded down, and the microseconds that are left, of an int64 array of microseconds."""
    seconds = compute.divide(microseconds, MICROSECONDS)  # towards zero
    rest = compute.subtract(microseconds, compute.multiply(seconds, MICROSECONDS))
    before = compute.cast(compute.less(rest, 0), pa.int64())
    return compute.subtract(seconds, before), compute.add(rest, compute.multiply(before, MICROSECONDS))
