"""The commands of `tfrecs`: prepare, train, evaluate, recommend, export, check, convert.

Each command imports what it needs, so that help and bad flags answer at once.
"""

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfrecs.command_line import run
from tfrecs.errors import (
    InputError,
    NotFiniteError,
    OutOfMemoryError,
    command_line,
    naming,
    naming_memory,
    nearest,
    shown,
)
from tfrecs.options import Option, Parser, documented, of_defaults
from tfrecs.runs.config import JUDGED_BY, NEVER_MATTER, TrainConfig
from tfrecs.startup import exit_code, keep_interrupts, load

if TYPE_CHECKING:
    from tfrecs.api import Run

RUNS = "runs"  # where runs are without --run_dir
RUN = {
    "run_dir": Option(str, None, "a run directory; default the only one below runs/"),
    "load_weight_path": Option(
        str, None, "checkpoint of the run: cp-0002; default the best on validation, or the newest"
    ),
    "data_dir": Option(str, None, "prepared data; default the directory that the run was trained on"),
}
# Of the commands whose flags are all here; the others pass theirs on.
OPTIONS = {
    "recommend": RUN
    | {
        "users": Option(tuple, (), "users, as in the raw log; default all users of the data"),
        "history": Option(tuple, (), "recommend to one unknown user with this history, oldest item first"),
        "k": Option(int, 10, "items for each user"),
        "exclude_seen": Option(bool, True, "exclude items of the history"),
        "allowed": Option(tuple, (), "recommend only these items"),
        "excluded": Option(tuple, (), "never recommend these items"),
        "kind": Option(str, None, "recommend items of this kind only"),
        "out": Option(str, None, "write the table to this file, .csv or .parquet, instead of printing it"),
        "overwrite": Option(bool, False, "replace the file of --out"),
    },
    "export": RUN
    | {
        "export_dir": Option(str, None, "the model's folder; default export/<run>"),
        "k": Option(int, 10, "items in each answer"),
    },
}
SUMMARIES = {
    "prepare": "turn an interaction log into TFRecord shards",
    "train": "train a model, choose the epoch on validation, evaluate it on the test split",
    "evaluate": "evaluate a trained run and the baselines on the test split",
    "recommend": "recommend items to users of a trained run",
    "export": "write a SavedModel for TensorFlow Serving",
    "check": "compare models with recorded outputs of their originals",
    "convert": "turn a checkpoint of an original into a run directory",
}
USAGE = "usage: tfrecs COMMAND [--help] [flags]\n\ncommands:\n" + "\n".join(
    f"  {name:<10} {text}" for name, text in SUMMARIES.items()
)


