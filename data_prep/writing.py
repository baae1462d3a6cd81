"""Writes an interaction log as prepared data: filtered, split, in shards, with vocabularies and a manifest."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import tensorflow as tf

from data_prep import attributes, data_directory, splits
from data_prep.engines import local
from data_prep.readers.log import Log
from tfrecs.arguments import conform
from tfrecs.data import manifest as manifests
from tfrecs.data.manifest import Manifest
from tfrecs.errors import InputError, nearest, option
from tfrecs.progress import StageProgress

# What does not change the data stays out of the provenance.
RUNTIME_OPTIONS = ("overwrite", "memory_limit_mb")
CATEGORY = "category"
BYTES_PER_ROW = 30
ENGINE_OPTIONS = ("num_shards", "keep_fraction", "memory_limit_mb", "timestamp_unit")
SPLIT_OPTIONS = ("valid_fraction", "test_fraction", "valid_from", "test_from")


def write(
    open_log: Callable[[], Log],
    source: str,
    values: Mapping[str, Any],
    out_dir: str,
    progress: StageProgress | None = None,
    versions: Mapping[str, str] | None = None,
) -> Manifest:
    """Writes a log as prepared data; the directory is written atomically.

    Args:
        open_log: function without arguments returning a `data_prep.readers.log.Log`.
        source: str, the module of `data_prep.sources` that opens the log, for the manifest.
        values: dict of option to its value: all of `OPTIONS`, and those of the source, for the manifest.
        out_dir: str, the directory to make.
        progress: a `tfrecs.progress.StageProgress`, or None for one that writes to stderr.
        versions: dict of further packages to their versions, for the manifest.

    Returns:
        the `tfrecs.data.manifest.Manifest` written.
    """
    progress = conform("progress", progress, StageProgress | None) or StageProgress(sys.stderr)
    engine_options = {name: values[name] for name in values if name.startswith("min_") or name in ENGINE_OPTIONS}
    engine_options["split"] = splits.declare(values["split"], **{name: values[name] for name in SPLIT_OPTIONS})
    with data_directory.staged_directory(out_dir, bool(values["overwrite"])) as directory:
        log = open_log()
        _check_disk(log, directory, out_dir)
        _check_fields(log, values)
        _add_category(log, values["category_from"])
        attributes.check_names(log.attributes)
        content = local.run(log, directory, engine_options, progress)
        counts = content.pop("counts")
        _note_bad_lines(log, progress)
        _check_attributes(counts["item_attributes"], content["num_items"])
        _note_attributes(counts["item_attributes"], progress)
        manifest = Manifest(
            name=log.name,
            attributes={name: kind for name, kind in log.attributes.items() if name in content["vocabularies"]},
            provenance={
                "source": source,
                "options": _recorded_options(values),
                **log.provenance,
                **counts,
            },
            versions={**_versions(), **(versions or {})},
            oracle=_oracle(log, values["split"], counts, progress),
            **content,
        )
        manifests.save(directory, manifest)
    return manifest


def _check_disk(log: Log, directory: str, out_dir: str) -> None:
    """Refuses what cannot fit: 6.4 million interactions of the sample took 31 bytes each at the peak."""
    free = shutil.disk_usage(directory).free
    if log.num_rows and log.num_rows * BYTES_PER_ROW > free:
        raise InputError(
            f"{option('out_dir')} {out_dir}: {log.num_rows:,} interactions of {log.name} take about "
            f"{log.num_rows * BYTES_PER_ROW / 2**30:,.0f} GiB of disk while they are prepared, {free / 2**30:,.0f} GiB "
            "are free"
        )


def _check_fields(log: Log, values: Mapping[str, Any]) -> None:
    needs = [
        (option("min_rating"), "rating", values["min_rating"] is not None),
        (f"{option('split')} time", "timestamp", values["split"] == "time"),
        (f"{option('keep_fraction')} {values['keep_fraction']}", "timestamp", values["keep_fraction"] < 1),
        (f"{option('timestamp_unit')} {values['timestamp_unit']}", "timestamp", values["timestamp_unit"] != "auto"),
    ]
    for flag, field, needed in needs:
        if needed and field not in log.fields:
            raise InputError(f"{flag}: dataset {log.name} has no {field}s")


def _note_bad_lines(log: Log, progress: StageProgress) -> None:
    bad_lines = log.provenance.get("bad_lines", {})
    if bad_lines:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(bad_lines.items()))
        progress.line(f"skipped {sum(bad_lines.values()):,} bad lines: {kinds}")


def _add_category(log: Log, attribute: str | None) -> None:
    """Derives the attribute `category` from the one that was asked for, if any."""
    if attribute is None:
        return
    flag = f"{option('category_from')} {attribute}"
    if attribute not in log.attributes:
        hint = nearest(attribute, log.attributes) if log.attributes else "it has none"
        raise InputError(f"{flag}: dataset {log.name} has no such item attribute; {hint}")
    if CATEGORY in log.attributes:
        raise InputError(f"{flag}: dataset {log.name} has an item attribute {CATEGORY!r} already")
    log.add_first(attribute, CATEGORY)


def _check_attributes(counts: Mapping[str, Any], num_items: int) -> None:
    """Refuses attributes of other items: a table whose ids are not those of the log, in type or spelling."""
    strangers, without = counts.get("items_not_in_log"), counts.get("items_without", {}).values()
    if strangers and all(count == num_items for count in without):
        raise InputError(
            f"item attributes: no item of the log has any, and {strangers:,} items with attributes are not in the log; "
            "are their ids those of the log?"
        )


def _note_attributes(counts: Mapping[str, Any], progress: StageProgress) -> None:
    if counts.get("items_not_in_log"):
        progress.line(f"items with attributes that the log lacks, left out: {counts['items_not_in_log']:,}")
    without = {name: count for name, count in counts.get("items_without", {}).items() if count}
    if without:
        progress.line("items without a value: " + ", ".join(f"{name} {count:,}" for name, count in without.items()))


def _recorded_options(values: Mapping[str, Any]) -> dict[str, Any]:
    recorded = {}
    for name, value in values.items():
        if name not in RUNTIME_OPTIONS:
            is_path = name in ("raw_dir", "path", "items") and value is not None
            recorded[name] = os.path.basename(os.path.normpath(value)) if is_path else value
    return recorded


def _oracle(log: Log, split: str, counts: Mapping[str, Any], progress: StageProgress) -> dict[str, float] | None:
    """The oracle's metrics; they hold for the last item of whole sequences only."""
    if log.oracle is None or split != "leave_one_out" or any(counts["rows_dropped"].values()):
        return None
    progress.start("oracle")
    metrics = log.oracle()
    progress.finish("best reachable " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    return metrics


def _versions() -> dict[str, str]:
    return {
        "duckdb": duckdb.__version__,
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }
