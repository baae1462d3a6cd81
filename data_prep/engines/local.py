"""The engine for one machine: duckdb sorts, groups and filters on disk, so memory stays bounded."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet

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
LOG_FILE = "log.parquet"
COLUMN_TYPES = {"timestamp": pa.int64(), "rating": pa.float64(), "action": pa.string()}


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
    log_file = os.path.join(directory, WORK_DIRECTORY, LOG_FILE)
    rows_read = _load(connection, log, log_file, progress)
    progress.start("encoding")
    times = None
    if "timestamp" in log.fields:
        times = timestamps.recognise(connection, options.get("timestamp_unit", "auto"))
    limits = {key: options[key] for key in options if key.startswith("min_") or key == "keep_fraction"}
    is_filtered = filters.drop_rows(**limits)
    _encode(connection, log.fields, times, "table" if is_filtered else "view")
    if is_filtered:
        connection.execute("drop view log")
        os.remove(log_file)
    progress.finish(times.description if times else "")
    progress.start("filtering")
    time_order = times.order if times else ()
    dropped = filters.apply(connection, "encoded", time_order=time_order, **limits)
    _number(connection, log.fields, is_filtered)
    num_rows = rows_read - sum(dropped.values())
    num_users, num_items = (_count(connection, f"{name}_id") for name in ("user", "item"))
    progress.finish(f"{num_rows:,} interactions, {num_users:,} users, {num_items:,} items left")
    vocabularies = {
        name: vocab.write(directory, name, _tokens(connection, name))
        for name in ("user", "item", *(["action"] if "action" in log.fields else []))
    }
    if log.attributes:
        progress.start("attributes")
    attribute_vocabularies, digest, attribute_counts = attributes.write(connection, log, directory, num_items)
    if log.attributes:
        progress.finish(", ".join(f"{name} {entry.size:,} values" for name, entry in attribute_vocabularies.items()))
    if is_filtered:
        for name in vocabularies:
            connection.execute(f"drop table {name}_code")
    rule = splits.resolve(options["split"], connection, "encoded")
    writer = ShardWriter(directory, options["num_shards"])
    rows = _sorted_rows(connection, log.fields, time_order, is_filtered)
    shards = _write_shards(rows, writer, rule, num_rows, progress)
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


def _load(connection: duckdb.DuckDBPyConnection, log: Log, path: str, progress: StageProgress) -> int:
    """Writes the log's chunks into a parquet file, which the view `log` reads, with the rows numbered."""
    progress.start("reading")
    types = {"user": pa.string(), "item": pa.string(), **{name: COLUMN_TYPES[name] for name in log.fields}}
    schema = pa.schema(types | {MICROSECOND: pa.int64()})
    repeated = [name for name in schema.names if schema.field(name).type == pa.string()]
    count = 0
    with pyarrow.parquet.ParquetWriter(path, schema, use_dictionary=repeated, write_statistics=False) as writer:
        for table, fraction in log.chunks():
            if MICROSECOND not in table.column_names:
                table = table.append_column(MICROSECOND, pa.nulls(table.num_rows, pa.int64()))
            writer.write_table(table.select(schema.names).cast(schema))
            count += table.num_rows
            progress.update(fraction, count)
    progress.finish(f"{count:,} rows")
    if count == 0:
        bad_lines = log.provenance.get("bad_lines")
        skipped = f"; bad lines skipped: {bad_lines}" if bad_lines else ""
        raise InputError(f"{log.name}: the log has no interactions{skipped}")
    quoted = path.replace("'", "''")
    connection.execute(
        "create view log as select file_row_number as position, * exclude (file_row_number) "
        f"from read_parquet('{quoted}', file_row_number = true)"
    )
    return count


def _encode(
    connection: duckdb.DuckDBPyConnection, fields: Sequence[str], times: Times | None, kind: Literal["table", "view"]
) -> None:
    """Replaces tokens with codes that ascend in the tokens' byte order, and times with seconds: `encoded`.

    Filters need a table; without them its rows are read once, and the view spares writing them.
    """
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
    connection.execute(f"create {kind} encoded as select {', '.join(selected)} from log{joins}")


def _number(connection: duckdb.DuckDBPyConnection, fields: Sequence[str], is_filtered: bool) -> None:
    """Numbers what the filters left, from 1, in the tokens' byte order: `<name>_id`; without filters, the codes."""
    for name in ["user", "item", *(["action"] if "action" in fields else [])]:
        if is_filtered:
            connection.execute(
                f"create table {name}_id as "
                f"select token, code, row_number() over (order by code) as id from {name}_code "
                f"semi join encoded on {name}_code.code = encoded.{name}_id"
            )
        else:
            connection.execute(f"create view {name}_id as select token, code, code as id from {name}_code")


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return connection.execute(f"select count(*) from {table}").fetchall()[0][0]


def _tokens(connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[list[str]]:
    reader = connection.sql(f"select token from {name}_id order by id").to_arrow_reader(ROWS_PER_BATCH)
    for batch in reader:
        yield batch.column(0).to_pylist()


def _sorted_rows(
    connection: duckdb.DuckDBPyConnection, fields: Sequence[str], time_order: Sequence[str], is_filtered: bool
) -> Iterator[pa.RecordBatch]:
    """The rows by user, time and original position: `user`, `item` and the fields."""
    names = ["user", "item", *(["action"] if "action" in fields else [])]
    joins = ""
    expressions = [f'encoded.{name}_id as "{name}"' for name in names]
    if is_filtered:
        joins = "".join(f" join {name}_id on encoded.{name}_id = {name}_id.code" for name in names)
        expressions = [f'{name}_id.id as "{name}"' for name in names]
    expressions += [f"encoded.{name}" for name in fields if name != "action"]
    order = ["encoded.user_id", *time_order, "position"]
    query = f"select {', '.join(expressions)} from encoded{joins} order by {', '.join(order)}"
    yield from connection.sql(query).to_arrow_reader(ROWS_PER_BATCH)


def _write_shards(
    batches: Iterable[pa.RecordBatch],
    writer: ShardWriter,
    rule: Mapping[str, Any],
    num_rows: int,
    progress: StageProgress,
) -> tuple[Shard, ...]:
    """Writes a record per user from batches sorted by user."""
    progress.start("writing")
    rows = 0
    with writer:
        for columns, row_splits in _whole_sequences(batches):
            users = columns.pop("user")[row_splits[:-1]]
            split = splits.boundaries(rule, row_splits, columns.get("timestamp"))
            writer.write_block(users, split, row_splits, columns)
            rows += int(row_splits[-1])
            progress.update(rows / num_rows, rows)
    progress.finish(f"{rows:,} interactions")
    return writer.shards


def _whole_sequences(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Yields `(dict of arrays, row_splits)` of users whose rows are complete, from batches sorted by user."""
    rest = None
    for batch in batches:
        columns = {name: batch[name].to_numpy(zero_copy_only=False) for name in batch.schema.names}
        if rest is not None:
            columns = {name: np.concatenate([rest[name], columns[name]]) for name in columns}
        users = columns["user"]
        begins = np.flatnonzero(np.diff(users, prepend=-1))
        if len(begins) > 1:
            yield {name: values[: begins[-1]] for name, values in columns.items()}, begins
        rest = {name: values[begins[-1] :] for name, values in columns.items()}
    if rest is not None:
        yield rest, np.array([0, len(rest["user"])])
