"""How an option is declared, for command lines, Python functions and manifests: type, default, help, range, choices."""

import argparse
import dataclasses
import inspect
import math
import numbers
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from tfrecs.errors import InputError, nearest, option

METAVARS = {int: "N", float: "X", str: "TEXT"}
ENDINGS = {"dir": "DIR", "config": "FILE", "file": "FILE", "items": "FILE", "out": "FILE", "column": "COLUMN"}
LEADING_TYPE = re.compile(r"^(tuple of \w+|ints|int|floats|float|str|bool|dict|tuple)(, |\. (?=NOTE))")
SURROGATE = re.compile("[\ud800-\udfff]")
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
    """

    type: type
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None

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
            return f"{METAVARS[type(self.default[0]) if self.default else str]},..."
        ending = name.rpartition("_")[2]
        return ENDINGS.get(ending, METAVARS[str]) if self.type is str else METAVARS[self.type]

    def add_to(self, group: argparse._ActionsContainer, name: str, default: object = None) -> None:
        """Adds the flag to a group of an `argparse` parser, which converts values and shows the default.

        Args:
            group: what `add_argument_group` returned.
            name: str, without `--`.
            default: the default to show, where it is not the option's own; an empty text shows none.
        """
        shown = self.default if default is None else default
        text = self.help if shown in (None, (), "") else f"{self.help} (default {spelled(shown)})"
        convert = converter(self.default if self.type is tuple else self.type)
        group.add_argument(f"--{name}", type=convert, metavar=self.metavar(name), help=text.replace("%", "%%"))

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
        noun = {int: "an integer", float: "a number", str: "text"}[self.type]
        wanted = f"{option(name)}: expected {noun}{self._range()}, got {_shown(value)}"
        if self.type is str:
            return self._text(name, value, wanted)
        is_switch = (self.minimum, self.maximum) == (0, 1)
        if not isinstance(value, str | numbers.Real) or isinstance(value, bool) and not is_switch:
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

    def _range(self) -> str:
        if self.minimum is not None and self.maximum is not None:
            return f" from {self.minimum} to {self.maximum}"
        if self.minimum is not None:
            return f" of at least {self.minimum}"
        return "" if self.maximum is None else f" of at most {self.maximum}"


def _shown(value: object) -> str:
    """A value for a message; of what is no text and no number, its type."""
    return repr(value) if isinstance(value, str | numbers.Number) else f"a {type(value).__name__}"


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it has no half of a surrogate pair."""
    return not SURROGATE.search(text)


def resolve(options: Mapping[str, Option], values: Mapping[str, object], owner: str) -> dict[str, Any]:
    """Checks given values against their declarations and fills in the defaults.

    Args:
        options: dict of name to `Option`.
        values: dict of name to a given value; None means "not given".
        owner: str, whose options they are, for the message on an unknown name.

    Returns:
        dict with a value for every declared option.

    Raises:
        InputError: an unknown name (the nearest valid one is offered) or an invalid value.

    Example:
        >>> resolve({"seed": Option(int, 7, "the seed")}, {}, "sample")
        {'seed': 7}
    """
    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name not in options:
            hint = nearest(option(name), map(option, options))
            raise InputError(f"{option(name)}: not an option of {owner}; {hint}")
    return {name: declared.convert(name, given.get(name, declared.default)) for name, declared in options.items()}


class Parser(argparse.ArgumentParser):
    """A parser that raises `InputError` where argparse would print its usage and exit."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(allow_abbrev=False, **arguments)

    def error(self, message: str) -> NoReturn:
        raise InputError(message.removeprefix("argument "))

    def parse_flags(
        self, argv: Sequence[str], names: Iterable[str], owners: Callable[[str], str] = lambda name: ""
    ) -> dict[str, Any]:
        """Parses flags.

        Args:
            argv: list of str.
            names: iterable of str, the flags there are, without `--`.
            owners: `f(name) -> str`, what to say of an unknown flag besides the nearest one.

        Returns:
            dict of name to value.

        Raises:
            InputError: an unknown flag or argument, a missing or ill-typed value.

        Example:
            >>> Parser(prog="run.py").parse_flags(["--epoch", "3"], ["epochs"])
            Traceback (most recent call last):
            ...
            tfrecs.errors.InputError: unknown flag '--epoch'; did you mean '--epochs'?
        """
        namespace, unknown = self.parse_known_args(argv)
        if unknown:
            flag = unknown[0].partition("=")[0]
            kind = "flag" if flag.startswith("-") else "argument"
            hint = nearest(flag, [f"--{name}" for name in names])
            raise InputError(f"unknown {kind} {flag!r}{owners(flag.lstrip('-'))}; {hint}")
        return vars(namespace)


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


def spelled(value: object) -> str:
    """A value as one writes it after its flag.

    Example:
        >>> spelled(("brand", "category")), spelled(True), spelled(0.5)
        ('brand,category', '1', '0.5')
    """
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(int(value) if isinstance(value, bool) else value)


def converter(wanted: type | tuple[Any, ...]) -> Callable[[str], Any]:
    """A conversion of text for `argparse`.

    Args:
        wanted: `int`, `float`, `str` or `bool`; or a tuple, whose first entry has the type of all.

    Returns:
        `f(text)`, the value; it raises `argparse.ArgumentTypeError`, echoing the text.

    Example:
        >>> converter((1, 2))("[3, 4]"), converter(bool)("1")
        ((3, 4), True)
    """
    if isinstance(wanted, tuple):
        entry = converter(type(wanted[0]) if wanted else str)
        return lambda text: tuple(entry(part.strip(" '\"")) for part in text.strip().strip("[]").split(","))

    def convert(text: str) -> Any:
        if wanted is bool:
            if text in ("0", "1"):
                return text == "1"
            raise argparse.ArgumentTypeError(f"expected 0 or 1, got {text!r}")
        try:
            value = wanted(text)
        except ValueError:
            value = None
        of_text = "a name" if is_unicode(text) else "text in UTF-8"
        if value in (None, "") or of_text != "a name":
            noun = {int: "an integer", float: "a number", str: of_text}[wanted]
            raise argparse.ArgumentTypeError(f"expected {noun}, got {text!r}")
        return value

    return convert


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
