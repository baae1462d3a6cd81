"""A line per user, `user item item item ...` in time order, as SASRec and S3-Rec publish their data.

Spaces and tabs separate; other kinds of space are part of a name.

Item attributes may be in the same folder: `NAME_item2attributes.json`, one object from item to a list.

A user's further lines count only if they follow directly; they continue the sequence, which
also reads files of `user item` pairs sorted by user. A user who comes back after another one is a
bad line, as two sequences under one name hint at a mistake. To find such a user the source keeps
every user's name and first line; nothing else grows with the file.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from data_prep.readers import attribute_json, blocks, fields, folder
from data_prep.readers.log import BadLines, Log
from data_prep.sources.delimited import digest_raw

ENDING = ".txt"
ATTRIBUTES_ENDING = "_item2attributes.json"
WHAT = "log (.txt)"
# Tokens are Python objects for a moment, so a block is smaller than elsewhere.
BLOCK_BYTES = 1 << 20


def open_log(name: str, options: Mapping[str, Any]) -> Log:
    """Opens a log of sequences; it has neither timestamps nor ratings, and its order is the time order.

    Args:
        name: str, the dataset's name.
        options: dict, as `data_prep.sources.options.SEQUENCES`.

    Returns:
        a `data_prep.readers.log.Log`.

    Raises:
        InputError: no log or several in the directory, or an empty file.
    """
    raw_dir = options["raw_dir"]
    present = folder.names(raw_dir, name)
    logs = [file for file in present if folder.ends_with(file, ENDING)]
    if options["file"] is not None:
        log_file = folder.given(raw_dir, present, "file", options["file"])
    else:
        log_file = folder.required(raw_dir, present, logs, "file", WHAT)
    attributes_file = _find_attributes(raw_dir, present, logs, log_file, options["attributes_file"])
    path = os.path.join(raw_dir, log_file)
    raw_files = {log_file: digest_raw(path)}
    bad_lines = BadLines(options["on_bad_line"], {})
    provenance = {"raw_files": raw_files, "bad_lines": bad_lines.counts}
    log = Log(name, (), lambda: _read(path, bad_lines), provenance)
    if attributes_file is not None:
        attributes_path = os.path.join(raw_dir, attributes_file)
        raw_files[attributes_file] = digest_raw(attributes_path)
        log.attributes = {options["attribute_name"]: "list"}
        log.attribute_chunks = lambda: (
            (options["attribute_name"], table) for table in attribute_json.read(attributes_path)
        )
    return log


def _find_attributes(
    raw_dir: str, present: Sequence[str], logs: Sequence[str], log_file: str, chosen: str | None
) -> str | None:
    """The file of attributes: the one chosen, else the one named like the log, else the only one."""
    if chosen is not None:
        return folder.given(raw_dir, present, "attributes_file", chosen)
    candidates = [file for file in present if folder.ends_with(file, ATTRIBUTES_ENDING)]
    stem = log_file.removesuffix(".gz").removesuffix(ENDING)
    named = [file for file in candidates if file.removesuffix(".gz") == stem + ATTRIBUTES_ENDING]
    if not named and len(logs) > 1:
        return None  # it may belong to another log: their items are often plain numbers
    return folder.only(raw_dir, named or candidates, "attributes_file", f"attributes (*{ATTRIBUTES_ENDING})")


def _read(path: str, bad_lines: BadLines, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[pa.Table, float]]:
    """Yields the log, as `Log.chunks`."""
    first_lines: dict[str, int] = {}
    last_user = None
    for block, first_line, fraction in blocks.blocks(path, blocks.LINES, block_bytes):
        users, items = [], []
        for line, record in blocks.records(block, first_line, blocks.LINES):
            tokens = _tokens(record, line, path, bad_lines)
            if tokens is None:
                continue
            user = tokens[0]
            if user != last_user and first_lines.setdefault(user, line) != line:
                began = f"which began on line {first_lines[user]}"
                bad_lines.add("user", path, line, f"user {user!r} has a sequence already, {began}")
                continue
            last_user = user
            users += [user] * (len(tokens) - 1)
            items += tokens[1:]
        yield fields.table({"user": users, "item": items}), fraction


def _tokens(record: bytes, line: int, path: str, bad_lines: BadLines) -> list[str] | None:
    """The tokens of a line, or None where it is bad or blank."""
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError:
        bad_lines.add("encoding", path, line, f"not UTF-8: {record[:80]!r}")
        return None
    if "\r" in text.rstrip("\r\n"):
        bad_lines.add("fields", path, line, f"a line break without a line feed: {text[:80]!r}")
        return None
    # Other kinds of space may be part of a name.
    tokens = [token for token in text.rstrip("\r\n").replace("\t", " ").split(" ") if token]
    if not tokens:
        return None
    blank = next((token for token in tokens if not token.strip()), None)
    if blank is not None:
        bad_lines.add("fields", path, line, f"a name that is blank: {blank[:80]!r}")
        return None
    if len(tokens) < 2:
        bad_lines.add("fields", path, line, f"expected a user and at least one item: {text.rstrip()[:80]!r}")
        return None
    return tokens
