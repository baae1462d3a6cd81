"""Declared options: one table serves the command line, the Python functions and the manifest."""

import dataclasses
import math
import numbers
import os

from tfrecs.errors import InputError, nearest

LARGEST = 2**63 - 1  # what the manifest, duckdb and TensorFlow hold


@dataclasses.dataclass(frozen=True)
class Option:
    """One named option.

    Args:
        type: `int`, `float` or `str`.
        default: the value when it is not given; None means "unset".
        help: str, one line.
        minimum: the least valid number, or None.
        maximum: the greatest valid number, or None.
        choices: tuple of valid strings, or None.
    """

    type: type
    default: object
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple | None = None

    def convert(self, name, value):
        """The value as `type`, checked.

        Args:
            name: str, the option, for messages.
            value: a string from a command line, or a Python value.

        Returns:
            the checked value, or None if the value is None.

        Raises:
            InputError: naming the flag and echoing the value.

        Example:
            >>> Option(int, 8, "number of shards", minimum=1).convert("num_shards", "4")
            4
        """
        if value is None:
            return None
        noun = {int: "an integer", float: "a number", str: "text"}[self.type]
        wanted = f"--{name}: expected {noun}{self._range()}, got {_shown(value)}"
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

    def _text(self, name, value, wanted):
        if not isinstance(value, str | os.PathLike):
            raise InputError(wanted)
        converted = os.fspath(value)
        if not isinstance(converted, str) or "\0" in converted or not _is_unicode(converted):
            raise InputError(wanted)
        if self.choices and converted not in self.choices:
            raise InputError(f"--{name}: unknown value {value!r}; {nearest(converted, self.choices)}")
        if not converted:
            raise InputError(f"--{name}: empty")
        return converted

    def _range(self):
        if self.minimum is not None and self.maximum is not None:
            return f" from {self.minimum} to {self.maximum}"
        if self.minimum is not None:
            return f" of at least {self.minimum}"
        return "" if self.maximum is None else f" of at most {self.maximum}"


def _shown(value):
    """A value for a message; of what is no text and no number, its type."""
    return repr(value) if isinstance(value, str | numbers.Number) else f"a {type(value).__name__}"


def _is_unicode(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def resolve(options, values, owner):
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
            flags = [f"--{known}" for known in options]
            raise InputError(f"--{name}: not an option of {owner}; {nearest('--' + name, flags)}")
    return {name: option.convert(name, given.get(name, option.default)) for name, option in options.items()}