@command_line()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: list of str; default the process's own.

    Returns:
        exit code: 0, 1 for a run that failed, 2 for bad input, 130 for Ctrl-C, 143 for SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if argv else 2
    if argv[0] == "--version":
        from tfrecs import __version__

        print(__version__)
        return 0
    command, *flags = argv
    try:
        with keep_interrupts(), naming_memory():
            return _run(command, flags)
    except InputError as error:
        print(f"tfrecs: error: {error}", file=sys.stderr)
        return 2
    except (NotFiniteError, OutOfMemoryError) as error:
        print(f"tfrecs: stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print("tfrecs: interrupted", file=sys.stderr)
        return exit_code(error)


def _run(command: str, flags: Sequence[str]) -> int:
    if command == "prepare":
        return load("tfrecs prepare", "data_prep.prepare").main(flags, "tfrecs prepare")
    if command == "train":
        return run.main(flags, "tfrecs train")
    if command == "evaluate":
        return _evaluate(flags)
    if command in ("check", "convert"):
        return load(f"tfrecs {command}", "tfrecs.command_line.originals").main([command, *flags], "tfrecs")
    if command not in OPTIONS:
        raise InputError(f"unknown command {shown(command)!r}; {nearest(command, SUMMARIES)}")
    values = _parse(command, flags)
    return {"recommend": _recommend, "export": _export}[command](values)


def _parse(command: str, flags: Sequence[str]) -> dict[str, Any]:
    parser = Parser(prog=f"tfrecs {command}", description=SUMMARIES[command].capitalize() + ".")
    return parser.parse_options(flags, OPTIONS[command])


def _load(values: Mapping[str, Any]) -> "Run":
    api = load("tfrecs", "tfrecs.api")
    return api.load(values["run_dir"] or _only_run(), values["load_weight_path"], values["data_dir"])


def _only_run() -> str:
    """The one run below `runs/`."""
    there = sorted(name for name in os.listdir(RUNS)) if os.path.isdir(RUNS) else []
    there = [name for name in there if os.path.exists(os.path.join(RUNS, name, "config.json"))]
    if len(there) == 1:
        return os.path.join(RUNS, there[0])
    if not there:
        raise InputError(f"--run_dir: required, since there is no run below {RUNS}/; tfrecs train makes one")
    raise InputError(f"--run_dir: required, since there are several runs below {RUNS}/: {', '.join(there[:20])}")


def _evaluate(flags: Sequence[str]) -> int:
    """The flags of `train`, with a run of any model: `--model` and `--data_dir` come from the run."""
    given = {flag.partition("=")[0] for flag in flags}
    if {"-h", "--help"} & given:
        _help_of_evaluate().print_help()
        return 0
    for flag in ("--do_train", "--do_eval", "--load_model", "--overwrite", "--tensorboard"):
        if flag in given:
            raise InputError(f"{flag}: tfrecs evaluate never trains; tfrecs train does")
    if "--config" in given:
        raise InputError("--config: tfrecs evaluate reads the configuration of the run")
    parser = Parser(add_help=False)
    RUN["run_dir"].add_to(parser, "run_dir")
    given_dir = parser.parse_known_args(flags)[0].run_dir
    run_dir = RUN["run_dir"].read("run_dir", given_dir) if given_dir is not None else _only_run()
    config = load("tfrecs evaluate", "tfrecs.runs.directory").read_config(run_dir)
    known = {name: config[name] for name in ("model", "preset", "data_dir") if config.get(name)}
    known |= {"run_dir": run_dir, "do_train": False, "num_recommendations": 0}
    return run.main(flags, "tfrecs evaluate", known)


def _help_of_evaluate() -> Parser:
    parser = Parser(
        prog="tfrecs evaluate", usage="%(prog)s [flags]", description=f"{SUMMARIES['evaluate'].capitalize()}."
    )
    texts = documented(TrainConfig.__doc__)
    fields = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    judging = {name: fields[name] for name in (*JUDGED_BY, *NEVER_MATTER)}
    quiet = {"quiet": Option(bool, False, "print only results and errors, no progress; -q is the same")}
    for title, entries in (
        ("run", RUN | quiet),
        ("evaluation; the defaults are those of the run's training", of_defaults(judging, texts, TrainConfig.CHOICES)),
    ):
        group = parser.add_argument_group(title)
        for name, entry in entries.items():
            entry.add_to(group, name, default="" if title != "run" else None)
    return parser


def _recommend(values: Mapping[str, Any]) -> int:
    if values["users"] and values["history"]:
        raise InputError("--history: answers for an unknown user; leave --users out")
    out = values["out"]
    if out and not out.endswith((".csv", ".parquet")):
        raise InputError(f"--out {out}: expected a name that ends in .csv or .parquet")
    if values["overwrite"] and not out:
        raise InputError("--overwrite 1: has no effect without --out")
    if out and os.path.lexists(out) and not values["overwrite"]:
        raise InputError(f"--out {out}: exists; --overwrite 1 replaces it")
    trained = _load(values)
    with naming(histories="history"):
        table = trained.recommend(
            list(values["users"]) or None,
            [list(values["history"])] if values["history"] else None,
            values["k"],
            values["exclude_seen"],
            list(values["allowed"]) or None,
            list(values["excluded"]) or None,
            values["kind"],
        )
    if not out:
        print("\n".join(shown(line) for line in table.to_string(index=False).splitlines()))
        return 0
    from tfrecs import files

    content = table.to_csv(index=False).encode() if out.endswith(".csv") else table.to_parquet(index=False)
    files.write_bytes(out, content)
    print(f"{shown(out)}: {len(table):,} rows")
    return 0


def _export(values: Mapping[str, Any]) -> int:
    trained = _load(values)
    name = os.path.basename(os.path.normpath(trained.run_dir))
    print(f"exported to {trained.export(values['export_dir'] or os.path.join('export', name), values['k'])}")
    return 0
