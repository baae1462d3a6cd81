"""Prepares a dataset: `python -m data_prep.prepare --dataset NAME --out_dir DIR [...]`."""

if __name__ == "__main__":  # before the imports below, which take seconds
    from tfrecs.startup import launch

    launch("prepare.py", "data_prep.prepare")

import os
import platform
import re
import sys

import duckdb
import numpy as np
import pyarrow as pa
import tensorflow as tf

from data_prep import attributes, command_line, data_directory, original_flags, show, splits, timestamps
from data_prep.engines import local
from data_prep.sources import SOURCES
from tfrecs import errors
from tfrecs.data import manifest as manifests
from tfrecs.data.manifest import Manifest
from tfrecs.errors import InputError, nearest, shown
from tfrecs.options import Option, resolve
from tfrecs.progress import StageProgress
from tfrecs.startup import exit_code, keep_interrupts

OPTIONS = {
    "split": Option(str, "leave_one_out", "how to split", choices=("leave_one_out", "ratio", "time")),
    "valid_fraction": Option(float, None, "share of validation, for ratio and time", 0, 1),
    "test_fraction": Option(float, None, "share of the test, for ratio and time", 0, 1),
    "valid_from": Option(int, None, "timestamp at which validation starts, for time"),
    "test_from": Option(int, None, "timestamp at which the test starts, for time"),
    "min_user_interactions": Option(int, 1, "drop users with fewer, iterated", 1),
    "min_item_interactions": Option(int, 1, "drop items with fewer, iterated", 1),
    "timestamp_unit": Option(
        str, "auto", "unit of timestamps that are numbers; auto recognises it", choices=("auto", *timestamps.UNITS)
    ),
    "min_rating": Option(float, None, "drop interactions with a lower rating"),
    "keep_fraction": Option(float, 1.0, "share of the interactions to keep, the earliest", 0, 1),
    "category_from": Option(str, None, "item attribute whose first value becomes the attribute category"),
    "num_shards": Option(int, 8, "TFRecord files to write", 1, 1000),
    "overwrite": Option(int, 0, "1 replaces prepared data in out_dir", 0, 1),
    "memory_limit_mb": Option(int, 400, "memory for sorting; more spills to disk", 100, 1 << 24),
}
# What does not change the data stays out of the provenance.
RUNTIME_OPTIONS = ("overwrite", "memory_limit_mb")
CATEGORY = "category"
ENGINE_OPTIONS = ("num_shards", "keep_fraction", "memory_limit_mb", "timestamp_unit")
SPLIT_OPTIONS = ("valid_fraction", "test_fraction", "valid_from", "test_from")


def prepare(dataset="sample", out_dir=None, progress=None, **options):
    """Prepares a dataset; the directory appears in one step.

    Args:
        dataset: str, a name in `data_prep.sources.SOURCES`.
        out_dir: str or `os.PathLike`, the directory to make.
        progress: a `tfrecs.progress.StageProgress`, or None for one that writes to stderr.
        **options: any of `OPTIONS` and of the source's own; None means "not given".

    Returns:
        the `tfrecs.data.manifest.Manifest` written.

    Raises:
        InputError: bad options or bad input, naming the argument; nothing is left behind.

    Example:
        >>> import tempfile
        >>> out_dir = os.path.join(tempfile.mkdtemp(), "data")
        >>> prepare("sample", out_dir, StageProgress(None), num_users=9, num_items=60).num_users
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: num_items 60: at least 160 are needed, four times the \
longest sequence of mean_length 32
    """
    try:
        return run(dataset, out_dir, progress, **options)
    except InputError as error:
        raise InputError(_naming_arguments(str(error), dataset, options)) from None


def _naming_arguments(message, dataset, options):
    """A message with the names of arguments in the place of flags."""
    source = SOURCES.get(dataset) if isinstance(dataset, str) else None
    names = {"dataset", "out_dir", *options, *OPTIONS, *(source.OPTIONS if source else ())}
    return re.sub(r"--(\w+)", lambda match: match[1] if match[1] in names else match[0], message)


def run(dataset="sample", out_dir=None, progress=None, **options):
    """`prepare` for command lines: messages name flags."""
    if not isinstance(dataset, str) or dataset not in SOURCES:
        raise InputError(f"--dataset: unknown dataset {dataset!r}; {nearest(dataset, SOURCES)}")
    out_dir = Option(str, None, "").convert("out_dir", out_dir)
    if out_dir is None:
        raise InputError("--out_dir: required")
    source = SOURCES[dataset]
    values = resolve(OPTIONS | source.OPTIONS, options, f"dataset {dataset}")
    source_options = {name: values[name] for name in source.OPTIONS}
    return write(lambda: source.open_log(dataset, source_options), source.__name__, values, out_dir, progress)


