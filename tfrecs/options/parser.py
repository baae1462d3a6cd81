"""Parses command lines; what is wrong with one is an `InputError` that names the flag and its value."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from tfrecs.errors import InputError, flag, nearest
from tfrecs.options.option import Option, resolve


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
            word = unknown[0].partition("=")[0]
            kind = "flag" if word.startswith("-") else "argument"
            hint = nearest(word, map(flag, names))
            raise InputError(f"unknown {kind} {word!r}{owners(word.lstrip('-'))}; {hint}")
        return vars(namespace)

    def parse_options(self, argv: Sequence[str], options: Mapping[str, Option]) -> dict[str, Any]:
        """Parses flags that are all declared; positional arguments may have been added before.

        Args:
            argv: list of str.
            options: dict of name to `Option`.

        Returns:
            dict of name to value: the checked one of every option, and what the positional arguments say.

        Raises:
            InputError: as `parse_flags` and `resolve`.

        Example:
            >>> Parser(prog="ties.py").parse_options(["--orders", "3"], {"orders": Option(int, 20, "shuffles", 1)})
            {'orders': 3}
        """
        group = self.add_argument_group("flags")
        for name, entry in options.items():
            entry.add_to(group, name)
        values = self.parse_flags(argv, options)
        flags = {name: values.pop(name) for name in options}
        return values | resolve(options, flags, self.prog)
