"""A table of items in delimited text: a line per item, a column per attribute."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from data_prep.readers import blocks, fields
from data_prep.readers.blocks import Layout
from data_prep.readers.log import BadLines

KIND_OF_BAD_LINE = "attributes"
# Columns with one of these in their name hold about as many values as there are items.
FREE_TEXT = ("title", "name", "description", "address", "url", "image")


class Collector:
    """Collects values of items until a block is read, then gives them as tables.

    Args:
        attributes: iterable of str, their names.

    Example:
        >>> collector = Collector(["brand"])
        >>> collector.add("brand", "i1", ["B"])
        >>> [(name, table.to_pylist()) for name, table in collector.tables()]
        [('brand', [{'item': 'i1', 'value': 'B'}])]
    """

    def __init__(self, attributes: Iterable[str]) -> None:
        self.columns: dict[str, tuple[list[str], list[str]]] = {attribute: ([], []) for attribute in attributes}

    def add(self, attribute: str, item: str, values: Sequence[str]) -> None:
        """Takes an item's values of one attribute."""
        items, found = self.columns[attribute]
        items += [item] * len(values)
        found += values

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """Yields `(attribute, table)` as `Log.attribute_chunks`, and forgets what it gave."""
        for attribute, (items, found) in self.columns.items():
            yield attribute, pa.table({"item": pa.array(items, pa.string()), "value": pa.array(found, pa.string())})
            self.columns[attribute] = ([], [])


def read(
    path: str,
    header: Sequence[str],
    item_column: str,
    kinds: Mapping[str, str],
    separator: str,
    bad_lines: BadLines,
    block_bytes: int = blocks.BLOCK_BYTES,
    delimiter: str = "\t",
    quoted: bool = False,
    required: Collection[str | None] = (),
) -> Iterator[tuple[str, pa.Table]]:
    """Reads the attributes in blocks; an empty field is no value.

    Args:
        path: str; a name ending in `.gz` is decompressed.
        header: list of str, the names of all columns.
        item_column: str, the name of the item column.
        kinds: dict of column to `token` or `list`.
        separator: str, between the values of a list.
        bad_lines: `data_prep.readers.log.BadLines`.
        block_bytes: int, about how much to read at a time.
        delimiter: str, between fields.
        quoted: bool, whether a field may be in double quotes.
        required: columns of which no field may be empty.

    Yields:
        `(attribute, table)` as `data_prep.readers.log.Log.attribute_chunks`.

    Raises:
        InputError: naming FILE:LINE and echoing the text.
    """
    layout = blocks.Layout({}, len(header), delimiter, quoted, header=True)
    places = {column: header.index(column) for column in (item_column, *kinds)}
    collector = Collector(kinds)
    has_header = True
    for block, first_line, _ in blocks.blocks(path, layout, block_bytes):
        for line, record in blocks.records(block, first_line, layout):
            if has_header:
                has_header = False
                continue
            row = _row(record, line, path, layout, bad_lines)
            if row is None:
                continue
            try:
                item = fields.convert("item", row[places[item_column]])
                cells = {
                    column: values(row[places[column]], column, kind, separator, column in required)
                    for column, kind in kinds.items()
                }
            except fields.BadValue as error:
                bad_lines.add(KIND_OF_BAD_LINE, path, line, str(error))
                continue
            for column, found in cells.items():
                collector.add(column, item, found)
        yield from collector.tables()


def _row(record: bytes, line: int, path: str, layout: Layout, bad_lines: BadLines) -> list[str] | None:
    """The fields of a line, or None where it is bad."""
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError:
        bad_lines.add(KIND_OF_BAD_LINE, path, line, f"not UTF-8: {record[:80]!r}")
        return None
    try:
        row = blocks.split_record(text, layout)
    except ValueError as error:
        bad_lines.add(KIND_OF_BAD_LINE, path, line, f"{error}: {text[:80]!r}")
        return None
    if len(row) != layout.num_columns:
        message = f"expected {layout.num_columns} fields, found {len(row)}: {text.rstrip()[:80]!r}"
        bad_lines.add(KIND_OF_BAD_LINE, path, line, message)
        return None
    return row


def values(field: str, column: str, kind: str, separator: str, required: bool = False) -> list[str]:
    """The values of a field that are not blank.

    Args:
        field: str.
        column: str, its name, for messages.
        kind: `token` or `list`.
        separator: str, between the values of a list.
        required: bool, there has to be one.

    Returns:
        list of str, without spaces around them.

    Raises:
        data_prep.readers.fields.BadValue: it contains a line break, or is empty though it is required.

    Example:
        >>> values("a | b", "tags", "list", "|")
        ['a', 'b']
    """
    if "\r" in field or "\n" in field:
        raise fields.BadValue(column, f"{column} contains a line break: {field[:80]!r}")
    parts = field.split(separator) if kind == "list" else [field]
    found = [part.strip() for part in parts if part.strip()]
    if required and not found:
        raise fields.BadValue(column, f"{column} is empty: {field[:80]!r}")
    return found
