"""Kinds of objects (items, queries, coupons): an item attribute of one token tells them apart."""

import dataclasses

import numpy as np

from tfrecs.data.manifest import Manifest, read_vocabulary
from tfrecs.data.training_batches import item_attributes

ATTRIBUTE = "kind"  # what the attribute is called unless a model's argument says otherwise


@dataclasses.dataclass(frozen=True)
class Kinds:
    """Which kind each item is of.

    Args:
        attribute: str, the item attribute's name.
        names: tuple of str; kind k is called `names[k - 1]`.
        of_item: int64 array `[items + 1]`, by item id; 0 for an item without a kind, and for PAD.
    """

    attribute: str
    names: tuple[str, ...]
    of_item: np.ndarray


def load(data_dir: str, manifest: Manifest, attribute: str = "") -> Kinds | None:
    """Reads the kinds of prepared data.

    Args:
        data_dir: str.
        manifest: its `Manifest`.
        attribute: str, the item attribute; `""`: `kind`, where the data has it.

    Returns:
        `Kinds`, or None where nothing tells items apart. Of a list, the first value counts.
    """
    if not attribute:
        attribute = ATTRIBUTE if manifest.attributes.get(ATTRIBUTE) == "token" else ""
    return read(data_dir, manifest, attribute) if attribute else None


def read(data_dir: str, manifest: Manifest, attribute: str) -> Kinds:
    """As `load`, of an attribute that the data has."""
    values, row_splits = item_attributes(data_dir, manifest)[attribute]
    here = np.diff(row_splits) > 0
    of_item = np.zeros(len(here), np.int64)
    of_item[here] = values[row_splits[:-1][here]]
    return Kinds(attribute, tuple(read_vocabulary(data_dir, manifest, attribute)), of_item)
