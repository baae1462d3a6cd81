"""The engine for one machine: duckdb sorts, groups and filters on disk, so memory stays bounded."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from data_prep import attributes, filters, splits, timestamps, vocab
from data_prep.engines.interruption import interruptible
from data_prep.readers.log import Log
from data_prep.timestamps import MICROSECOND, Times
from tfrecs.data.manifest import Shard
from tfrecs.data.records import ShardWriter
from tfrecs.errors import InputError, option
from tfrecs.progress import StageProgress

WORK_DIRECTORY = "work"
# What duckdb raises where its files cannot be written, depending on what it was doing.
WRITE_ERRORS = (
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.TransactionException,
)
ROWS_PER_BATCH = 100_000
COLUMN_TYPES = {"timestamp": "bigint", "rating": "double", "action": "varchar"}


def run(log: Log, directory: str, options: Mapping[str, Any], progress: StageProgress) -> dict[str, Any]:
    """Turns a log into shards, vocabularies and the attribute table.

    Args:
        log: a `data_prep.readers.log.Log`.
        directory: str, an empty directory; it must exist.
        options: dict with `keep_fraction`, `min_rating`, `min_user_interactions`, `min_item_interactions`,
            `num_shards`, `memory_limit_mb`, `timestamp_unit` and `split`, the split rule as the manifest holds it.
        progress: a `tfrecs.progress.StageProgress`.

    Returns:
        dict of the manifest's entries on content: `fields`, `num_users`, `num_items`,
        `num_interactions`, `split`, `shards`, `vocabularies`, `attributes_sha256`, and `counts`
        for its provenance.

    Raises:
        InputError: an empty log, filters that leave nothing, too little memory, or a disk that is full.
        KeyboardInterrupt: a signal came while a query ran.
    """
    work = os.path.join(directory, WORK_DIRECTORY)
    os.makedirs(work)
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{options['memory_limit_mb']}MB",
        "threads": 2,
        "temp_directory": os.path.join(work, "spill"),
        "preserve_insertion_order": False,
    }
    with _failures_named(options):
        with duckdb.connect(os.path.join(work, "log.duckdb"), config=config) as connection, interruptible(connection):
            result = _run(connection, log, directory, options, progress)
    shutil.rmtree(work)
    return result


@contextlib.contextmanager
def _failures_named(options: Mapping[str, Any]) -> Iterator[None]:
    """What duckdb raises when memory or disk is full, or a signal comes, as what a user expects."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise InputError(
            f"{option('memory_limit_mb')} {options['memory_limit_mb']}: not enough memory, or disk for what does not "
            f"fit: {_first_line(error)}"
        ) from None
    except WRITE_ERRORS as error:
        raise OSError(errno.EIO, _first_line(error)) from None
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _run(
    connection: duckdb.DuckDBPyConnection, log: Log, directory: str, options: Mapping[str, Any], progress: StageProgress
) -> dict[str, Any]:
    rows_read = _load(connection, log, progress)
    progress.start("encoding")
    times = None
    if "timestamp" in log.fields:
        times = timestamps.recognise(connection, options.get("timestamp_unit", "auto"))
    _encode(connection, log.fields, times)
    progress.finish(times.description if times else "")
    progress.start("filtering")
    limits = {key: options[key] for key in options if key.startswith("min_") or key == "keep_fraction"}
    time_order = times.order if times else ()
    dropped = filters.apply(connection, "encoded", time_order=time_order, **limits)
    num_rows, num_users, num_items = filters.describe(connection, "encoded")
    progress.finish(f"{num_rows:,} interactions, {num_users:,} users, {num_items:,} items left")
    _number(connection, log.fields)
    vocabularies = {
        name: vocab.write(directory, name, _tokens(connection, name))
        for name in ("user", "item", *(["action"] if "action" in log.fields else []))
    }
    if log.attributes:
        progress.start("attributes")
    attribute_vocabularies, digest, attribute_counts = attributes.write(connection, log, directory, num_items)
    if log.attributes:
        progress.finish(", ".join(f"{name} {entry.size:,} values" for name, entry in attribute_vocabularies.items()))
    for name in vocabularies:
        connection.execute(f"drop table {name}_code")
    rule = splits.resolve(options["split"], connection, "encoded")
    writer = ShardWriter(directory, options["num_shards"])
    shards = _write_shards(connection, log.fields, time_order, writer, rule, num_rows, progress)
    return {
        "fields": ("item", *log.fields),
        "num_users": num_users,
        "num_items": num_items,
        "num_interactions": num_rows,
        "split": rule,
        "shards": shards,
        "vocabularies": vocabularies | attribute_vocabularies,
        "attributes_sha256": digest,
        "counts": {
            "rows_read": rows_read,
            "rows_dropped": dropped,
            "item_attributes": attribute_counts,
            **({"timestamps": times.provenance} if times else {}),
        },
    }


