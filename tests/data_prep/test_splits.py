import duckdb
import numpy as np
import pytest

from data_prep import splits
from tfrecs.errors import InputError


def ends(rule, length, timestamps=None):
    """The splits of the same sequence thrice, before and behind others: they are equal."""
    row_splits = length * np.arange(4)
    first, second, third = splits.boundaries(rule, row_splits, None if timestamps is None else np.tile(timestamps, 3))
    assert first.tolist() == second.tolist() == third.tolist()
    return tuple(first.tolist())


@pytest.mark.parametrize("length, expected", [(1, (1, 1)), (2, (1, 1)), (3, (1, 2)), (9, (7, 8))])
def test_leave_one_out(length, expected):
    assert ends({"kind": "leave_one_out"}, length) == expected


@pytest.mark.parametrize(
    "valid, test, length, expected",
    [
        (0.1, 0.2, 10, (7, 8)),
        (0.1, 0.1, 9, (9, 9)),  # floors: 0.9 interactions is none
        (0.0, 0.29, 100, (71, 71)),  # 0.29 * 100 is 28.999999999999996
        (0.5, 0.4, 1, (1, 1)),
    ],
)
def test_ratio(valid, test, length, expected):
    rule = {"kind": "ratio", "valid_fraction": valid, "test_fraction": test}
    assert ends(rule, length) == expected


@pytest.mark.parametrize(
    "timestamps, expected",
    [
        ([1, 10, 19, 20, 30], (1, 3)),  # an interaction at a cut belongs to the later part
        ([1, 2], (2, 2)),
        ([25, 26], (0, 0)),
    ],
)
def test_time(timestamps, expected):
    rule = {"kind": "time", "valid_from": 10, "test_from": 20}
    assert ends(rule, len(timestamps), timestamps) == expected


def test_resolve_takes_quantiles_of_all_timestamps():
    connection = duckdb.connect()
    connection.execute("create table log as select 100 + range as timestamp from range(10)")
    rule = splits.declare("time", valid_fraction=0.3, test_fraction=0.2)
    resolved = splits.resolve(rule, connection, "log")
    # Rows 8 and 9 of 10 are the test, 5 to 7 validation.
    assert (resolved["valid_from"], resolved["test_from"]) == (105, 108)


@pytest.mark.parametrize(
    "arguments, named",
    [
        (("leave_one_out", 0.1), "valid_fraction 0.1"),
        (("ratio", None, None, 5), "valid_from 5"),
        (("time", 0.1, None, 5, 6), "valid_fraction 0.1"),
        (("time", None, None, 5, None), "test_from None"),
        (("time", None, None, 7, 6), "valid_from 7"),
        (("ratio", 0.5, 0.5), "less than 1"),
    ],
)
def test_declare_rejects(arguments, named):
    with pytest.raises(InputError, match=named):
        splits.declare(*arguments)
