"""What every source gives: the log in bounded chunks, item attributes, and where it came from."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa

from tfrecs.errors import InputError

FIELDS = ("timestamp", "rating", "action")
Chunks = Callable[[], Iterable[tuple[pa.Table, float]]]
AttributeChunks = Callable[[], Iterable[tuple[str, pa.Table]]]


@dataclasses.dataclass
class Log:
    """An interaction log, read once, in order.

    Args:
        name: str, the dataset's name, `ml-100k`.
        fields: tuple, which of `FIELDS` the log has.
        chunks: function without arguments yielding `(table, fraction)`: an Arrow table with the
            columns `user`, `item` (strings), and of `fields`: `timestamp` (int64), `rating` (float),
            `action` (string); and the share of the log read so far, 0 to 1. Where timestamps are dates,
            they are seconds since 1970 (UTC), and the column `microsecond` (int64) has the rest. Where
            they are numbers there is no such column, and `data_prep.timestamps` recognises their unit.
        provenance: dict for the manifest; complete once `chunks` has been read to its end.
        attributes: dict of item attribute to its kind, `token` or `list`.
        attribute_chunks: function without arguments, called after `chunks` has been read, yielding
            `(attribute, table)`: an Arrow table with the string columns `item` and `value`, a row
            per value, an item's values in their order.
        oracle: function without arguments returning the metrics of the generating process for
            the leave-one-out test items of the whole log, or None.
        num_rows: int, about how many interactions there will be, where that is known before they are read.
    """

    name: str
    fields: tuple[str, ...]
    chunks: Chunks
    provenance: dict[str, Any]
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    attribute_chunks: AttributeChunks = lambda: iter(())
    oracle: Callable[[], dict[str, float]] | None = None
    num_rows: int | None = None

    def add_first(self, attribute: str, name: str) -> None:
        """Adds a `token` attribute: every item's first value of an attribute that the log has.

        Args:
            attribute: str, a key of `attributes`.
            name: str, the new attribute's.

        Example:
            >>> log = Log("test", (), list, {}, {"tags": "list"}, lambda: [("tags", "a table")])
            >>> log.add_first("tags", "category")
            >>> log.attributes, list(log.attribute_chunks())
            ({'tags': 'list', 'category': 'token'}, [('tags', 'a table'), ('category', 'a table')])
        """
        self.attributes = self.attributes | {name: "token"}
        chunks = self.attribute_chunks

        def repeated() -> Iterator[tuple[str, pa.Table]]:
            for key, table in chunks():
                yield key, table
                if key == attribute:
                    yield name, table  # of a token, the first value is the one that is kept

        self.attribute_chunks = repeated


class BadLines:
    """What to do with a line that cannot be read: raise, or count it by kind and go on.

    Args:
        policy: `error` or `skip`.
        counts: dict that the counts go into.

    Example:
        >>> bad_lines = BadLines("skip", {})
        >>> bad_lines.add("rating", "u.data", 7, "rating is not a number: 'x'")
        >>> bad_lines.counts
        {'rating': 1}
    """

    def __init__(self, policy: str, counts: dict[str, int]) -> None:
        self.policy = policy
        self.counts = counts

    def add(self, kind: str, path: str, line: int, message: str) -> None:
        """Handles one bad line; raises `InputError` naming FILE:LINE under the policy `error`."""
        if self.policy == "error":
            raise InputError(f"{path}:{line}: {message}")
        self.counts[kind] = self.counts.get(kind, 0) + 1
