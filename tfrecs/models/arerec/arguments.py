"""What ARERec's constructor accepts."""

import numbers
from collections.abc import Iterable
from typing import Any

from tfrecs.errors import InputError, option
from tfrecs.models import declarations, ranges

NEIGHBOURS = ("earlier", "all")
MAX_SEQ, CLASSES = 30, (1.0, 2.0, 3.0, 4.0, 5.0)
DROPOUT = (0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)
ACCEPTED: dict[str, ranges.Rule] = {
    **dict.fromkeys(("num_units", "embedding_dim", "region_size", "num_heads", "max_seq"), ranges.SIZE),
    "neighbours": NEIGHBOURS,
    "random_split": ranges.RATE,
    "random_split_seed": ranges.COUNT,
    "probability_floor": ranges.RATE,
}
ELEMENTS = {"dropout": (9, ranges.RATE), "l2": (5, ranges.AMOUNT)}

WITHOUT_EFFECT: dict[str, tuple[str, tuple[Any, ...]]] = {"random_split_seed": ("random_split", (0.0,))}


def checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, once all are in their ranges, with tuples of floats where there are several numbers.

    Args:
        arguments: dict of the constructor's arguments, those of the base left out.

    Returns:
        dict.

    Raises:
        InputError: naming the first argument out of its range, and its value.

    Example:
        >>> list_arguments({"l2": [0, 0, 0, 0, -1]}, ["l2"])
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: l2: expected a number of at least 0, got -1.0
    """
    ranges.check(arguments, ACCEPTED)
    ranges.refuse_unread(arguments, declarations.defaults("arerec"), WITHOUT_EFFECT)
    if arguments["embedding_dim"] % arguments["num_heads"]:
        dim, heads = arguments["embedding_dim"], arguments["num_heads"]
        raise InputError(f"{option('num_heads')}: {heads} heads do not divide {option('embedding_dim')} {dim}")
    return arguments | list_arguments(arguments, ("rating_classes", *ELEMENTS))


def list_arguments(arguments: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of the arguments `names` that are several numbers, checked, as tuples of floats."""
    found = {}
    for name in names:
        given = arguments[name]
        entries = ranges.as_tuple(name, given)
        if not all(isinstance(entry, numbers.Real) and not isinstance(entry, bool) for entry in entries):
            raise InputError(f"{option(name)}: expected numbers, got {given!r}")
        values = tuple(float(entry) for entry in entries)
        count, rule = ELEMENTS.get(name, (len(values), ranges.REAL))
        if len(values) != count:
            raise InputError(f"{option(name)}: expected {count} numbers, got {len(values)}: {given!r}")
        for value in values:
            ranges.check({name: value}, {name: rule})
        if name == "rating_classes" and (not values or list(values) != sorted(set(values))):
            raise InputError(f"{option(name)}: expected increasing numbers, got {given!r}")
        found[name] = values
    return found
