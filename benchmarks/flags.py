"""The command lines of the programs in this folder: flags declared as `Option`, bad input ends with exit code 2."""

import argparse
import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from tfrecs.errors import InputError, command_line
from tfrecs.options import Option, Parser


def program(main: Callable[[Sequence[str]], int]) -> Callable[..., int]:
    """A `main(argv)` that answers bad input with one line and exit code 2.

    Args:
        main: `f(argv)`, which gives the exit code.

    Returns:
        `f(argv=None)`; by default it reads the process's own arguments.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        try:
            with command_line():
                return main(sys.argv[1:] if argv is None else argv)
        except InputError as error:
            print(f"{os.path.basename(sys.argv[0])}: error: {error}", file=sys.stderr)
            return 2

    return run


def parse(
    argv: Sequence[str], options: Mapping[str, Option], doc: str | None, what: Sequence[str] = ()
) -> argparse.Namespace:
    """Parses a command line; `--help` prints the flags and ends the program.

    Args:
        argv: list of str.
        options: dict of name to `Option`.
        doc: str, the program's docstring.
        what: list of str; if there are any, one of them is the first argument, `what`.

    Returns:
        the value of every option, as attributes.

    Raises:
        InputError: naming the flag and echoing its value.
    """
    parser = Parser(description=(doc or "").partition("\n")[0])
    if what:
        parser.add_argument("what", choices=what)
    return argparse.Namespace(**parser.parse_options(argv, options))


def split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The arguments before and after the first `--`."""
    place = list(argv).index("--") if "--" in argv else len(argv)
    return argv[:place], argv[place + 1 :]
