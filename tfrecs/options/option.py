"""How an option is declared: type, default, help, range, choices; and a mapping of given values is checked."""

import argparse
import dataclasses
import inspect
import math
import numbers
import os
import re
from collections.abc import Mapping
from typing import Any

from tfrecs.errors import InputError, flag, nearest, option
from tfrecs.options.text import is_unicode, read, spelled

METAVARS = {int: "N", float: "X", str: "TEXT"}
ENDINGS = {
    "DIR": ("dir", "dirs", "details", "results"),
    "FILE": ("config", "file", "items", "tables"),
    "PATH": ("out",),
    "PREFIX": ("checkpoint",),
    "COLUMN": ("column",),
    "NAME": ("dataset", "model", "name", "preset"),
}
LEADING_TYPE = re.compile(r"^(tuple of \w+|ints|int|floats|float|str|bool|dict|tuple)(, |\. (?=NOTE))")
LONG_NUMBER = re.compile(r"[+-]?\d{19,}")
LARGEST = 2**63 - 1  # what the manifest, duckdb and TensorFlow hold


@dataclasses.dataclass(frozen=True)
class Option:
    """One named option.

    Args:
        type: `int`, `float`, `str`, `bool` or `tuple`; the entries of a tuple are of the type of its default's first.
        default: the value when it is not given; None means "unset".
        help: str, one line.
        minimum: the least valid number, or None.
        maximum: the greatest valid number, or None.
        choices: tuple of valid strings, or None.
        required: bool, whether a value has to be given.
        words: bool, whether each entry of a tuple is a word of its own, and the flag may be repeated; otherwise one
            word has all entries, separated by commas.
    """

    type: type
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None
    required: bool = False
    words: bool = False

    @property
    def entry(self) -> Any:
        """The type of a tuple's entries."""
        return type(self.default[0]) if self.default else str

    def metavar(self, name: str = "") -> str:
        """What a help text shows for the value: the choices, what a name such as `run_dir` says, or the type.

        Args:
            name: str, the option's name.

        Example:
            >>> Option(bool, True, "train").metavar(), Option(str, None, "the run").metavar("run_dir")
            ('0|1', 'DIR')
        """
        if self.choices:
            return "|".join(self.choices)
        if self.type is bool or self.type is int and (self.minimum, self.maximum) == (0, 1):
            return "0|1"
        if self.type is tuple:
            return METAVARS[self.entry] + ("" if self.words else ",...")
        ending = name.rpartition("_")[2]
        said = [metavar for metavar, endings in ENDINGS.items() if ending in endings and self.type is str]
        return (said or [METAVARS[self.type]])[0]

    def add_to(self, group: argparse._ActionsContainer, name: str, default: object = None) -> None:
        """Adds the flag to a group of an `argparse` parser, which shows the default and leaves the value as text.

        Args:
            group: what `add_argument_group` returned.
            name: str, without `--`.
            default: the default to show, where it is not the option's own; an empty text shows none.
        """
        shown = self.default if default is None else default
        written = spelled(shown).replace(",", " ") if self.words else spelled(shown)
        note = "" if shown in (None, (), "") else f" (default {written})"
        text = self.help + (" (required)" if self.required else note)
        several: dict[str, Any] = {"nargs": "+", "action": "extend"} if self.words else {}
        group.add_argument(flag(name), metavar=self.metavar(name), help=text.replace("%", "%%"), **several)

    def read(self, name: str, text: str) -> Any:
        """The text after the flag as `type`, whatever range and choices say.

        Raises:
            InputError: naming the option and echoing the text.
        """
        return read(name, text, (self.default or ()) if self.type is tuple else self.type)

    def convert(self, name: str, value: object) -> Any:
        """The value as `type`, checked.

        Args:
            name: str, the option, for messages.
            value: a string from a command line, or a Python value.

        Returns:
            the checked value, or None if the value is None.

        Raises:
            InputError: naming the option and echoing the value.

        Example:
            >>> Option(int, 8, "number of shards", minimum=1).convert("num_shards", "4")
            4
        """
        if value is None:
            return None
        if self.type in (bool, tuple) and isinstance(value, str):
            value = self.read(name, value)
        if self.type is tuple and isinstance(value, list | tuple):
            entry = dataclasses.replace(self, type=self.entry)
            return tuple(entry.convert(name, part) for part in value)
        if self.type is bool and isinstance(value, bool):
            return value
        noun = {int: "an integer", float: "a number", str: "text", bool: "0 or 1", tuple: "a list"}[self.type]
        wanted = f"{option(name)}: expected {noun}{self._range(value)}, got {_shown(value)}"
        if self.type is str:
            return self._text(name, value, wanted)
        is_switch = (self.minimum, self.maximum) == (0, 1)
        is_number = isinstance(value, str | numbers.Real) and (is_switch or not isinstance(value, bool))
        if self.type in (bool, tuple) or not is_number:
            raise InputError(wanted)
        try:
            converted = self.type(value)
        except (TypeError, ValueError, OverflowError):
            raise InputError(wanted) from None
        if isinstance(value, float) and converted != value or self.type is float and not math.isfinite(converted):
            raise InputError(wanted)
        too_small = self.minimum is not None and converted < self.minimum
        too_large = self.maximum is not None and converted > self.maximum
        if too_small or too_large or abs(converted) > LARGEST and self.type is int:
            raise InputError(wanted)
        return converted

    def _text(self, name: str, value: object, wanted: str) -> str:
        converted = os.fspath(value) if isinstance(value, str | os.PathLike) else None
        if not isinstance(converted, str) or "\0" in converted or not is_unicode(converted):
            raise InputError(wanted)
        if self.choices and converted not in self.choices:
            raise InputError(f"{option(name)}: unknown value {value!r}; {nearest(converted, self.choices)}")
        if not converted:
            raise InputError(f"{option(name)}: empty")
        return converted

    def _range(self, value: object) -> str:
        low, high = self.minimum, self.maximum
        if self.type is int and LONG_NUMBER.fullmatch(value if isinstance(value, str) else _shown(value)):
            low, high = -LARGEST if low is None else low, LARGEST if high is None else high
        if low is not None and high is not None:
            return f" from {low} to {high}"
        return f" of at least {low}" if low is not None else "" if high is None else f" of at most {high}"


