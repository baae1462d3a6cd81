import pytest

from tfrecs.errors import InputError, command_line
from tfrecs.options import Option, resolve

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
