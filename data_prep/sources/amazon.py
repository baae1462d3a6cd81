"""Amazon's reviews and, if they are in the same folder, metadata of the products: one object per line.

A review has `reviewerID`, `asin`, `overall` and `unixReviewTime`, the metadata of a product `asin`,
`categories`, a list of paths from general to special, and `brand`. All reviews count, also a user's
second one of a product.

Of the metadata come the item attributes `categories`, a list of every category of all paths,
`category`, one token: the last category of the last path, as ATRank's preparation has it, and
`brand`, one token.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from data_prep.readers import blocks, fields, folder, json_lines
from data_prep.readers.item_table import KIND_OF_BAD_LINE, Collector
from data_prep.readers.log import BadLines, Log
from data_prep.sources.delimited import digest_raw

ENDINGS = (".json", ".jsonl")
KEYS = {"user": "reviewerID", "item": "asin", "timestamp": "unixReviewTime", "rating": "overall"}
ATTRIBUTES = {"categories": "list", "category": "token", "brand": "token"}
# Objects take several times the memory of their text, so a block is smaller than elsewhere.
BLOCK_BYTES = 4 << 20


def open_log(name: str, options: Mapping[str, Any]) -> Log:
    """Opens reviews; nothing but digests is read before `chunks` is.

    Args:
        name: str, the dataset's name.
        options: dict, as `data_prep.sources.options.AMAZON`.

    Returns:
        a `data_prep.readers.log.Log`.

    Raises:
        InputError: no reviews or several files of them in the directory, or an empty file.
    """
    raw_dir = options["raw_dir"]
    present = folder.names(raw_dir, name)
    reviews = _find_reviews(raw_dir, present, options["reviews"])
    metadata = _find_metadata(raw_dir, present, reviews, options["metadata"])
    path = os.path.join(raw_dir, reviews)
    raw_files = {reviews: digest_raw(path)}
    bad_lines = BadLines(options["on_bad_line"], {})
    provenance = {"raw_files": raw_files, "bad_lines": bad_lines.counts}
    log = Log(name, ("timestamp", "rating"), lambda: _read_reviews(path, bad_lines), provenance)
    if metadata is not None:
        metadata_path = os.path.join(raw_dir, metadata)
        raw_files[metadata] = digest_raw(metadata_path)
        log.attributes = dict(ATTRIBUTES)
        log.attribute_chunks = lambda: _read_metadata(metadata_path, bad_lines)
    return log


def _find_reviews(raw_dir: str, present: Sequence[str], chosen: str | None) -> str:
    if chosen is not None:
        return folder.given(raw_dir, present, "reviews", chosen)
    others = [file for file in present if folder.ends_with(file, *ENDINGS) and not file.startswith("meta")]
    named = [file for file in others if file.startswith("reviews") or _stem(file).endswith("_5")]
    return folder.required(raw_dir, present, named or others, "reviews", "reviews (reviews_*.json, *_5.json)")


def _find_metadata(raw_dir: str, present: Sequence[str], reviews: str, chosen: str | None) -> str | None:
    """The file of metadata: the one chosen, else the one named like the reviews, else the only one."""
    if chosen is not None:
        return folder.given(raw_dir, present, "metadata", chosen)
    candidates = [file for file in present if folder.ends_with(file, *ENDINGS) and file.startswith("meta_")]
    stem = "meta_" + _stem(reviews).removeprefix("reviews_").removesuffix("_5")
    named = [file for file in candidates if _stem(file) == stem]
    return folder.only(raw_dir, named or candidates, "metadata", "metadata (meta_*.json)")


def _stem(file: str) -> str:
    return os.path.splitext(file.removesuffix(".gz"))[0]


def _read_reviews(path: str, bad_lines: BadLines, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[pa.Table, float]]:
    """Yields the log, as `Log.chunks`."""
    converter = fields.Converter(KEYS)
    for block, first_line, fraction in blocks.blocks(path, blocks.LINES, block_bytes):
        rows = []
        for line, entry in json_lines.entries(block, first_line, path, bad_lines, None):
            try:
                rows.append((line, [_text(entry, role, key) for role, key in KEYS.items()]))
            except fields.BadValue as error:
                bad_lines.add(error.role, path, line, str(error))
        columns = zip(*(texts for _, texts in rows), strict=True) if rows else [()] * len(KEYS)
        table = converter.convert_columns(
            {role: pa.array(column, pa.string()) for role, column in zip(KEYS, columns, strict=True)}
        )
        yield converter.convert_rows(rows, path, bad_lines) if table is None else table, fraction


def _read_metadata(path: str, bad_lines: BadLines, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[str, pa.Table]]:
    """Yields the attributes, as `Log.attribute_chunks`."""
    collector = Collector(ATTRIBUTES)
    for block, first_line, _ in blocks.blocks(path, blocks.LINES, block_bytes):
        for line, entry in json_lines.entries(block, first_line, path, bad_lines, KIND_OF_BAD_LINE):
            try:
                item = fields.convert("item", _text(entry, "item", KEYS["item"]))
                paths = _paths(entry)
                brand = [] if entry.get("brand") is None else [_token("brand", entry["brand"])]
            except fields.BadValue as error:
                bad_lines.add(KIND_OF_BAD_LINE, path, line, str(error))
                continue
            collector.add("categories", item, list(dict.fromkeys(name for names in paths for name in names)))
            collector.add("category", item, [names[-1] for names in paths[-1:]])
            collector.add("brand", item, [name for name in brand if name])
        yield from collector.tables()


def _text(entry: Mapping[str, Any], role: str, key: str) -> str:
    """The value of a key as text, for `fields.convert`."""
    if key not in entry:
        raise fields.BadValue(role, f"{key} is missing: {entry!r:.80}")
    value = entry[key]
    number = (int,) if fields.TYPES[role] == pa.string() else (int, float)
    if isinstance(value, bool) or not isinstance(value, (str, *number)):
        raise fields.BadValue(role, f"{key} is neither text nor a number of its kind: {value!r:.80}")
    return _encodable(role, key, str(value))


def _paths(entry: Mapping[str, Any]) -> list[list[str]]:
    """The categories of a product: a list of paths, none of them empty."""
    value = entry.get("categories", entry.get("category"))
    if value is None:
        return []
    if not isinstance(value, list):
        raise fields.BadValue("categories", f"categories is not a list: {value!r:.80}")
    if not any(isinstance(part, list) for part in value):
        value = [value]  # a single path, without a list around it
    paths = []
    for path in value:
        if not isinstance(path, list):
            raise fields.BadValue("categories", f"categories is not a list of lists: {value!r:.80}")
        names = [_token("categories", name) for name in path]
        paths.append([name for name in names if name])
    return [path for path in paths if path]


def _token(key: str, value: object) -> str:
    """A value on one line, without spaces around it."""
    if not isinstance(value, str):
        raise fields.BadValue(key, f"{key} is not text: {value!r:.80}")
    return _encodable(key, key, " ".join(value.splitlines()).strip())


def _encodable(role: str, key: str, text: str) -> str:
    """The text, unless it holds half of a character that was written as two."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise fields.BadValue(role, f"{key} is not valid Unicode: {text[:80]!r}") from None
    return text
