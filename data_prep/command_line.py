"""Parsing of `data_prep.prepare`'s flags; values are checked later, by `tfrecs.options`."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep import original_flags
from data_prep.sources import SOURCES
from tfrecs.options import Option, Parser, spelled

GENERAL = {
    "dataset": Option(str, "sample", f"the source: {', '.join(SOURCES)}"),
    "out_dir": Option(str, None, "the directory to make"),
    "show_details": Option(
        str, None, "describe prepared data and exit; with --dataset, DIR may be the name of a data version"
    ),
}


def parse(
    arguments: Sequence[str], options: Mapping[str, Option], program: str = "python -m data_prep.prepare"
) -> dict[str, Any] | None:
    """Parses a command line.

    Args:
        arguments: list of str.
        options: dict of name to `Option`, the options that every dataset has.
        program: str, for the help.

    Returns:
        dict of name to str for the flags given (`dataset` always, unless data are shown), or None where help was asked
            for and printed.

    Raises:
        InputError: an unknown flag, with the nearest one of the dataset, or a missing value.

    Example:
        >>> parse(["--out_dir", "data"], {})
        {'dataset': 'sample', 'out_dir': 'data'}
    """
    parser = Parser(
        prog=program,
        usage="%(prog)s [--dataset NAME] --out_dir DIR [flags]\n       %(prog)s --show_details DIR",
        description="Prepares an interaction log as TFRecord shards.",
        add_help=False,
        argument_default=argparse.SUPPRESS,
    )
    general = parser.add_argument_group("what to do")
    general.add_argument("--help", "-h", action="store_true", help="print this and exit")
    general.add_argument("--quiet", "-q", action="store_true", help="print only results and errors, no progress")
    _add(general, GENERAL)
    _add(parser.add_argument_group("every source"), options)
    known = GENERAL | dict(options)
    for source in dict.fromkeys(SOURCES.values()):
        names = ", ".join(name for name in SOURCES if SOURCES[name] is source)
        fresh = {name: option for name, option in source.options.items() if name not in known}
        shared = [_described(name, source.options[name]) for name in source.options if name not in fresh]
        _add(parser.add_argument_group(names, f"also {', '.join(shared)}" if shared else None), fresh)
        known |= fresh
    originals = parser.add_argument_group("names that ARERec's dataset.py used")
    for name, text in original_flags.FLAGS.items():
        originals.add_argument(f"--{name}", metavar="DIR" if name == "data_path" else "X", help=text)
    values = parser.parse_flags(arguments, ("quiet", *known, *original_flags.FLAGS))
    if values.pop("help", False):
        parser.print_help()
        return None
    return values if "show_details" in values else {"dataset": GENERAL["dataset"].default} | values


def _add(group: argparse._ActionsContainer, options: Mapping[str, Option]) -> None:
    for name, option in options.items():
        option.add_to(group, name)


def _described(name: str, option: Option) -> str:
    """An option that another source has too, maybe with another default."""
    return f"--{name}" + ("" if option.default is None else f" (default {spelled(option.default)})")
