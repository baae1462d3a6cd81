"""Flags of the originals that are no plain alias: what they mean here, or why they are refused.

A preset module may hold, besides `PRESETS` and `ALIASES`:

- `VALUES`, a dict of our flags to a dict of the originals' values to ours;
- `DERIVED`, a dict of the original's flags to their help, with `derive(original, known, given)`, which gives what
  these mean together as values of our flags;
- `FIXED`, a dict of the original's flags to `Fixed`.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from types import ModuleType
from typing import Any

from tfrecs.errors import InputError, option


@dataclasses.dataclass(frozen=True)
class Fixed:
    """A flag of an original whose meaning is fixed here.

    Args:
        values: tuple of str, the values that say what happens here anyway; empty: every value is refused; None: every
            value is accepted and `reason` is printed, since the flag did nothing in the original either.
        reason: str, why there is no other.
    """

    values: tuple[str, ...] | None
    reason: str

    def described(self) -> str:
        """The flag's line in the help."""
        if self.values is None:
            return f"accepted: {self.reason}"
        return f"{' or '.join(self.values)} only: {self.reason}" if self.values else f"refused: {self.reason}"

    def check(self, name: str, value: str) -> str | None:
        """Refuses a value that asks for something else.

        Returns:
            str or None, a line to print.

        Raises:
            InputError: naming the flag, its value and the reason.

        Example:
            >>> Fixed(("True",), "checkpoints are always written").check("save_model", "0")
            Traceback (most recent call last):
            ...
            tfrecs.errors.InputError: --save_model 0: checkpoints are always written
        """
        if self.values is None:
            return f"--{name}: {self.reason}"
        if plain(value) not in map(plain, self.values):
            raise InputError(f"--{name} {value[:80]}: {self.reason}")
        return None


def plain(value: object) -> str:
    """A value as it is compared: without quotes, brackets and spaces, in small letters; 1 and 0 for True and False.

    Example:
        >>> plain("['Recall', 'NDCG']"), plain("True")
        ('recall,ndcg', '1')
    """
    text = "".join(character for character in str(value).lower() if character not in "'\"[]() ")
    return {"true": "1", "false": "0", "~": "none", "": "none"}.get(text, text)


def flag_value(name: str, value: str) -> bool:
    """A switch of an original as a bool.

    Raises:
        InputError: neither yes nor no.
    """
    if plain(value) not in ("0", "1"):
        raise InputError(f"--{name}: expected 0 or 1, True or False, got {value[:80]!r}")
    return plain(value) == "1"


def translate(
    module: ModuleType, original: Mapping[str, str], known: dict[str, Any], given: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """What flags of an original mean.

    Args:
        module: a preset module.
        original: dict of name to str, those of its `DERIVED` and `FIXED` flags that a command line has.
        known: dict of every option of ours to its value, defaults and the preset included.
        given: set of str, our options that the command line names.

    Returns:
        `(meant, notes)`: a dict of options of ours to values, and lines to print.

    Raises:
        InputError: a flag that cannot be honoured, or that contradicts one of ours.
    """
    fixed = getattr(module, "FIXED", {})
    notes = [fixed[name].check(name, value) for name, value in original.items() if name in fixed]
    derived = {name: value for name, value in original.items() if name not in fixed}
    meant = module.derive(derived, known, given) if derived else {}
    for name, value in meant.items():
        if name in given and known[name] != value:
            flags = " ".join(f"--{flag} {text}" for flag, text in derived.items())
            raise InputError(f"{option(name)} {known[name]}: contradicts {flags}")
    return meant, [note for note in notes if note]


def spelled(pairs: Iterable[tuple[str, str, Any]], values: Mapping[str, Any], typed: Collection[str]) -> dict[str, str]:
    """What messages call options that a command line names as the original does.

    Args:
        pairs: of `(our option, the original's name, the value it was given)`.
        values: dict of option to the value that came of it; where it is another, a message could not show both.
        typed: names on the command line; an option that is among them keeps its own.

    Returns:
        dict of option to name.

    Example:
        >>> spelled([("select_metric", "valid_metric", "MRR@5"), ("dropout", "keep_prob", 0.8)],
        ...         {"select_metric": "mrr@5", "dropout": 0.2}, ["valid_metric", "keep_prob"])
        {'select_metric': 'valid_metric'}
    """
    return {ours: name for ours, name, value in pairs if ours not in typed and _is_same(values[ours], value)}


def _is_same(value: Any, given: Any) -> bool:
    try:
        return float(value) == float(given)
    except (TypeError, ValueError):
        return str(value).lower() == str(given).lower()


def respelled(module: ModuleType, name: str, value: Any) -> Any:
    """A value of one of our flags as we spell it."""
    return getattr(module, "VALUES", {}).get(name, {}).get(value, value)
