"""Converts the text of a log's fields: whole columns where all values are good, one by one where some are not."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
import pyarrow as pa
from pyarrow import compute

from data_prep.readers import dates
from data_prep.readers.frame_columns import BadRows
from data_prep.readers.log import BadLines
from data_prep.timestamps import MICROSECOND

TYPES = {
    "user": pa.string(),
    "item": pa.string(),
    "timestamp": pa.int64(),
    "rating": pa.float64(),
    "action": pa.string(),
}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
LARGEST_RATING = float(np.finfo(np.float32).max)


class BadValue(ValueError):
    """A field that cannot be used: `role` says which, the message why, echoing the value."""

    def __init__(self, role: str, message: str) -> None:
        super().__init__(message)
        self.role = role


@overload
def convert(role: Literal["user", "item", "action"], text: str) -> str: ...
@overload
def convert(role: str, text: str) -> str | int | float | tuple[int, int]: ...
def convert(role: str, text: str) -> str | int | float | tuple[int, int]:
    """The value of one field.

    Args:
        role: a key of `TYPES`.
        text: str.

    Returns:
        str, int or float; of a timestamp that is a date, the pair of its seconds and microseconds. Fractions of a
        timestamp that is a number are cut off.

    Raises:
        BadValue: empty, with a line break, not a finite number of the field's range, and no date where one may be.

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
        if role == "timestamp" and (date := dates.parse(stripped)) is not None:
            return date
        raise BadValue(role, f"{role} is not a number: {text!r}" + (", nor a date" if role == "timestamp" else ""))
    if role == "rating":
        value = float(stripped)
        if not math.isfinite(value) or abs(value) > LARGEST_RATING:
            raise BadValue(role, f"{role} is out of range: {text!r}")
        return value
    value = float(stripped)
    if math.isfinite(value):
        seconds = int(stripped) if INTEGER.fullmatch(stripped) else math.floor(value)
        if -(2**63) <= seconds < 2**63:
            return seconds
    raise BadValue(role, f"{role} is out of range: {text!r}")


def table(columns: Mapping[str, Any]) -> pa.Table:
    """An Arrow table of lists of converted values, keyed by role."""
    return pa.table({role: pa.array(values, TYPES[role]) for role, values in columns.items()})


class Converter:
    """Converts the columns of a log, block by block; timestamps are either numbers or dates from the first to the last.

    Args:
        roles: iterable of keys of `TYPES`, the columns in their order.

    Example:
        >>> converter = Converter(["user", "timestamp"])
        >>> converter.convert_columns({"user": pa.array(["u"]), "timestamp": pa.array(["1970-01-02"])}).to_pylist()
        [{'user': 'u', 'timestamp': 86400, 'microsecond': 0}]
    """

    def __init__(self, roles: Iterable[str]) -> None:
        self.roles = tuple(roles)
        self._dates: bool | None = None  # whether timestamps are dates; None before the first one

    def convert_columns(self, columns: Mapping[str, pa.Array]) -> pa.Table | None:
        """Converts whole columns.

        Args:
            columns: dict of role to an Arrow column, of text or of the role's own type.

        Returns:
            an Arrow table as `data_prep.readers.log.Log.chunks` has them, or None if a value is bad or unusual:
            `convert_rows` then says which, or how.
        """
        converted, dates = {}, self._dates
        for role, column in columns.items():
            if TYPES[role] == pa.string():
                if not _is_clean(column):
                    return None
                converted[role] = column
                continue
            numbers = None if pa.types.is_timestamp(column.type) else _numbers(column, role)
            if numbers is not None:
                converted[role] = numbers
            elif role != "timestamp" or (found := date_columns(column)) is None:
                return None
            else:
                converted |= found
            if role == "timestamp" and len(column):
                dates = numbers is None
        if self._dates not in (None, dates):
            return None
        self._dates = dates
        return pa.table(converted)

    def convert_rows(
        self, rows: Iterable[tuple[int, Sequence[str]]], path: str, bad_lines: BadLines | BadRows
    ) -> pa.Table:
        """Converts rows one by one.

        Args:
            rows: iterable of `(line, texts)`, a text for each role.
            path: str, for messages.
            bad_lines: `data_prep.readers.log.BadLines`, which takes the rows that cannot be used.

        Returns:
            an Arrow table, as `convert_columns`.
        """
        columns: dict[str, list[Any]] = {role: [] for role in self.roles}
        microseconds = []
        for line, texts in rows:
            try:
                values = {role: convert(role, text) for role, text in zip(self.roles, texts, strict=True)}
                if "timestamp" in values:
                    self._check_form(values["timestamp"], texts[self.roles.index("timestamp")])
            except BadValue as error:
                bad_lines.add(error.role, path, line, str(error))
                continue
            if isinstance(moment := values.get("timestamp"), tuple):
                values["timestamp"], microsecond = moment
                microseconds.append(microsecond)
            for role, value in values.items():
                columns[role].append(value)
        result = table(columns)
        return result.append_column(MICROSECOND, pa.array(microseconds, pa.int64())) if self._dates else result

    def _check_form(self, value: object, text: str) -> None:
        is_date = isinstance(value, tuple)
        if self._dates is None:
            self._dates = is_date
        elif self._dates != is_date:
            here, before = ("a date", "numbers") if is_date else ("a number", "dates")
            raise BadValue("timestamp", f"timestamp is {here}, those before are {before}: {text!r}")


def date_columns(column: pa.Array) -> dict[str, pa.Array] | None:
    """The columns `timestamp` and `microsecond` of a column of dates, or None."""
    parts = dates.parse_column(column)
    return None if parts is None else {"timestamp": parts[0], MICROSECOND: parts[1]}


def _is_clean(column: pa.Array) -> bool:
    blank = compute.or_(compute.equal(column, ""), compute.utf8_is_space(column))
    broken = compute.match_substring_regex(column, "[\r\n]")
    return not compute.any(compute.or_(blank, broken)).as_py()


def _numbers(column: pa.Array, role: str) -> pa.Array | None:
    # Arrow reads 0x10 as a number, `convert` does not.
    is_text = pa.types.is_string(column.type)
    if is_text and compute.any(compute.match_substring(column, "x", ignore_case=True)).as_py():
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
    largest = 2.0**53 - 1 if role == "timestamp" else LARGEST_RATING
    if not compute.all(compute.less_equal(compute.abs(values), largest), min_count=0).as_py():
        return None
    return compute.cast(compute.floor(values), pa.int64()) if role == "timestamp" else values
