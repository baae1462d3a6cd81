"""What the arguments of a Python function may be: its annotations, which every call is held to."""

import functools
import inspect
import math
import numbers
import os
import re
import types
import typing
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ParamSpec, TypeVar

from tfrecs.errors import InputError, option

P = ParamSpec("P")
R = TypeVar("R")
PATH = os.PathLike[str]
NOUNS = {bool: "True or False", int: "an integer", float: "a number", str: "text", types.NoneType: "None"}
NO_NAME = re.compile("[\0\ud800-\udfff]")  # what neither a file's name nor UTF-8 can hold
REFUSED: Any = object()  # no value: what a value of another type converts to


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose arguments are held to their annotations, see `conform`, before it begins.

    Example:
        >>> @checked
        ... def first(values: Sequence[Hashable], count: int = 1):
        ...     return values[:count]
        >>> first(iter("abc"), 2)
        ['a', 'b']
        >>> first("abc", 1.5)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: values: expected a list of tokens, got 'abc'
    """
    return converting(function, conform)


def converting(function: Callable[P, R], convert: Callable[[str, Any, Any], Any]) -> Callable[P, R]:
    """A function whose annotated arguments are converted before it begins.

    Args:
        function: the function.
        convert: `f(name, value, annotation)`, gives the value; it raises `InputError` for one that will not do.

    Returns:
        the function, with the signature that it had.
    """
    # Read at the first call, when every name in the annotations is there.
    signature = functools.cache(lambda: inspect.signature(function, eval_str=True))

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature().bind(*args, **kwargs)
        for name in bound.arguments:
            parameter = signature().parameters[name]
            is_one = parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            if is_one and parameter.annotation is not parameter.empty:
                bound.arguments[name] = convert(name, bound.arguments[name], parameter.annotation)
        return function(*bound.args, **bound.kwargs)

    return call


def conform(name: str, value: object, wanted: Any) -> Any:
    """A value as a type hint has it.

    Numbers of numpy are Python's; a whole number is a `float` too, and no `bool` is a number. A sequence may come as
    anything that can be iterated over, except text; it is read once, into a list. A tuple may come as a list.

    Args:
        name: str, the argument, for messages.
        value: what was given.
        wanted: a type hint: `bool`, `int`, `float`, `str`, a path, a class, `None`, a tuple or sequence of such, or a
            union of those; any other takes everything.

    Returns:
        the value.

    Raises:
        InputError: naming the argument and the value.

    Example:
        >>> conform("overwrite", "no", bool)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: overwrite: expected True or False, got 'no'
    """
    found = _converted(name, value, wanted)
    if found is REFUSED:
        raise InputError(f"{option(name)}: expected {_noun(wanted)}, got {_shown(value)}")
    return found


def _converted(name: str, value: Any, wanted: Any) -> Any:
    """The value, or `REFUSED`."""
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        tried = (_converted(name, value, part) for part in parts)
        return next((found for found in tried if found is not REFUSED), REFUSED)
    if wanted in (None, types.NoneType):
        return None if value is None else REFUSED
    if origin is os.PathLike or wanted is str:
        text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
        is_given = isinstance(value, str) == (wanted is str)
        return value if is_given and isinstance(text, str) and not NO_NAME.search(text) else REFUSED
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return REFUSED
        entries = [_converted(name, entry, parts[0]) for entry in value]
        return REFUSED if any(entry is REFUSED for entry in entries) else tuple(entries)
    if origin is Sequence:
        try:
            entries = REFUSED if isinstance(value, str | bytes) else list(value)
        except TypeError:
            return REFUSED
        if entries is REFUSED:
            return REFUSED
        return [conform(f"{name}[{place}]", entry, parts[0]) for place, entry in enumerate(entries)]
    if wanted in (Any, object, Hashable):
        return value
    if wanted in (bool, int, float):
        return _number(value, wanted)
    if isinstance(wanted, type) and not getattr(wanted, "_is_protocol", False):
        return value if isinstance(value, wanted) else REFUSED
    return value


def _number(value: Any, wanted: type) -> Any:
    kind = type(value)
    is_bool = kind is bool or kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_")
    kinds = {bool: is_bool, int: isinstance(value, numbers.Integral), float: isinstance(value, numbers.Real)}
    if not kinds[wanted] or is_bool != (wanted is bool):
        return REFUSED
    try:
        return wanted(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _noun(wanted: Any) -> str:
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        # A path is called so once, and None is left out: who wants it leaves the argument out.
        has_path = any(typing.get_origin(part) is os.PathLike for part in parts)
        kept = [part for part in parts if part is not types.NoneType and not (has_path and part is str)]
        return " or ".join(dict.fromkeys(map(_noun, kept)))
    if origin is os.PathLike:
        return "a path"
    if origin is Sequence:
        return "a list" + (" of tokens" if parts[0] is Hashable else "")
    if origin is tuple:
        return f"a list of {NOUNS[parts[0]].removeprefix('an ').removeprefix('a ')}s"
    return NOUNS.get(wanted) or _of_class(wanted)


def _shown(value: object) -> str:
    """A value for a message; of what is long, its type."""
    simple = value is None or isinstance(value, str | numbers.Number)
    short = isinstance(value, list | tuple) and len(value) <= 5 and all(_shown(entry)[:2] != "a " for entry in value)
    return repr(value) if simple or short else _of_class(type(value))


def _of_class(wanted: type) -> str:
    package = wanted.__module__.partition(".")[0]
    return f"a {wanted.__name__}" if package in ("builtins", "tfrecs") else f"a {package} {wanted.__name__}"
