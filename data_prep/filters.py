"""Filters on the encoded log, a duckdb table with `user_id`, `item_id` and maybe `rating`."""

from collections.abc import Sequence

import duckdb

from tfrecs.errors import InputError, option


def apply(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    min_rating: float | None = None,
    min_user_interactions: int = 1,
    min_item_interactions: int = 1,
    keep_fraction: float = 1.0,
    time_order: Sequence[str] = ("timestamp",),
) -> dict[str, int]:
    """Drops rows in place: first the latest, then by rating, then iterated until users and items have enough rows.

    Args:
        connection: a duckdb connection.
        table: str, name of the table.
        min_rating: float or None; rows with a lower rating are dropped.
        min_user_interactions: int, the fewest rows a user may have.
        min_item_interactions: int, the fewest rows an item may have.
        keep_fraction: float in (0, 1], below 1 only the `floor(keep_fraction * rows)` earliest rows are kept; of rows
            with equal timestamps, those that come first in the input. The table needs `position` then.
        time_order: tuple of str, the columns that order the rows in time.

    Returns:
        dict of filter name to the number of rows it dropped, in the order applied.

    Raises:
        InputError: nothing is left; the message gives the counts and the filter.

    Example:
        >>> import duckdb
        >>> connection = duckdb.connect()
        >>> _ = connection.execute("create table log as select 1 as user_id, 2 as item_id")
        >>> apply(connection, "log")
        {}
    """
    if not drop_rows(min_rating, min_user_interactions, min_item_interactions, keep_fraction):
        return {}
    dropped = {}
    before = describe(connection, table)
    if keep_fraction < 1:
        # The small addend keeps 0.29 * 100 = 28.999999999999996 at 29.
        kept = int(keep_fraction * before[0] + 1e-9)
        later = f"position in (select position from {table} order by {', '.join([*time_order, 'position'])} offset ?)"
        dropped["keep_fraction"] = _delete(connection, table, later, kept)
        _require_rows(connection, table, before, f"{option('keep_fraction')} {keep_fraction:g}", "raise it")
        before = describe(connection, table)
    if min_rating is not None:
        dropped["min_rating"] = _delete(connection, table, "rating < ?", min_rating)
        _require_rows(connection, table, before, f"{option('min_rating')} {min_rating:g}")
        before = describe(connection, table)
    minimum = {"user": min_user_interactions, "item": min_item_interactions}
    names = {column: f"min_{column}_interactions" for column in minimum if minimum[column] > 1}
    dropped.update(dict.fromkeys(names.values(), 0))
    changed = bool(names)
    while changed:
        changed = False
        for column, name in names.items():
            condition = f"{column}_id in (select {column}_id from {table} group by {column}_id having count(*) < ?)"
            count = _delete(connection, table, condition, minimum[column])
            dropped[name] += count
            changed = changed or count > 0
    flags = " ".join(f"{option(name)} {minimum[column]}" for column, name in names.items())
    _require_rows(connection, table, before, flags)
    return dropped


def drop_rows(
    min_rating: float | None = None,
    min_user_interactions: int = 1,
    min_item_interactions: int = 1,
    keep_fraction: float = 1.0,
) -> bool:
    """Whether `apply` with these arguments may drop rows.

    Example:
        >>> drop_rows(min_user_interactions=1), drop_rows(min_user_interactions=2)
        (False, True)
    """
    return min_rating is not None or max(min_user_interactions, min_item_interactions) > 1 or keep_fraction < 1


def describe(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int, int]:
    """`(rows, users, items)` of the table."""
    query = f"select count(*), count(distinct user_id), count(distinct item_id) from {table}"
    return connection.execute(query).fetchall()[0]


def _delete(connection: duckdb.DuckDBPyConnection, table: str, condition: str, value: float) -> int:
    return connection.execute(f"delete from {table} where {condition}", [value]).fetchall()[0][0]


def _require_rows(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    before: tuple[int, int, int],
    flags: str,
    advice: str = "lower it",
) -> None:
    if connection.execute(f"select count(*) from {table}").fetchall()[0][0] == 0:
        rows, users, items = before
        raise InputError(
            f"nothing is left of {rows} interactions of {users} users with {items} items after {flags}; {advice}"
        )
