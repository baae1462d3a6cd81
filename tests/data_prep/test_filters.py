import collections

import duckdb
import numpy as np
import pytest

from data_prep import filters
from tfrecs.errors import InputError


def table_of(rows):
    connection = duckdb.connect()
    connection.execute("create table log (user_id integer, item_id integer, rating double)")
    connection.executemany("insert into log values (?, ?, ?)", rows)
    return connection


def brute_force(rows, user_minimum, item_minimum):
    while True:
        users = collections.Counter(user for user, _, _ in rows)
        items = collections.Counter(item for _, item, _ in rows)
        kept = [r for r in rows if users[r[0]] >= user_minimum and items[r[1]] >= item_minimum]
        if len(kept) == len(rows):
            return rows
        rows = kept


@pytest.mark.parametrize("seed", range(5))
def test_core_equals_a_loop(seed):
    random = np.random.default_rng(seed)
    rows = [
        (int(u), int(i), 1.0) for u, i in zip(random.geometric(0.12, 150), random.geometric(0.15, 150), strict=True)
    ]
    expected = brute_force(rows, 3, 4)
    assert 0 < len(expected) < len(rows)
    connection = table_of(rows)
    dropped = filters.apply(connection, "log", min_user_interactions=3, min_item_interactions=4)
    kept = connection.execute("select * from log").fetchall()
    assert sorted(kept) == sorted(expected)
    assert sum(dropped.values()) == len(rows) - len(expected)


def test_core_iterates():
    # Dropping user 3 leaves item 9 with one row, dropping that leaves user 2 with one.
    rows = [(1, 7, 5), (1, 8, 5), (4, 7, 5), (4, 8, 5), (2, 7, 5), (2, 9, 5), (3, 9, 5)]
    connection = table_of(rows)
    dropped = filters.apply(connection, "log", min_user_interactions=2, min_item_interactions=2)
    assert dropped == {"min_user_interactions": 2, "min_item_interactions": 1}
    assert filters.describe(connection, "log") == (4, 2, 2)


def test_rating_comes_first():
    # Without item 8's low rating, user 1 has one row and goes.
    rows = [(1, 7, 5), (1, 8, 3.5), (2, 7, 4), (2, 8, 4)]
    connection = table_of(rows)
    dropped = filters.apply(connection, "log", min_rating=4, min_user_interactions=2)
    assert dropped == {"min_rating": 1, "min_user_interactions": 1}
    assert connection.execute("select * from log order by all").fetchall() == rows[2:]


@pytest.mark.parametrize(
    "options, named",
    [
        ({"min_rating": 6}, "2 interactions of 2 users with 1 items after min_rating 6"),
        ({"min_user_interactions": 2}, "2 interactions of 2 users .*min_user_interactions 2"),
    ],
)
def test_nothing_left(options, named):
    with pytest.raises(InputError, match=named):
        filters.apply(table_of([(1, 7, 5), (2, 7, 5)]), "log", **options)
