"""Tokens of users, items and actions as ids; what the vocabularies lack is refused by its name and place."""

import difflib
import itertools
from collections.abc import Hashable, Iterable
from typing import Any

from tfrecs.data.dataset import Dataset
from tfrecs.errors import InputError


def as_list(name: str, values: Any) -> list[Any]:
    """The values of an argument as a list.

    Args:
        name: str, the argument, for messages.
        values: anything that can be iterated over, except a str.

    Raises:
        InputError: it is none.
    """
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise InputError(f"{name}: expected a list of tokens, got {values!r}")
    return list(values)


def id_of(data: Dataset, name: str, token: Hashable, where: str) -> int:
    """The id of a token.

    Args:
        data: `Dataset`.
        name: str, the vocabulary: `user`, `item` or `action`.
        token: str, or what `str` makes one of.
        where: str, the argument, and the place in it, that messages name.

    Returns:
        int, from 1.

    Raises:
        InputError: the vocabulary lacks it.
    """
    known = data.ids[name]
    if str(token) not in known:
        raise InputError(f"{where}: unknown {name} {token!r}{_near(token, known)}")
    return known[str(token)]


def item_ids(data: Dataset, name: str, tokens: Any) -> list[int]:
    """The ids of a list of items; `name` is the argument that messages name, see `id_of`."""
    return [id_of(data, "item", token, f"{name}[{place}]") for place, token in enumerate(as_list(name, tokens))]


def _near(token: Hashable, known: Iterable[str]) -> str:
    """The nearest token, where one is near; looking through all of a large catalogue would take too long."""
    close = difflib.get_close_matches(str(token), itertools.islice(known, 10_000), n=1, cutoff=0.8)
    return f"; did you mean {close[0]!r}?" if close else ""
