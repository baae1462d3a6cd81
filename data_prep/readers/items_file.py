"""A table of items with named columns that comes with a log: CSV, TSV (also gzipped) or parquet."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import compute

from data_prep.readers import fields, item_table, parquet, text
from data_prep.readers.item_table import KIND_OF_BAD_LINE
from data_prep.readers.log import AttributeChunks, BadLines
from data_prep.sources.options import ITEMS_FILE
from tfrecs.errors import InputError, nearest, option

KIND = "kind"


def open_table(
    path: str,
    options: Mapping[str, Any],
    item_column: str,
    delimiter_of: Callable[[str, str | None, str], str],
    bad_lines: BadLines,
) -> tuple[dict[str, str], AttributeChunks, list[str]]:
    """Opens a table of items; only its header is read.

    Args:
        path: str.
        options: dict, as `data_prep.sources.options.ITEMS_FILE`.
        item_column: str, the name of the item column where `items_item_column` is not given.
        delimiter_of: `f(path, delimiter, flag) -> str`, the delimiter of a text file.
        bad_lines: `data_prep.readers.log.BadLines`.

    Returns:
        `(kinds, chunks, left_out)`: dict of attribute to `token` or `list`, and what
        `data_prep.readers.log.Log.attribute_chunks` has to be; the columns that become no attribute.

    Raises:
        InputError: an empty file, a column that its header lacks or that is named twice, or a flag without effect.
    """
    item = options["items_item_column"] or item_column
    is_parquet = path.endswith(".parquet")
    if is_parquet:
        if options["items_delimiter"] is not None:
            raise InputError(f"{option('items_delimiter')} {options['items_delimiter']!r}: has no effect on {path}")
        header, lists = parquet.column_names(path), _parquet_lists(path)
    else:
        delimiter = delimiter_of(path, options["items_delimiter"], "items_delimiter")
        header, lists = text.read_header(path, delimiter), set()
    _column(path, header, item, "items_item_column" if options["items_item_column"] else "item_column")
    lists |= set(_named(path, header, options, "items_lists"))
    columns = _attributes(path, header, options, item, lists)
    kinds = {name: "list" if column in lists else "token" for name, column in columns.items()}
    if not columns:
        named = option("items_columns")
        raise InputError(f"{option('items')} {path}: no column becomes an attribute; name some with {named}")
    if is_parquet:
        chunks = _read_parquet(path, item, columns, kinds, options, bad_lines)
    else:
        chunks = item_table.read(
            path,
            header,
            item,
            {column: kinds[name] for name, column in columns.items()},
            options["items_list_separator"],
            bad_lines,
            delimiter=delimiter,
            quoted=True,
            required=(options["items_kind"],),
        )
        chunks = _renamed(chunks, {column: name for name, column in columns.items()})
    left_out = [column for column in header if column != item and column not in columns.values()]
    return kinds, lambda: chunks, left_out


def refuse_without(options: Mapping[str, Any]) -> None:
    """Refuses options of a table of items that is not given; arguments as for `open_table`."""
    for name, declared in ITEMS_FILE.items():
        if options[name] != declared.default:
            raise InputError(f"{option(name)} {options[name]}: has no effect without {option('items')}")


def _attributes(
    path: str, header: Sequence[str], options: Mapping[str, Any], item: str, lists: set[str]
) -> dict[str, str]:
    """Dict of attribute to its column."""
    kind = options["items_kind"]
    if options["items_columns"] is None:
        free = [column for column in header if any(word in column.lower() for word in item_table.FREE_TEXT)]
        chosen = [column for column in header if column != item and (column not in free or column in lists)]
    else:
        chosen = _named(path, header, options, "items_columns")
    for column in (*chosen, *lists):
        if column == item:
            raise InputError(f"{path}: column {column!r} names the items: it cannot be an attribute or a list")
    if kind is not None:
        _column(path, header, kind, "items_kind")
        if kind == item or kind in lists:
            raise InputError(f"{option('items_kind')} {kind}: the kind is one value in a column of its own")
        if kind != KIND and KIND in chosen:
            raise InputError(
                f"{option('items_kind')} {kind}: {path} has another column {KIND!r}, which is what the attribute is "
                f"called; leave it out by {option('items_columns')}"
            )
    columns = {column: column for column in dict.fromkeys([*chosen, *sorted(lists)]) if column != kind}
    for column in columns:
        _column(path, header, column, "items_columns")
    return columns | ({KIND: kind} if kind is not None else {})


def _named(path: str, header: Sequence[str], options: Mapping[str, Any], flag: str) -> list[str]:
    """The columns that a flag names, `a,b,c`."""
    if options[flag] is None:
        return []
    names = [name.strip() for name in options[flag].split(",")]
    for name in names:
        _column(path, header, name, flag)
        if names.count(name) > 1:
            raise InputError(f"{option(flag)} {options[flag]}: {name!r} is named twice")
    return names


def _column(path: str, header: Sequence[str], column: str, flag: str) -> None:
    if header.count(column) == 0:
        raise InputError(
            f"{path}: no column {column!r} ({option(flag)}); {nearest(column, header)} "
            f"The columns are {', '.join(map(repr, header))}"
        )
    if header.count(column) > 1:
        raise InputError(f"{path}: {header.count(column)} columns are called {column!r}")


def _renamed(chunks: Iterable[tuple[str, pa.Table]], names: Mapping[str, str]) -> Iterator[tuple[str, pa.Table]]:
    for column, table in chunks:
        yield names[column], table


def _parquet_lists(path: str) -> set[str]:
    return {field.name for field in parquet.read_schema(path) if _is_list(field.type)}


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _read_parquet(
    path: str,
    item: str,
    columns: Mapping[str, str],
    kinds: Mapping[str, str],
    options: Mapping[str, Any],
    bad_lines: BadLines,
) -> Iterator[tuple[str, pa.Table]]:
    """Yields the attributes, as `Log.attribute_chunks`; a row counts as a line."""
    collector = item_table.Collector(columns)
    for batch, rows_read, _ in parquet.batches(path, list(dict.fromkeys([item, *columns.values()]))):
        items = _strings(path, item, batch[item])
        values = {name: _strings(path, column, batch[column]) for name, column in columns.items()}
        for row, (token, *found) in enumerate(zip(items, *values.values(), strict=True), rows_read + 1):
            try:
                token = fields.convert("item", token or "")
                found = [
                    _clean(value, columns[name], name, kinds[name], options["items_list_separator"])
                    for name, value in zip(columns, found, strict=True)
                ]
            except fields.BadValue as error:
                bad_lines.add(KIND_OF_BAD_LINE, path, row, str(error))
                continue
            for name, value in zip(columns, found, strict=True):
                collector.add(name, token, value)
        yield from collector.tables()


def _strings(path: str, name: str, column: pa.Array) -> list[Any]:
    """The values of a column as text, None or a list of either."""
    kind = pa.list_(pa.string()) if _is_list(column.type) else pa.string()
    try:
        return compute.cast(column, kind).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise InputError(f"{path}: column {name!r} holds {column.type}, expected values or lists of them") from None


def _clean(value: Any, column: str, name: str, kind: str, separator: str) -> list[str]:
    """The values of one cell that are not blank."""
    if isinstance(value, list):
        return [entry for part in value for entry in item_table.values(part or "", column, "token", separator)]
    return item_table.values(value or "", column, kind, separator, required=name == KIND)
