"""The unit of timestamps that are numbers: recognised from their size, or refused with the reason."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING

from tfrecs.errors import InputError, option

if TYPE_CHECKING:
    import duckdb

MICROSECOND = "microsecond"  # the column that dates have next to `timestamp`
# Ticks per second of the units that are read.
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000}
NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# A time between these, in seconds, tells the unit: 1973-03-03, before which other units would be read, and 2100-01-01.
FIRST, END = 100_000_000, 4_102_444_800
DAYS = (7_305, 47_482)  # days from 1970 to 1990 and to 2100


@dataclasses.dataclass(frozen=True)
class Times:
    """How the times of a log are stored.

    Args:
        columns: list of str, SQL expressions for the table that is encoded, `timestamp` in seconds first.
        order: tuple of str, the columns that order rows in time.
        provenance: dict for the manifest: `unit`, `first` and `last`.
    """

    columns: list[str]
    order: tuple[str, ...]
    provenance: dict[str, str]

    @property
    def description(self) -> str:
        """A few words for a reader."""
        return f"timestamps: {self.provenance['unit']}, {self.provenance['first']} to {self.provenance['last']}"


def recognise(connection: duckdb.DuckDBPyConnection, unit: str = "auto") -> Times:
    """Finds out how the timestamps of the table `log` count, over the whole column.

    Dates need no recognising: where the table has microseconds, its timestamps are seconds. Of numbers, those from
    1973 to 2100 in seconds, milliseconds or microseconds are taken for such. Numbers below, as counters or times since
    some start are, count as seconds.

    Args:
        connection: a duckdb connection with the table `log`: `position`, `timestamp`, `microsecond`.
        unit: `auto`, or one of `UNITS`, which is then taken without a look at the values.

    Returns:
        `Times`.

    Raises:
        InputError: units that are mixed or not read, times that no unit makes plausible, dates written as numbers.
    """
    first, last, num_numbers, num_dates = connection.execute(
        f"select min(timestamp), max(timestamp), count(*) - count({MICROSECOND}), count({MICROSECOND}) from log"
    ).fetchall()[0]
    if num_numbers and num_dates:
        raise InputError(f"timestamps: {num_dates:,} are dates, {num_numbers:,} are numbers; expected one or the other")
    if num_dates:
        if unit != "auto":
            raise InputError(f"{option('timestamp_unit')} {unit}: has no effect on timestamps that are dates")
        return Times(["timestamp", MICROSECOND], ("timestamp", MICROSECOND), _provenance("dates", first, last))
    if unit == "auto":
        unit = _unit(connection, first, last)
    if unit == "s":
        return Times(["timestamp"], ("timestamp",), _provenance(NAMES[unit], first, last))
    ticks = UNITS[unit]
    rest = f"((timestamp % {ticks}) + {ticks}) % {ticks}"  # never negative, so that times round down
    columns = [f"(timestamp - {rest}) // {ticks} as timestamp", f"{rest} as {MICROSECOND}"]
    return Times(columns, ("timestamp", MICROSECOND), _provenance(NAMES[unit], first // ticks, last // ticks))


def _unit(connection: duckdb.DuckDBPyConnection, first: int, last: int) -> str:
    """The unit that the values tell."""
    bands = {name: (FIRST * ticks, END * ticks) for name, ticks in {**UNITS, "ns": 1_000_000_000}.items()}
    cases = {name: f"{low} <= timestamp and timestamp < {high}" for name, (low, high) in bands.items()}
    cases["low"] = f"{-END} <= timestamp and timestamp < {FIRST}"
    whens = " ".join(f"when {condition} then '{name}'" for name, condition in cases.items())
    found = connection.execute(
        f"select case {whens} else 'none' end as band, min(position), arg_min(timestamp, position) "
        "from log group by band order by 2"
    ).fetchall()
    shown = {band: f"{value} (interaction {position + 1:,})" for band, position, value in found}
    remedy = f"{option('timestamp_unit')} says the unit where this is right"
    if "none" in shown:
        raise InputError(
            f"timestamps: {shown['none']} is implausible: in seconds, milliseconds and microseconds alike it is before "
            f"1973 or after 2099; {remedy}"
        )
    units = [name for name in bands if name in shown]
    if "ns" in units:
        raise InputError(
            f"timestamps: {shown['ns']} seems to count nanoseconds; expected seconds, milliseconds, microseconds or "
            "dates: divide by 1,000,000,000"
        )
    if len(units) > 1:
        examples = " and ".join(f"{shown[name]} seems to count {NAMES[name]}" for name in units)
        raise InputError(f"timestamps: mixed units: {examples}; write all in one unit")
    if not units:
        _refuse_other_counts(first, last, remedy)
    return units[0] if units else "s"


def _refuse_other_counts(first: int, last: int, remedy: str) -> None:
    """Refuses small numbers that are dates or count days."""
    if _is_date(first) and _is_date(last):
        raise InputError(
            f"timestamps: {first} to {last} are implausible as seconds: they seem to be dates, YYYYMMDD; "
            f"write them as 2024-01-31; {remedy}"
        )
    if DAYS[0] <= first and last < DAYS[1]:
        raise InputError(
            f"timestamps: {first} to {last} are implausible as seconds: they seem to count days since 1970; "
            f"multiply by 86,400; {remedy}"
        )


def _is_date(number: int) -> bool:
    try:
        return 1900 <= datetime.datetime.strptime(str(number), "%Y%m%d").year < 2100 and number > 9_999_999
    except ValueError:
        return False


def _provenance(unit: str, first: int, last: int) -> dict[str, str]:
    return {"unit": unit, "first": _date(first), "last": _date(last)}


def _date(seconds: int) -> str:
    """A time as ISO 8601; a number as it is where it is before 1973 or beyond the calendar."""
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return str(seconds)
    return f"{moment.isoformat()}Z"
