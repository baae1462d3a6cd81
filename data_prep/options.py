"""Declared options: one table serves the command line, the Python functions and the manifest."""

import dataclasses
import math

from tfrecs.errors import InputError, nearest


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
        wanted = f"--{name}: expected {noun}{self._range()}, got {value!r}"
        try:
            converted = self.type(value)
        except (TypeError, ValueError):
            raise InputError(wanted) from None
        if self.type is str:
            if self.choices and converted not in self.choices:
                hint = nearest(converted, self.choices)
                raise InputError(f"--{name}: unknown value {value!r}; {hint}")
            if not converted:
                raise InputError(f"--{name}: empty")
            return converted
        if isinstance(value, float) and converted != value or not math.isfinite(converted):
            raise InputError(wanted)
        too_small = self.minimum is not None and converted < self.minimum
        too_large = self.maximum is not None and converted > self.maximum
        if too_small or too_large:
            raise InputError(wanted)
        return converted

    def _range(self):
        if self.minimum is not None and self.maximum is not None:
            return f" from {self.minimum} to {self.maximum}"
        if self.minimum is not None:
            return f" of at least {self.minimum}"
        return "" if self.maximum is None else f" of at most {self.maximum}"


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
