"""The item attribute table `item_attributes.npz` and the vocabularies of its values."""

import os
import re
from collections.abc import Iterable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from data_prep import vocab
from data_prep.readers.log import Log
from tfrecs.data.manifest import ATTRIBUTE_NAME, ATTRIBUTES_FILE, Vocabulary, digest
from tfrecs.errors import InputError

VALUES_PER_BATCH = 100_000
LONGEST_NAME = 200  # bytes; a vocabulary's file is called like its attribute


def write(
    connection: duckdb.DuckDBPyConnection, log: Log, directory: str, num_items: int
) -> tuple[dict[str, Vocabulary], str | None, dict[str, Any]]:
    """Writes the attributes of the items that were kept.

    Repeated values of an item are written once; of a `token` attribute an item keeps the first
    value; an item without a value has an empty row. Items that the log lacks are left out, and so is
    an attribute of which no item has a value.

    Args:
        connection: a duckdb connection with the tables `item_id` (`token`, `id`), the items that
            were kept, and `item_code` (`token`), those of the whole log.
        log: a `data_prep.readers.log.Log` whose chunks have been read.
        directory: str, where the file and `vocab/` go.
        num_items: int.

    Returns:
        `(vocabularies, sha256, counts)`: dict of attribute to `Vocabulary`, the file's digest, and
        for the provenance `items_not_in_log` and, by attribute, `items_without` a value among those
        kept; two empty dicts and None where the source has no attributes.

    Raises:
        InputError: an attribute's name cannot name a file, or a vocabulary has it; a value is empty.
    """
    if not log.attributes:
        return {}, None, {}
    check_names(log.attributes)
    without = dict.fromkeys(log.attributes, num_items)
    counts = {"items_not_in_log": _load(connection, log), "items_without": without}
    present = {name for (name,) in connection.execute("select distinct attribute from attribute").fetchall()}
    if not present:
        return {}, None, counts
    vocabularies: dict[str, Vocabulary] = {}
    arrays: dict[str, Any] = {}
    for attribute, kind in log.attributes.items():
        if attribute not in present:
            continue
        vocabularies[attribute], values, row_splits = _table(connection, attribute, kind, directory, num_items)
        arrays[f"{attribute}/values"] = values
        arrays[f"{attribute}/row_splits"] = row_splits
        without[attribute] = int((np.diff(row_splits)[1:] == 0).sum())
    path = os.path.join(directory, ATTRIBUTES_FILE)
    np.savez(path, **arrays)
    return vocabularies, digest(path)[0], counts


def check_names(names: Iterable[str]) -> None:
    """Refuses names of attributes that cannot name a vocabulary's file.

    Args:
        names: iterable of str.

    Raises:
        InputError: naming the attribute.

    Example:
        >>> check_names(["brand", "../brand"])
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: item attribute '../brand': expected up to 100 letters, digits, '_', '-' or '.'
    """
    for name in names:
        if not re.fullmatch(ATTRIBUTE_NAME, name) or len(name.encode()) > LONGEST_NAME:
            raise InputError(f"item attribute {name!r}: expected up to 100 letters, digits, '_', '-' or '.'")
        if name in vocab.RESERVED:
            raise InputError(f"item attribute {name!r}: the name is taken by a vocabulary")


def _load(connection: duckdb.DuckDBPyConnection, log: Log) -> int:
    """Collects the values of kept items: the table `attribute` (attribute, id, position, value).

    Returns how many items have attributes but no interactions in the log.
    """
    connection.execute("create table attribute (attribute varchar, id bigint, position bigint, value varchar)")
    connection.execute("create table stranger (item varchar)")
    count = 0
    for attribute, table in log.attribute_chunks():
        positions = pa.array(np.arange(count, count + table.num_rows))
        connection.register("chunk", table.append_column("position", positions))
        connection.execute(
            "insert into attribute select ?, id, position, value from chunk join item_id on item = token",
            [attribute],
        )
        connection.execute(
            "insert into stranger select distinct item from chunk anti join item_code on chunk.item = item_code.token"
        )
        connection.unregister("chunk")
        count += table.num_rows
    return connection.execute("select count(distinct item) from stranger").fetchall()[0][0]


def _table(
    connection: duckdb.DuckDBPyConnection, attribute: str, kind: str, directory: str, num_items: int
) -> tuple[Vocabulary, np.ndarray, np.ndarray]:
    """`(vocabulary, values, row_splits)` of one attribute."""
    connection.execute(
        "create or replace temp table entry as select id, value, min(position) as position "
        "from attribute where attribute = ? group by id, value",
        [attribute],
    )
    if kind == "token":
        connection.execute(
            "create or replace temp table entry as select id, arg_min(value, position) as value, "
            "min(position) as position from entry group by id"
        )
    tokens = connection.sql("select distinct value from entry order by value").to_arrow_reader(VALUES_PER_BATCH)
    vocabulary = vocab.write(directory, attribute, (batch.column(0).to_pylist() for batch in tokens))
    result = connection.execute(
        "select id, dense_rank() over (order by value) as value_id from entry order by id, position"
    ).fetchnumpy()
    lengths = np.bincount(result["id"], minlength=num_items + 1)
    row_splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return vocabulary, result["value_id"].astype(np.int64), row_splits
