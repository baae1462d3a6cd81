"""Item attributes as models read them: which ones, how many values, and tables padded to one width."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrecs.data.manifest import Manifest
from tfrecs.data.training_batches import item_attributes
from tfrecs.errors import InputError, nearest, option
from tfrecs.models import ranges

ALL, NONE = ("all",), ("none",)


def attribute_names(attributes: Sequence[str], manifest: Manifest) -> tuple[str, ...]:
    """The names behind the argument `attributes`.

    Args:
        attributes: tuple of str, names, `("all",)`, `("none",)` or empty.
        manifest: `data.manifest.Manifest`.

    Returns:
        tuple of str.

    Raises:
        InputError: the data lacks one, though it has others; one is named twice.
    """
    attributes = ranges.as_tuple("attributes", attributes)
    if attributes in (ALL, NONE):
        return tuple(manifest.attributes) if attributes == ALL else ()
    for place, name in enumerate(attributes):
        if name in attributes[:place]:
            raise InputError(f"{option('attributes')} {','.join(attributes)}: names {name!r} twice")
        if manifest.attributes and name not in manifest.attributes:
            raise InputError(f"{option('attributes')}: the data has no {name!r}; {nearest(name, manifest.attributes)}")
    return attributes


def missing(attributes: Sequence[str], manifest: Manifest) -> list[str]:
    """Names of attributes that the data lacks; see `SequentialRecommender.missing_columns`."""
    attributes = ranges.as_tuple("attributes", attributes)
    if manifest.attributes or attributes in ((), NONE):
        return []
    return ["item attributes"] if attributes == ALL else list(attributes)


def sizes(attributes: Sequence[str], data_dir: str, manifest: Manifest) -> dict[str, Any]:
    """The arguments `attribute_sizes` and `attribute_lengths` of the model, from prepared data."""
    names = attribute_names(attributes, manifest)
    tables = item_attributes(data_dir, manifest) if names else {}
    longest = {name: int(np.diff(tables[name][1]).max(initial=0)) for name in names}
    return {
        "attribute_sizes": tuple(manifest.vocabularies[name].size for name in names),
        "attribute_lengths": tuple(
            0 if manifest.attributes[name] == "token" else max(1, longest[name]) for name in names
        ),
    }


def table(data_dir: str, manifest: Manifest, name: str, longest: int, keep_repeats: bool) -> np.ndarray:
    """The padded table of one attribute, see `padded`."""
    return padded(*item_attributes(data_dir, manifest)[name], longest, keep_repeats)


def padded(values: np.ndarray, row_splits: np.ndarray, longest: int, keep_repeats: bool = False) -> np.ndarray:
    """A ragged table as a padded one.

    Args:
        values: int array, all rows' values one after another.
        row_splits: int array `[rows + 1]`.
        longest: int, width of the table, at least 1.
        keep_repeats: bool, a value that a row names twice counts twice.

    Returns:
        int64 array `[rows, longest]`, left-aligned, padded with 0.

    Example:
        >>> padded(np.array([3, 1, 3]), np.array([0, 0, 3]), 3).tolist()
        [[0, 0, 0], [3, 1, 0]]
    """
    rows = np.repeat(np.arange(len(row_splits) - 1), np.diff(row_splits))
    if not keep_repeats and len(values):
        _, first = np.unique(np.stack([rows, values]), axis=1, return_index=True)
        kept = np.sort(first)
        rows, values = rows[kept], values[kept]
    column = np.arange(len(rows)) - np.searchsorted(rows, rows)
    table = np.zeros((len(row_splits) - 1, longest), np.int64)
    table[rows, column] = values
    return table
