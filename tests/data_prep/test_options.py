import re

import pytest

from tfrecs.errors import InputError, command_line
from tfrecs.options import Option, Parser, resolve

OPTIONS = {
    "num_users": Option(int, 5, "users", minimum=1, maximum=9),
    "share": Option(float, None, "a share", minimum=0),
    "mode": Option(str, "fast", "a mode", choices=("fast", "careful")),
}


def test_strings_and_values_alike():
    expected = {"num_users": 3, "share": 0.5, "mode": "careful"}
    assert resolve(OPTIONS, {"num_users": "3", "share": "0.5", "mode": "careful"}, "x") == expected
    assert resolve(OPTIONS, expected, "x") == expected
    assert resolve(OPTIONS, {"num_users": None}, "x") == {
        "num_users": 5,
        "share": None,
        "mode": "fast",
    }


@pytest.mark.parametrize(
    "values, message",
    [
        ({"num_users": "0"}, "--num_users: expected an integer from 1 to 9, got '0'"),
        ({"num_users": 10}, "--num_users: expected an integer from 1 to 9, got 10"),
        ({"num_users": "two"}, "--num_users: expected an integer from 1 to 9, got 'two'"),
        ({"num_users": 2.5}, "got 2.5"),
        ({"share": "nan"}, "--share: expected a number of at least 0, got 'nan'"),
        ({"share": float("inf")}, "--share: .*got inf"),
        ({"mode": "fasst"}, "--mode: unknown value 'fasst'; did you mean 'fast'?"),
        ({"mode": ""}, "--mode"),
        ({"num_user": 3}, "--num_user: not an option of x; did you mean '--num_users'?"),
    ],
)
def test_rejects(values, message):
    with pytest.raises(InputError, match=message), command_line():
        resolve(OPTIONS, values, "x")
    with pytest.raises(InputError, match=message.replace("--", "")):  # from Python
        resolve(OPTIONS, values, "x")


LISTS = {
    "sizes": Option(tuple, (2, 3), "sizes", minimum=1, words=True),
    "names": Option(tuple, (), "names", choices=("a", "b")),
    "is_on": Option(bool, False, "a switch"),
    "file": Option(str, None, "a file", required=True),
}


def test_lists_and_switches_from_text():
    given = ["--sizes", "4", "5", "--sizes", "6", "--names", "a,b", "--is_on", "1", "--file", "f"]
    expected = {"sizes": (4, 5, 6), "names": ("a", "b"), "is_on": True, "file": "f"}
    assert Parser(prog="x").parse_options(given, LISTS) == expected
    assert resolve(LISTS, expected, "x") == expected
    assert Parser(prog="x").parse_options(["--file", "f"], LISTS)["sizes"] == (2, 3)


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--file", "f", "--sizes", "1", "0"], "--sizes: expected an integer of at least 1, got '0'"),
        (["--file", "f", "--names", "a,c"], "--names: unknown value 'c'"),
        (["--file", "f", "--is_on", "yes"], "--is_on: expected 0 or 1, got 'yes'"),
        (["--file", "f", "--size", "1"], "unknown flag '--size'; did you mean '--sizes'?"),
        (["--file", ""], "--file: empty"),
        ([], "--file: required"),
    ],
)
def test_flags_that_are_refused(flags, message):
    with pytest.raises(InputError, match="^" + re.escape(message)), command_line():
        Parser(prog="x").parse_options(flags, LISTS)


@pytest.mark.parametrize("values", [{"sizes": 3}, {"is_on": 1}, {"sizes": [2.5]}])
def test_values_of_another_type_are_refused(values):
    with pytest.raises(InputError, match=f"^{next(iter(values))}: expected "):
        resolve(LISTS, {"file": "f", **values}, "x")