def write(open_log, source, values, out_dir, progress=None, versions=None):
    """Writes a log as prepared data; the directory appears in one step.

    Args:
        open_log: function without arguments returning a `data_prep.readers.log.Log`.
        source: str, the module that opens the log; the last part of its name goes into the manifest.
        values: dict of option to its value: all of `OPTIONS`, and those of the source, for the manifest.
        out_dir: str, the directory to make.
        progress: a `tfrecs.progress.StageProgress`, or None for one that writes to stderr.
        versions: dict of further packages to their versions, for the manifest.

    Returns:
        the `tfrecs.data.manifest.Manifest` written.
    """
    progress = progress or StageProgress(sys.stderr)
    engine_options = {name: values[name] for name in values if name.startswith("min_") or name in ENGINE_OPTIONS}
    engine_options["split"] = splits.declare(values["split"], **{name: values[name] for name in SPLIT_OPTIONS})
    with data_directory.staged_directory(out_dir, bool(values["overwrite"])) as directory:
        log = open_log()
        _check_fields(log, values)
        _add_category(log, values["category_from"])
        attributes.check_names(log.attributes)
        content = local.run(log, directory, engine_options, progress)
        counts = content.pop("counts")
        _note_bad_lines(log, progress)
        _note_attributes(counts["item_attributes"], progress)
        manifest = Manifest(
            name=log.name,
            attributes={name: kind for name, kind in log.attributes.items() if name in content["vocabularies"]},
            provenance={
                "source": source.rpartition(".")[2],
                "options": _recorded_options(values),
                **log.provenance,
                **counts,
            },
            versions=_versions() | (versions or {}),
            oracle=_oracle(log, values["split"], counts, progress),
            **content,
        )
        manifests.save(directory, manifest)
    return manifest


def _check_fields(log, values):
    needs = [
        ("--min_rating", "rating", values["min_rating"] is not None),
        ("--split time", "timestamp", values["split"] == "time"),
        (f"--keep_fraction {values['keep_fraction']}", "timestamp", values["keep_fraction"] < 1),
    ]
    for flag, field, needed in needs:
        if needed and field not in log.fields:
            raise InputError(f"{flag}: dataset {log.name} has no {field}s")


def _note_bad_lines(log, progress):
    bad_lines = log.provenance.get("bad_lines", {})
    if bad_lines:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(bad_lines.items()))
        progress.line(f"skipped {sum(bad_lines.values()):,} bad lines: {kinds}")


def _add_category(log, attribute):
    """Derives the attribute `category` from the one that was asked for, if any."""
    if attribute is None:
        return
    flag = f"--category_from {attribute}"
    if attribute not in log.attributes:
        hint = nearest(attribute, log.attributes) if log.attributes else "it has none"
        raise InputError(f"{flag}: dataset {log.name} has no such item attribute; {hint}")
    if CATEGORY in log.attributes:
        raise InputError(f"{flag}: dataset {log.name} has an item attribute {CATEGORY!r} already")
    log.add_first(attribute, CATEGORY)


def _note_attributes(counts, progress):
    if counts.get("items_not_in_log"):
        progress.line(f"items with attributes that the log lacks, left out: {counts['items_not_in_log']:,}")
    without = {name: count for name, count in counts.get("items_without", {}).items() if count}
    if without:
        progress.line("items without a value: " + ", ".join(f"{name} {count:,}" for name, count in without.items()))


def _recorded_options(values):
    recorded = {}
    for name, value in values.items():
        if name not in RUNTIME_OPTIONS:
            is_path = name in ("raw_dir", "path", "items") and value is not None
            recorded[name] = os.path.basename(os.path.normpath(value)) if is_path else value
    return recorded


def _oracle(log, split, counts, progress):
    """The oracle's metrics; they hold for the last item of whole sequences only."""
    if log.oracle is None or split != "leave_one_out" or any(counts["rows_dropped"].values()):
        return None
    progress.start("oracle")
    metrics = log.oracle()
    progress.finish("best reachable " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    return metrics


def _versions():
    return {
        "duckdb": duckdb.__version__,
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }


@errors.command_line()
def main(arguments=None):
    """The command line.

    Args:
        arguments: list of str, or None for `sys.argv`.

    Returns:
        int, the exit code: 0, or 2 for input a user can correct.
    """
    try:
        values = command_line.parse(sys.argv[1:] if arguments is None else arguments, OPTIONS)
        if values is None:
            return 0
        values, notes = original_flags.translate(values)
        if "show_details" in values:
            show.show(values["show_details"], sys.stdout)
            return 0
        for note in notes:
            print(shown(note), file=sys.stderr)
        with keep_interrupts():
            manifest = run(**values)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print("interrupted; nothing was left behind", file=sys.stderr)
        return exit_code(error)
    print(shown(f"{values['out_dir']}: {show.summary(manifest)}"))
    return 0
