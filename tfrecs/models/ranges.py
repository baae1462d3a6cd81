"""What the constructors of models accept: a bad argument is named and echoed before anything is built."""

import math
import numbers
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

from tfrecs.arguments import conform, converting
from tfrecs.errors import InputError, nearest, option
from tfrecs.options import spelled

P = ParamSpec("P")
R = TypeVar("R")
LARGEST = 2**31 - 1  # of an int32, which TensorFlow uses for sizes
SIZE = "an integer of at least 1"
DEPTH = "an integer from 1 to 1000"  # layers, each an object of its own
COUNT = "an integer of at least 0"
AMOUNT = "a number of at least 0"
REAL = "a finite number"
POSITIVE = "a number above 0"
SHARE = "a number in [0, 1]"
RATE = "a number in [0, 1)"
Rule = str | tuple[Any, ...]  # one of these descriptions, or the choices there are
INSIDE: dict[str, Callable[[Any], bool]] = {
    SIZE: lambda value: _is_whole(value) and value >= 1,
    DEPTH: lambda value: _is_whole(value) and 1 <= value <= 1000,
    COUNT: lambda value: _is_whole(value) and value >= 0,
    AMOUNT: lambda value: 0 <= value < math.inf,
    REAL: lambda value: -math.inf < value < math.inf,
    POSITIVE: lambda value: 0 < value < math.inf,
    SHARE: lambda value: 0 <= value <= 1,
    RATE: lambda value: 0 <= value < 1,
}

# Of a model's constructor's names, those that are the base's to keep.
INHERITED = ("self", "__class__", "kwargs", "num_users", "num_items", "loss_reduction", "clip_unmerged_rows")


def plain_arguments(constructor: Callable[P, R]) -> Callable[P, R]:
    """A model's constructor that takes NumPy's numbers as Python's, and only True or False for a switch.

    Example:
        >>> @plain_arguments
        ... def make(dim: int, causal: bool = True):
        ...     return type(dim)
        >>> make(8, causal="no")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: causal: expected True or False, got 'no'
    """
    return converting(constructor, _of_constructor)


def _of_constructor(name: str, value: Any, annotation: Any) -> Any:
    return conform(name, value, bool) if annotation is bool else _plain(value)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, those of a tuple or list too; anything else as it is."""
    if _is_number(value):
        return int(value) if _is_whole(value) else float(value)
    return type(value)(map(_plain, value)) if type(value) in (tuple, list) else value


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, numbers.Integral)


def own(scope: Mapping[str, Any]) -> dict[str, Any]:
    """A model's own arguments among the local names of its constructor.

    Example:
        >>> own({"self": None, "num_users": 3, "dim": 8})
        {'dim': 8}
    """
    return {name: value for name, value in scope.items() if name not in INHERITED}


def as_tuple(name: str, value: Any) -> tuple[Any, ...]:
    """An argument of several values as a tuple: lists and arrays, too, and a single number for one value.

    Raises:
        InputError: naming the argument and its value.

    Example:
        >>> as_tuple("attribute_dim", 16), as_tuple("attribute_dim", [8, 4])
        ((16,), (8, 4))
    """
    if _is_number(value):
        return (value,)
    if hasattr(value, "tolist"):  # of NumPy
        value = value.tolist()
    if not isinstance(value, tuple | list):
        raise InputError(f"{option(name)}: expected a tuple, got {value!r}")
    return tuple(value)


def as_tuples(arguments: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The arguments, those of `names` as tuples, see `as_tuple`."""
    return arguments | {name: as_tuple(name, arguments[name]) for name in names}


def unread(arguments: Mapping[str, Any], without_effect: Mapping[str, tuple[str, Collection[Any]]]) -> dict[str, str]:
    """The arguments that others leave without effect.

    Args:
        arguments: dict of name to value.
        without_effect: dict of name to `(other, values)`: it is not read where argument `other` is one of `values`.

    Returns:
        dict of name to the other argument's name.

    Example:
        >>> unread({"k": 5, "loss": "ce"}, {"k": ("loss", ("ce", "bce"))})
        {'k': 'loss'}
    """
    return {name: other for name, (other, values) in without_effect.items() if arguments[other] in values}


def refuse_unread(
    arguments: Mapping[str, Any], defaults: Mapping[str, Any], without_effect: Mapping[str, tuple[str, Collection[Any]]]
) -> None:
    """Refuses a value that would be ignored: not the default, of an argument that is not read.

    Args:
        arguments, without_effect: as for `unread`.
        defaults: dict of name to the constructor's default.

    Raises:
        InputError: naming the argument, its value and the other argument.

    Example:
        >>> refuse_unread({"k": 5, "loss": "ce"}, {"k": 64}, {"k": ("loss", ("ce", "bce"))})
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: k 5: has no effect with loss ce
    """
    for name, other in unread(arguments, without_effect).items():
        if arguments[name] != defaults[name]:
            value, choice = spelled(arguments[name]), spelled(arguments[other])
            raise InputError(f"{option(name)} {value}: has no effect with {option(other)} {choice}")


def check(arguments: Mapping[str, Any], accepted: Mapping[str, Rule]) -> None:
    """Compares arguments with what is accepted.

    Args:
        arguments: dict of name to value.
        accepted: dict of name to one of `INSIDE`'s descriptions, or to a tuple of choices.

    Raises:
        InputError: naming the first argument out of its range, and its value.

    Example:
        >>> check({"dropout": 1.5}, {"dropout": RATE})
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: dropout: expected a number in [0, 1), got 1.5
    """
    for name, rule in accepted.items():
        value = arguments[name]
        if isinstance(rule, tuple):
            if value not in rule:
                choices = [choice for choice in rule if choice is not None]
                raise InputError(f"{option(name)}: unknown value {value!r}; {nearest(value, choices)}")
        elif not _is_number(value) or not INSIDE[rule](value):
            raise InputError(f"{option(name)}: expected {rule}, got {value!r}")
        elif _is_whole(value) and value > LARGEST:
            raise InputError(f"{option(name)}: expected at most {LARGEST}, got {value}")
