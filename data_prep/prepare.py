"""Prepares a dataset: `python -m data_prep.prepare --dataset NAME --out_dir DIR [...]`.

What reads and writes data is imported when it is needed, so that help and bad flags answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_prep import command_line, original_flags, timestamps
from data_prep.sources import SOURCES
from tfrecs import errors
from tfrecs.errors import InputError, OutOfMemoryError, naming_memory, nearest, option, shown
from tfrecs.options import Option, resolve
from tfrecs.progress import quiet
from tfrecs.startup import exit_code, keep_interrupts, load

if TYPE_CHECKING:
    from tfrecs.data.manifest import Manifest
    from tfrecs.progress import StageProgress

OPTIONS = {
    "split": Option(
        str, "leave_one_out", "how to split each user's interactions", choices=("leave_one_out", "ratio", "time")
    ),
    "valid_fraction": Option(float, None, "share of validation, for ratio and time", 0, 1),
    "test_fraction": Option(float, None, "share of the test, for ratio and time", 0, 1),
    "valid_from": Option(int, None, "timestamp at which validation starts, for time"),
    "test_from": Option(int, None, "timestamp at which the test starts, for time"),
    "min_user_interactions": Option(
        int, 1, "drop users with fewer interactions; repeated until all users and items have enough", 1
    ),
    "min_item_interactions": Option(int, 1, "drop items with fewer interactions; repeated in the same way", 1),
    "timestamp_unit": Option(
        str,
        "auto",
        "unit of numeric timestamps; auto recognises it from their size",
        choices=("auto", *timestamps.UNITS),
    ),
    "min_rating": Option(float, None, "drop interactions rated lower"),
    "keep_fraction": Option(float, 1.0, "keep this share of the interactions, the earliest ones", 0, 1),
    "category_from": Option(str, None, "make the attribute category from the first value of this item attribute"),
    "num_shards": Option(int, 8, "TFRecord files to write", 1, 1000),
    "overwrite": Option(int, 0, "replace prepared data in out_dir", 0, 1),
    "memory_limit_mb": Option(int, 400, "megabytes for sorting; larger data spill to disk", 100, 1 << 24),
}


def prepare(
    dataset: str = "sample",
    out_dir: str | os.PathLike[str] | None = None,
    progress: StageProgress | None = None,
    **options: Any,
) -> Manifest:
    """Prepares a dataset; the directory is written atomically.

    Args:
        dataset: str, a name in `data_prep.sources.SOURCES`.
        out_dir: str or `os.PathLike`, the directory to make.
        progress: a `tfrecs.progress.StageProgress`, or None for one that writes to stderr.
        **options: any of `OPTIONS` and of the source's own; None means "not given".

    Returns:
        the `tfrecs.data.manifest.Manifest` written.

    Raises:
        InputError: bad options or bad input, naming the option; nothing is left behind.

    Example:
        >>> import os, tempfile
        >>> from tfrecs.progress import StageProgress
        >>> out_dir = os.path.join(tempfile.mkdtemp(), "data")
        >>> prepare("sample", out_dir, StageProgress(None), num_users=9, num_items=60).num_users
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: num_items 60: at least 160 are needed, four times the \
longest sequence of mean_length 32
    """
    directory, values = _checked(dataset, out_dir, options)
    from data_prep.writing import write

    source = SOURCES[dataset]
    source_options = {name: values[name] for name in source.options}
    return write(lambda: source.open_log(dataset, source_options), source.module, values, directory, progress)


def _checked(
    dataset: str, out_dir: str | os.PathLike[str] | None, options: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The directory, and a value for every option; no file is read."""
    if not isinstance(dataset, str) or dataset not in SOURCES:
        raise InputError(f"{option('dataset')}: unknown dataset {dataset!r}; {nearest(dataset, SOURCES)}")
    directory = Option(str, None, "").convert("out_dir", out_dir)
    if directory is None:
        raise InputError(f"{option('out_dir')}: required")
    return directory, resolve(OPTIONS | SOURCES[dataset].options, options, f"dataset {dataset}")


@errors.command_line()
def main(arguments: Sequence[str] | None = None, program: str = "python -m data_prep.prepare") -> int:
    """The command line.

    Args:
        arguments: list of str, or None for `sys.argv`.
        program: str, for the help.

    Returns:
        int, the exit code: 0, 1 for too little memory, 2 for input a user can correct, 130 for Ctrl-C, 143 for SIGTERM.
    """
    try:
        values = command_line.parse(sys.argv[1:] if arguments is None else arguments, OPTIONS, program)
        if values is None:
            return 0
        with errors.naming(**original_flags.spelled(values)), quiet(bool(values.pop("quiet", False))):
            _run(values)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OutOfMemoryError as error:
        print(f"stopped: {error}; nothing was left behind", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print("interrupted; nothing was left behind", file=sys.stderr)
        return exit_code(error)
    return 0


def _run(values: Mapping[str, str]) -> None:
    """Does what the flags ask for, and prints what came of it."""
    translated, notes = original_flags.translate(values)
    if "show_details" in translated:
        load("prepare.py", "data_prep.show").show(translated["show_details"], sys.stdout)
        return
    for note in notes:
        print(shown(note), file=sys.stderr)
    options = dict(translated)
    _checked(options.pop("dataset"), options.pop("out_dir", None), options)
    load("prepare.py", "data_prep.writing")
    with keep_interrupts(), naming_memory():
        manifest = prepare(**translated)
    print(shown(f"{translated['out_dir']}: {load('prepare.py', 'data_prep.show').summary(manifest)}"))


if __name__ == "__main__":
    from tfrecs.startup import launch

    launch("prepare.py", "data_prep.prepare")
