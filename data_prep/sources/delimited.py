"""A table of interactions with named columns, CSV, TSV (also gzipped) or parquet, and a table of their items."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.readers import blocks, items_file, parquet, text
from data_prep.readers.log import FIELDS, BadLines, Log
from tfrecs.data.manifest import digest
from tfrecs.errors import InputError, nearest, option


def open_log(name: str, options: Mapping[str, Any]) -> Log:
    """Opens a table; only its header is read before `chunks` is.

    Args:
        name: str, the dataset's name.
        options: dict, as `data_prep.sources.options.DELIMITED`.

    Returns:
        a `data_prep.readers.log.Log`.

    Raises:
        InputError: no such file, an empty one, or a column its header lacks.
    """
    path = options["path"]
    if path is None:
        raise InputError(f"{option('path')}: required for {option('dataset')} {name}")
    sha256 = digest_raw(path)
    columns = {
        role: options[f"{role}_column"] for role in ("user", "item", *FIELDS) if options[f"{role}_column"] is not None
    }
    bad_lines = BadLines(options["on_bad_line"], {})
    if path.endswith(".parquet"):
        if options["delimiter"] is not None:
            raise InputError(f"{option('delimiter')} {options['delimiter']!r}: has no effect on {path}")
        _find(path, columns, parquet.column_names(path))
        chunks = parquet.read(path, columns, bad_lines)
    else:
        delimiter = delimiter_of(path, options["delimiter"], "delimiter")
        header = text.read_header(path, delimiter)
        roles = _find(path, columns, header)
        layout = blocks.Layout(roles, len(header), delimiter, quoted=True, header=True)
        chunks = text.read(path, layout, bad_lines)
    raw_files = {os.path.basename(path): sha256}
    provenance: dict[str, Any] = {"raw_files": raw_files, "bad_lines": bad_lines.counts}
    fields = tuple(name for name in FIELDS if name in columns)
    log = Log(name, fields, lambda: chunks, provenance)
    if options["items"] is None:
        items_file.refuse_without(options)
        return log
    items = options["items"]
    name = os.path.basename(items)
    digest_of_items = digest_raw(items)
    # A log that repeats its items' columns may be the table of items as well.
    if raw_files.get(name, digest_of_items) != digest_of_items:
        name = f"items/{name}"
    raw_files[name] = digest_of_items
    log.attributes, log.attribute_chunks, left_out = items_file.open_table(
        items, options, options["item_column"], delimiter_of, bad_lines
    )
    provenance["columns_left_out"] = {name: left_out}
    return log


def digest_raw(path: str) -> str:
    """The sha256 of a raw file.

    Raises:
        InputError: it is missing, empty or cannot be read.
    """
    sha256, size = digest(path)
    if size == 0:
        raise InputError(f"{path}: empty")
    return sha256


def delimiter_of(path: str, chosen: str | None, flag: str) -> str:
    """The delimiter of a text file: the one that the option `flag` gives, else the one its name tells."""
    if chosen is not None:
        delimiter = chosen.replace("\\t", "\t")
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
            raise InputError(f"{option(flag)}: expected one ASCII character, got {chosen!r}")
        return delimiter
    name = path.removesuffix(".gz")
    if name.endswith(".csv"):
        return ","
    if name.endswith((".tsv", ".txt")):
        return "\t"
    raise InputError(f"{path}: which delimiter? say so with {option(flag)}")


def _find(path: str, columns: Mapping[str, str], header: Sequence[str]) -> dict[str, int]:
    """Where each role's column is: dict of role to index."""
    for role, column in columns.items():
        if header.count(column) == 0:
            raise InputError(
                f"{path}: no column {column!r} ({option(f'{role}_column')}); {nearest(column, header)} "
                f"The columns are {', '.join(map(repr, header))}"
            )
        if header.count(column) > 1:
            raise InputError(f"{path}: {header.count(column)} columns are called {column!r}")
    return {role: header.index(column) for role, column in columns.items()}
