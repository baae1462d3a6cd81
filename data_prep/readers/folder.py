"""Finding a source's files in the directory of the raw ones."""

import os
from collections.abc import Sequence

from tfrecs.errors import InputError, nearest, option

MOST_NAMES_SHOWN = 20


def names(raw_dir: str | None, dataset: str) -> list[str]:
    """The names of the files in a directory, sorted; hidden ones are left out.

    Args:
        raw_dir: str or None, the value of the option `raw_dir`.
        dataset: str, the dataset's name, for messages.

    Returns:
        list of str.

    Raises:
        InputError: not given, or no such directory.

    Example:
        >>> names(None, "atomic")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: raw_dir: required for dataset atomic
    """
    if raw_dir is None:
        raise InputError(f"{option('raw_dir')}: required for {option('dataset')} {dataset}")
    if not os.path.isdir(raw_dir):
        raise InputError(f"{option('raw_dir')} {raw_dir}: no such directory")
    found = sorted(name for name in os.listdir(raw_dir) if not name.startswith("."))
    return [name for name in found if os.path.isfile(os.path.join(raw_dir, name))]


def given(raw_dir: str, present: Sequence[str], flag: str, name: str) -> str:
    """The name the user gave by a flag, checked.

    Args:
        raw_dir: str.
        present: list of str, the names in it.
        flag: str, the option, `file`.
        name: str, the flag's value.

    Returns:
        str, the name.

    Raises:
        InputError: a path rather than a name, or no such file in the directory.
    """
    if os.path.basename(name) != name:
        inside = f"expected the name of a file in {option('raw_dir')}, without a directory"
        raise InputError(f"{option(flag)} {name}: {inside}")
    if name not in present:
        hint = nearest(name, present) if present else "it is empty"
        raise InputError(f"{option(flag)} {name}: no such file in {raw_dir}; {hint}")
    return name


def only(raw_dir: str, candidates: Sequence[str], flag: str, what: str) -> str | None:
    """The one candidate.

    Args:
        raw_dir: str.
        candidates: list of str, names.
        flag: str, the option that chooses one, without dashes.
        what: str, what is looked for.

    Returns:
        str, or None where there are no candidates.

    Raises:
        InputError: several; the message lists them.

    Example:
        >>> only("raw", ["a.txt", "b.txt"], "file", "log (.txt)")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: raw_dir raw: 2 files that may be the log (.txt): a.txt, b.txt; \
choose with file NAME
    """
    if len(candidates) > 1:
        raise InputError(
            f"{option('raw_dir')} {raw_dir}: {len(candidates)} files that may be the {what}: {shown(candidates)}; "
            f"choose with {option(flag)} NAME"
        )
    return candidates[0] if candidates else None


def required(raw_dir: str, present: Sequence[str], candidates: Sequence[str], flag: str, what: str) -> str:
    """The one candidate, as `only`; none at all is an error that says what the directory holds."""
    if not candidates:
        content = f"it holds {shown(present)}" if present else "it is empty"
        raise InputError(f"{option('raw_dir')} {raw_dir}: no {what}; {content}")
    only(raw_dir, candidates, flag, what)
    return candidates[0]


def shown(found: Sequence[str]) -> str:
    """Names in a row for a message, the first of many."""
    rest = len(found) - MOST_NAMES_SHOWN
    return ", ".join(found[:MOST_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def ends_with(name: str, *endings: str) -> bool:
    """Whether a name ends in one of the endings, `.gz` behind it or not.

    Example:
        >>> ends_with("Beauty.txt.gz", ".txt")
        True
    """
    return name.removesuffix(".gz").endswith(endings)
