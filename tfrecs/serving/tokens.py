"""Tokens of users, items and actions as ids; what the vocabularies lack is refused by its name and place."""

import difflib
import itertools
import numbers
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from tfrecs.arguments import conform
from tfrecs.data.dataset import Dataset
from tfrecs.errors import InputError, option


def as_list(name: str, values: Any) -> list[Any]:
    """The values of an argument as a list.

    Args:
        name: str, the argument, for messages.
        values: anything that can be iterated over, except a str.

    Raises:
        InputError: it is none.
    """
    return conform(name, values, Sequence[Hashable])


def check_count(k: int, most: int | None = None) -> int:
    """The number of items that are asked for, `k`.

    Args:
        k: int.
        most: int, how many there are, or None where an answer may have fewer.

    Raises:
        InputError: it is no integer from 1 to `most`.
    """
    count = int(k) if isinstance(k, numbers.Integral) and not isinstance(k, bool) else 0
    if not 1 <= count <= (most or count):
        wanted = f"an integer from 1 to {most}, the items there are" if most else "an integer of at least 1"
        raise InputError(f"{option('k')}: expected {wanted}, got {k!r}")
    return count


def id_of(data: Dataset, name: str, token: Hashable, where: str) -> int:
    """The id of a token.

    Args:
        data: `Dataset`.
        name: str, the vocabulary: `user`, `item` or `action`.
        token: str, or what `str` makes one of.
        where: str, the argument, and the place in it, that messages from Python name: `users[0]`.

    Returns:
        int, from 1.

    Raises:
        InputError: the vocabulary lacks it.
    """
    known = data.ids[name]
    if str(token) not in known:
        called = option(where.partition("[")[0], where)
        raise InputError(f"{called}: unknown {name} {token!r}{_near(token, known)}")
    return known[str(token)]


def item_ids(data: Dataset, name: str, tokens: Any) -> list[int]:
    """The ids of a list of items; `name` is the argument that messages name, see `id_of`."""
    return [id_of(data, "item", token, f"{name}[{place}]") for place, token in enumerate(as_list(name, tokens))]


def _near(token: Hashable, known: Iterable[str]) -> str:
    """The nearest token, where one is near; looking through all of a large catalogue would take too long."""
    close = difflib.get_close_matches(str(token), itertools.islice(known, 10_000), n=1, cutoff=0.8)
    return f"; did you mean {close[0]!r}?" if close else ""