def _shown(value: object) -> str:
    """A value for a message; of what is no text and no number, its type."""
    return repr(value) if isinstance(value, str | numbers.Number) else f"a {type(value).__name__}"


def resolve(options: Mapping[str, Option], values: Mapping[str, object], owner: str) -> dict[str, Any]:
    """Checks given values against their declarations and fills in the defaults.

    Args:
        options: dict of name to `Option`.
        values: dict of name to a given value; None means "not given".
        owner: str, whose options they are, for the message on an unknown name.

    Returns:
        dict with a value for every declared option.

    Raises:
        InputError: an unknown name (the nearest valid one is offered), an invalid value, or none where one is required.

    Example:
        >>> resolve({"seed": Option(int, 7, "the seed")}, {}, "sample")
        {'seed': 7}
    """
    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name not in options:
            hint = nearest(option(name), map(option, options))
            raise InputError(f"{option(name)}: not an option of {owner}; {hint}")
    for name, declared in options.items():
        if declared.required and name not in given:
            raise InputError(f"{option(name)}: required")
    return {name: declared.convert(name, given.get(name, declared.default)) for name, declared in options.items()}


def documented(*docstrings: str | None) -> dict[str, str]:
    """What the `Args:` sections of docstrings say of each argument; later ones fill in `see ...`.

    Args:
        docstrings: str, a class's own, then its base's.

    Returns:
        dict of name to text.

    Example:
        >>> documented("A layer.\\n\\nArgs:\\n    dim: int, the width.\\n")
        {'dim': 'the width'}
    """
    texts: dict[str, str] = {}
    for docstring in docstrings:
        section = re.search(r"Args:\n(.*?)(\n\n|\Z)", inspect.cleandoc(docstring or ""), re.S)
        for entry in re.split(r"\n    (?=\S)", "\n" + section[1] if section else "")[1:]:
            names, _, text = entry.partition(":")
            text = LEADING_TYPE.sub("", " ".join(text.split())).rstrip(".")
            for name in names.split(", "):
                if name not in texts or texts[name].startswith("see "):
                    texts[name] = text
    return texts


def of_defaults(
    defaults: Mapping[str, Any], texts: Mapping[str, str], choices: Mapping[str, tuple[str, ...]]
) -> dict[str, Option]:
    """Options from the defaults of a signature.

    Args:
        defaults: dict of name to default; None is a text that is not set.
        texts: dict of name to help.
        choices: dict of name to a tuple of valid texts; names may be absent.

    Returns:
        dict of name to `Option`.

    Example:
        >>> of_defaults({"dim": 8}, {"dim": "the width"}, {})["dim"].type
        <class 'int'>
    """
    return {
        name: Option(str if default is None else type(default), default, texts.get(name, ""), choices=choices.get(name))
        for name, default in defaults.items()
    }
