"""RecBole's atomic files: `NAME.inter`, the log, with `NAME.item`, item attributes, and `NAME.user`.

Fields are separated by tabs, and the header says `name:type` for each. Of an item, `token` columns
become attributes of one token and `token_seq` columns become lists; columns of numbers are left
out, and so, unless asked for, is free text. Nothing is made of the users' columns.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.readers import blocks, folder, item_table, text
from data_prep.readers.log import FIELDS, BadLines, Log
from data_prep.sources.delimited import digest_raw
from tfrecs.errors import InputError, nearest, option

ENDINGS = {"inter": ".inter", "item": ".item", "user": ".user"}
TYPES = ("token", "token_seq", "float", "float_seq")
KINDS = {"token": "token", "token_seq": "list"}


def open_log(name: str, options: Mapping[str, Any]) -> Log:
    """Opens atomic files; their headers are read, and the rest when `chunks` is.

    Args:
        name: str, the dataset's name.
        options: dict, as `data_prep.sources.options.ATOMIC`.

    Returns:
        a `data_prep.readers.log.Log`.

    Raises:
        InputError: no log or several in the directory, an empty file, or a header without a column
            or with an unknown type.
    """
    raw_dir = options["raw_dir"]
    paths = _find_files(raw_dir, options["file"], name)
    raw_files = {os.path.basename(path): digest_raw(path) for path in paths.values()}
    headers = {kind: _read_header(path) for kind, path in paths.items()}
    bad_lines = BadLines(options["on_bad_line"], {})
    roles = _roles(paths["inter"], headers["inter"], options)
    layout = blocks.Layout(roles, len(headers["inter"]), "\t", quoted=False, header=True)
    used = {"inter": [list(headers["inter"])[index] for index in roles.values()]}
    columns_left_out: dict[str, list[str]] = {}
    provenance = {"raw_files": raw_files, "bad_lines": bad_lines.counts, "columns_left_out": columns_left_out}
    fields = tuple(field for field in FIELDS if field in roles)
    log = Log(name, fields, lambda: text.read(paths["inter"], layout, bad_lines), provenance)
    if "item" in paths:
        chosen = _attributes(paths["item"], headers["item"], options)
        used["item"] = [options["item_column"], *chosen]
        kinds = {column: KINDS[headers["item"][column]] for column in chosen}
        log.attributes = kinds
        log.attribute_chunks = lambda: item_table.read(
            paths["item"], list(headers["item"]), options["item_column"], kinds, options["seq_separator"], bad_lines
        )
    elif options["attributes"] is not None:
        named = f"{option('attributes')} {options['attributes']}"
        raise InputError(f"{named}: no {ENDINGS['item']} file belongs to {paths['inter']}")
    if "user" in paths:
        _column(paths["user"], headers["user"], options["user_column"], "user_column", ("token",))
        used["user"] = [options["user_column"]]
    for kind, path in paths.items():
        columns_left_out[os.path.basename(path)] = [column for column in headers[kind] if column not in used[kind]]
    return log


def _find_files(raw_dir: str, chosen: str | None, dataset: str) -> dict[str, str]:
    """The paths of the log and of the files called like it: dict of kind to path."""
    present = folder.names(raw_dir, dataset)
    if chosen is not None:
        file = folder.given(raw_dir, present, "file", chosen)
        if not folder.ends_with(file, ENDINGS["inter"]):
            raise InputError(f"{option('file')} {chosen}: expected a name ending in {ENDINGS['inter']}")
    else:
        candidates = [file for file in present if folder.ends_with(file, ENDINGS["inter"])]
        file = folder.required(raw_dir, present, candidates, "file", f"log ({ENDINGS['inter']})")
    stem = file.removesuffix(".gz").removesuffix(ENDINGS["inter"])
    found = {"inter": os.path.join(raw_dir, file)}
    for kind in ("item", "user"):
        for name in (stem + ENDINGS[kind], stem + ENDINGS[kind] + ".gz"):
            if name in present and kind not in found:
                found[kind] = os.path.join(raw_dir, name)
    return found


def _read_header(path: str) -> dict[str, str]:
    """The columns of a file: dict of name to type, in their order."""
    columns = {}
    for field in text.read_header(path, "\t", quoted=False):
        name, colon, kind = field.rpartition(":")
        if not colon or not name or kind not in TYPES:
            raise InputError(f"{path}: the header has {field!r}; expected name:type, a type of {', '.join(TYPES)}")
        if name in columns:
            raise InputError(f"{path}: 2 columns are called {name!r}")
        columns[name] = kind
    return columns


def _roles(path: str, header: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, int]:
    """Where the log's columns are: dict of role to index."""
    order = list(header)
    roles = {}
    for role in ("user", "item", *FIELDS):
        flag = f"{role}_column"
        column = options[flag]
        if column is None:
            if role not in header:
                continue
            column = role
        types = ("token",) if role in ("user", "item", "action") else ("float", "token")
        roles[role] = order.index(_column(path, header, column, flag, types))
    return roles


def _column(path: str, header: Mapping[str, str], column: str, flag: str, types: Sequence[str]) -> str:
    """The name of a column, which must be there and of one of the types."""
    if column not in header:
        raise InputError(
            f"{path}: no column {column!r} ({option(flag)}); {nearest(column, header)} "
            f"The columns are {', '.join(map(repr, header))}"
        )
    if header[column] not in types:
        expected = " or ".join(types)
        raise InputError(f"{path}: column {column!r} is {header[column]}, expected {expected} ({option(flag)})")
    return column


def _attributes(path: str, header: Mapping[str, str], options: Mapping[str, Any]) -> list[str]:
    """The names of the columns that become attributes."""
    item = _column(path, header, options["item_column"], "item_column", ("token",))
    if options["attributes"] is None:
        return [
            name
            for name, kind in header.items()
            if kind in KINDS and name != item and not any(word in name.lower() for word in item_table.FREE_TEXT)
        ]
    chosen = [column.strip() for column in options["attributes"].split(",")]
    for column in chosen:
        _column(path, header, column, "attributes", tuple(KINDS))
        if column == item or chosen.count(column) > 1:
            raise InputError(
                f"{option('attributes')} {options['attributes']}: {column!r} cannot be an attribute, or is named twice"
            )
    return chosen
