"""`python -m tfrecs.importers check FILE.npz [...]` and `convert --model NAME --checkpoint PREFIX --out DIR`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tfrecs.command_line.arguments import parse
from tfrecs.errors import InputError, OutOfMemoryError, command_line, naming, naming_memory, nearest, shown_lines
from tfrecs.importers import NAMES
from tfrecs.options import Option, Parser, resolve
from tfrecs.startup import exit_code, keep_interrupts, load

CONVERT = {
    "model": Option(str, None, f"the model: {', '.join(NAMES)}", required=True),
    "checkpoint": Option(str, None, "the checkpoint, as the original saved it", required=True),
    "out": Option(str, None, "the run directory to make; it must not exist", required=True),
    "tables": Option(
        str,
        None,
        "constant tables that are not in a checkpoint, by the original's names (ATRank: cate_list; "
        "ARERec: itemId, item_user_sequence; DIF-SR: item_attributes/NAME)",
    ),
}


@command_line()
def main(argv: Sequence[str] | None = None, program: str = "python -m tfrecs.importers") -> int:
    """Runs the command line.

    Args:
        argv: list of str; default the process's own.
        program: str, what help and messages begin with.

    Returns:
        exit code: 0; 1 if `check` found a difference above its tolerance; 2 for bad input or too
            little memory, whatever else was found.
    """
    try:
        with keep_interrupts(), naming_memory():
            return _run(program, *_parser(program).parse_known_args(argv))
    except (InputError, OutOfMemoryError) as error:
        return _complain(program, error)
    except KeyboardInterrupt as error:
        print(f"{program}: interrupted", file=sys.stderr)
        return exit_code(error)


def _run(program: str, arguments: argparse.Namespace, flags: Sequence[str]) -> int:
    if arguments.command == "check":
        Parser().parse_flags(flags, ["help"])
        return _check(program, arguments.files)
    # First, so that a misspelled flag is called so, not the right one missing.
    given, names = _hyper_parameters(arguments.model, flags) if arguments.model else ({}, {})
    values = resolve(CONVERT, {name: getattr(arguments, name) for name in CONVERT}, "convert")
    convert = load(program, "tfrecs.importers.convert").convert
    with naming(**names):
        report = convert(values["model"], values["checkpoint"], values["out"], given, values["tables"])
    print(shown_lines(report))
    return 0


def _parser(program: str) -> Parser:
    parser = Parser(prog=program, description="Check and convert checkpoints of the original implementations.")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="compare models with recorded outputs of their originals")
    checking.add_argument("files", nargs="+", metavar="FILE.npz")
    converting = commands.add_parser(
        "convert",
        help="turn a checkpoint of an original into a run directory",
        epilog="Flags give hyper-parameters that are not in a checkpoint (--w, --gamma, --sequence_length, ...), under "
        "the original's names or ours; their defaults are the published values.",
    )
    for name, entry in CONVERT.items():
        entry.add_to(converting, name)
    return parser


def _check(program: str, files: Sequence[str]) -> int:
    check, code = load(program, "tfrecs.importers.check").check, 0
    for path in files:
        try:
            report = check(path)
        except InputError as error:
            code = _complain(program, error)
            continue
        print(shown_lines(report), flush=True)
        code = max(code, 0 if report.passed else 1)
    return code


def _hyper_parameters(model: str, flags: Sequence[str]) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The flags that `convert` leaves to the model, as values under our names, and what the command line calls them."""
    if model not in NAMES:
        raise InputError(f"--model: unknown model {model!r}; {nearest(model, NAMES)}")
    parsed = parse(["--model", model, "--preset", "original", *flags], also=CONVERT)
    foreign = sorted(set(parsed.given_run) - {"model", "preset"})
    if foreign:
        raise InputError(f"--{foreign[0]}: no hyper-parameter of {model}; converting has no use for it")
    return parsed.recipe.given_model | parsed.recipe.given_config, parsed.names


def _complain(program: str, error: Exception) -> int:
    print(f"{program}: error: {error}", file=sys.stderr)
    return 2
