"""Item attributes as one JSON object: `{"item": [value, value, ...], ...}`, also gzipped."""

import json

import pyarrow as pa

from data_prep.sources import blocks
from tfrecs.errors import InputError


def read(path):
    """Reads the attributes of all items.

    Args:
        path: str; a name ending in `.gz` is decompressed.

    Returns:
        an Arrow table with the string columns `item` and `value`, as `Log.attribute_chunks`.

    Raises:
        InputError: not such an object; it names the line or the item and echoes the value.
    """
    items, values = [], []
    for item, entries in _pairs(path):
        if not item.strip() or "\n" in item or "\r" in item:
            raise InputError(f"{path}: not the name of an item: {item!r}")
        if not isinstance(entries, list):
            raise InputError(f"{path}: item {item!r}: expected a list, got {entries!r:.80}")
        for value in entries:
            items.append(item)
            values.append(_text(path, item, value))
    try:
        return pa.table({"item": pa.array(items, pa.string()), "value": pa.array(values, pa.string())})
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: not valid Unicode: {error.object!r:.80}") from None


def _pairs(path):
    """The object's pairs in their order, an item's second entry included."""
    with blocks.open_binary(path) as (file, _):
        try:
            # Objects become tuples of pairs, so that a repeated key is not lost.
            content = json.loads(file.read().decode("utf-8-sig"), object_pairs_hook=tuple)
        except (EOFError, OSError) as error:
            raise InputError(f"{path}: cannot be read: {error}") from None
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise InputError(f"{path}:{line}: not UTF-8: {error.object[error.start : error.start + 80]!r}") from None
        except json.JSONDecodeError as error:
            near = error.doc[error.pos : error.pos + 80]
            raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg}: {near!r}") from None
        except ValueError as error:  # a number of thousands of digits
            raise InputError(f"{path}: not JSON that can be read: {error}") from None
        except RecursionError:
            raise InputError(f"{path}: not JSON that can be read: nested too deeply") from None
    if not isinstance(content, tuple):
        raise InputError(f"{path}: expected an object from item to list, got {content!r:.80}")
    return content


def _text(path, item, value):
    """A value as text; numbers are written as they are."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip() or "\n" in value or "\r" in value:
        raise InputError(f"{path}: item {item!r}: expected text or a whole number, got {value!r:.80}")
    return value
