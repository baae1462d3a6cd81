"""The sources by dataset name; what opens a log is imported when it is asked for.

A source has a table of options in `data_prep.sources.options`, and a module of this package with `open_log(name,
options)`, which returns a `data_prep.readers.log.Log`.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from data_prep.sources import options as tables
from tfrecs.options import Option

if TYPE_CHECKING:
    from data_prep.readers.log import Log


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Where logs of one kind come from.

    Args:
        module: str, the module of this package that opens them.
        options: dict of name to `tfrecs.options.Option`.

    Example:
        >>> SOURCES["sample"].module, "num_users" in SOURCES["sample"].options
        ('sample', True)
    """

    module: str
    options: dict[str, Option]

    def open_log(self, name: str, options: Mapping[str, Any]) -> Log:
        """Opens a log.

        Args:
            name: str, the dataset's name.
            options: dict with a value for each of the source's options.

        Returns:
            a `data_prep.readers.log.Log`.
        """
        return importlib.import_module(f"{__name__}.{self.module}").open_log(name, options)


SOURCES = {
    "sample": Source("sample", tables.SAMPLE),
    **dict.fromkeys(tables.MOVIELENS_NAMES, Source("movielens", tables.MOVIELENS)),
    "amazon": Source("amazon", tables.AMAZON),
    "atomic": Source("atomic", tables.ATOMIC),
    "sequences": Source("sequences", tables.SEQUENCES),
    "delimited": Source("delimited", tables.DELIMITED),
}