def _load(connection: duckdb.DuckDBPyConnection, log: Log, progress: StageProgress) -> int:
    """Appends the log's chunks to the table `log`, numbering the rows."""
    progress.start("reading")
    columns = [f"{name} {COLUMN_TYPES[name]}" for name in log.fields]
    columns = ["position bigint", '"user" varchar', "item varchar", *columns, f"{MICROSECOND} bigint"]
    connection.execute(f"create table log ({', '.join(columns)})")
    count = 0
    for table, fraction in log.chunks():
        positions = pa.array(np.arange(count, count + table.num_rows))
        if MICROSECOND not in table.column_names:
            table = table.append_column(MICROSECOND, pa.nulls(table.num_rows, pa.int64()))
        table = table.select(["user", "item", *log.fields, MICROSECOND]).add_column(0, "position", positions)
        connection.register("chunk", table)
        connection.execute("insert into log select * from chunk")
        connection.unregister("chunk")
        count += table.num_rows
        progress.update(fraction, count)
    progress.finish(f"{count:,} rows")
    if count == 0:
        bad_lines = log.provenance.get("bad_lines")
        skipped = f"; bad lines skipped: {bad_lines}" if bad_lines else ""
        raise InputError(f"{log.name}: the log has no interactions{skipped}")
    return count


def _encode(connection: duckdb.DuckDBPyConnection, fields: Sequence[str], times: Times | None) -> None:
    """Replaces tokens with codes that ascend in the tokens' byte order, and times with seconds: the table `encoded`."""
    names = ["user", "item", *(["action"] if "action" in fields else [])]
    for name in names:
        connection.execute(
            f"create table {name}_code as select token, row_number() over (order by token) as code "
            f'from (select distinct log."{name}" as token from log)'
        )
    selected = ["position", *(f"{name}_code.code::integer as {name}_id" for name in names)]
    selected += [name for name in fields if name not in ("action", "timestamp")]
    selected += times.columns if times else []
    joins = "".join(f' join {name}_code on log."{name}" = {name}_code.token' for name in names)
    connection.execute(f"create table encoded as select {', '.join(selected)} from log{joins}")
    connection.execute("drop table log")


def _number(connection: duckdb.DuckDBPyConnection, fields: Sequence[str]) -> None:
    """Numbers what the filters left, from 1, in the tokens' byte order: the tables `<name>_id`."""
    for name in ["user", "item", *(["action"] if "action" in fields else [])]:
        connection.execute(
            f"create table {name}_id as "
            f"select token, code, row_number() over (order by code) as id from {name}_code "
            f"semi join encoded on {name}_code.code = encoded.{name}_id"
        )


def _tokens(connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[list[str]]:
    reader = connection.sql(f"select token from {name}_id order by id").to_arrow_reader(ROWS_PER_BATCH)
    for batch in reader:
        yield batch.column(0).to_pylist()


def _write_shards(
    connection: duckdb.DuckDBPyConnection,
    fields: Sequence[str],
    time_order: Sequence[str],
    writer: ShardWriter,
    rule: Mapping[str, Any],
    num_rows: int,
    progress: StageProgress,
) -> tuple[Shard, ...]:
    """Sorts by user, time and original position, and writes a record per user."""
    progress.start("writing")
    names = ["user", "item", *(["action"] if "action" in fields else [])]
    expressions = {name: f"{name}_id.id as {name}" for name in names}
    expressions |= {name: f"encoded.{name}" for name in fields if name != "action"}
    order = ["user_id.id", *time_order, "position"]
    reader = connection.sql(
        f"select {', '.join(expressions.values())} from encoded"
        + "".join(f" join {name}_id on encoded.{name}_id = {name}_id.code" for name in names)
        + f" order by {', '.join(order)}"
    ).to_arrow_reader(ROWS_PER_BATCH)
    rows = 0
    with writer:
        for columns, row_splits in _whole_sequences(reader, list(expressions)):
            users = columns.pop("user")[row_splits[:-1]]
            split = splits.boundaries(rule, row_splits, columns.get("timestamp"))
            writer.write_block(users, split, row_splits, columns)
            rows += int(row_splits[-1])
            progress.update(rows / num_rows, rows)
    progress.finish(f"{rows:,} interactions")
    return writer.shards


def _whole_sequences(
    reader: Iterable[pa.RecordBatch], names: Sequence[str]
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Yields `(dict of arrays, row_splits)` of users whose rows are complete, from batches sorted by user."""
    rest = None
    for batch in reader:
        columns = {
            name: column.to_numpy(zero_copy_only=False) for name, column in zip(names, batch.columns, strict=True)
        }
        if rest is not None:
            columns = {name: np.concatenate([rest[name], columns[name]]) for name in names}
        users = columns["user"]
        begins = np.flatnonzero(np.diff(users, prepend=-1))
        if len(begins) > 1:
            yield {name: columns[name][: begins[-1]] for name in names}, begins
        rest = {name: columns[name][begins[-1] :] for name in names}
    if rest is not None:
        yield rest, np.array([0, len(rest["user"])])
