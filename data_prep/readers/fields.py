"""What a field's text means: one value at a time, and whole columns where all of them are good."""

import math
import re

import numpy as np
import pyarrow as pa
from pyarrow import compute

TYPES = {
    "user": pa.string(),
    "item": pa.string(),
    "timestamp": pa.int64(),
    "rating": pa.float64(),
    "action": pa.string(),
}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


class BadValue(ValueError):
    """A field that cannot be used: `role` says which, the message why, echoing the value."""

    def __init__(self, role, message):
        super().__init__(message)
        self.role = role


def convert(role, text):
    """The value of one field.

    Args:
        role: a key of `TYPES`.
        text: str.

    Returns:
        str, int or float; fractions of a second are cut off.

    Raises:
        BadValue: empty, with a line break, or not a finite number of the field's range.

    Example:
        >>> convert("timestamp", "881250949.5")
        881250949
    """
    if TYPES[role] == pa.string():
        if not text.strip():
            raise BadValue(role, f"{role} is empty: {text!r}")
        if "\n" in text or "\r" in text:
            raise BadValue(role, f"{role} contains a line break: {text!r}")
        return text
    stripped = text.strip()
    if not NUMBER.fullmatch(stripped):
        raise BadValue(role, f"{role} is not a number: {text!r}")
    if role == "rating":
        value = float(stripped)
        if not math.isfinite(value) or abs(value) > np.finfo(np.float32).max:
            raise BadValue(role, f"{role} is out of range: {text!r}")
        return value
    value = float(stripped)
    if math.isfinite(value):
        value = int(stripped) if INTEGER.fullmatch(stripped) else math.floor(value)
        if -(2**63) <= value < 2**63:
            return value
    raise BadValue(role, f"{role} is out of range: {text!r}")


def table(columns):
    """An Arrow table of lists of converted values, keyed by role."""
    return pa.table({role: pa.array(values, TYPES[role]) for role, values in columns.items()})


def convert_columns(columns):
    """Converts columns of text at once.

    Args:
        columns: dict of role to an Arrow string column.

    Returns:
        an Arrow table, or None if a value is bad or unusual: `convert` then says which, or how.
    """
    converted = {}
    for role, column in columns.items():
        if TYPES[role] == pa.string():
            good = _is_clean(column)
            converted[role] = column
        else:
            converted[role] = _numbers(column, role)
            good = converted[role] is not None
        if not good:
            return None
    return pa.table(converted)


def _is_clean(column):
    blank = compute.or_(compute.equal(column, ""), compute.utf8_is_space(column))
    broken = compute.match_substring_regex(column, "[\r\n]")
    return not compute.any(compute.or_(blank, broken)).as_py()


def _numbers(column, role):
    # Arrow reads 0x10 as a number, `convert` does not.
    if compute.any(compute.match_substring(column, "x", ignore_case=True)).as_py():
        return None
    if role == "timestamp":
        try:
            return compute.cast(column, pa.int64())
        except pa.ArrowInvalid:
            pass
    try:
        values = compute.cast(column, pa.float64())
    except pa.ArrowInvalid:
        return None
    # Below 2 ** 53 a float64 holds every whole number. A NaN compares false.
    largest = 2.0**53 - 1 if role == "timestamp" else float(np.finfo(np.float32).max)
    if not compute.all(compute.less_equal(compute.abs(values), largest), min_count=0).as_py():
        return None
    return compute.cast(compute.floor(values), pa.int64()) if role == "timestamp" else values
