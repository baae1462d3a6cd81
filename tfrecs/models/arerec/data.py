"""What ARERec reads of prepared data: ratings with their moments, and who rated an item first."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfrecs.data.manifest import Manifest
from tfrecs.data.records import Sequences
from tfrecs.data.statistics import HeldOut
from tfrecs.models import ranges
from tfrecs.models.arerec import neighbours
from tfrecs.models.arerec.arguments import CLASSES, MAX_SEQ, list_arguments
from tfrecs.models.arerec.random_split import random_split
from tfrecs.models.recommender import SequentialRecommender


def num_units(data_dir: str, manifest: Manifest, arguments: Mapping[str, Any], split: str) -> int:
    """The places of all items' lists and the padding, for what `fill_lists` fills in from the same split.

    Args:
        data_dir: str.
        manifest: its `Manifest`, with ratings.
        arguments: dict, constructor arguments that were chosen.
        split: str, what the model trains on.

    Returns:
        int.

    Raises:
        InputError: an argument out of its range, or a rating of the data that is none of `rating_classes`.
    """
    defaults = {"max_seq": MAX_SEQ, "rating_classes": CLASSES, "random_split": 0.0, "random_split_seed": 0}
    arguments = {**defaults, **arguments}
    ranges.check(arguments, {"max_seq": ranges.SIZE})
    classes = list_arguments(arguments, ["rating_classes"])["rating_classes"]
    held_out = random_split(arguments["random_split"], arguments["random_split_seed"])
    if arguments.get("neighbours") == "all":
        split, held_out = "all", None
    return 1 + neighbours.count_units(data_dir, manifest, arguments["max_seq"], classes, split, held_out)


def fill_lists(model: SequentialRecommender, data_dir: str, manifest: Manifest, split: str) -> None:
    """Fills the lists of neighbours from what is trained on, or with `neighbours="all"` from everything.

    Args:
        model: `ARERec`.
        data_dir, manifest, split: as for `num_units`.
    """
    part = ("all", None) if model.neighbours == "all" else (split, model.own_split)
    model.lists.fill(*neighbours.first_raters(data_dir, manifest, model.max_seq, *part))


def training_examples(
    sequences: Sequences, classes: Sequence[float], held_out: HeldOut | None = None
) -> dict[str, tf.Tensor]:
    """One example for each rating.

    Args:
        sequences: dict of `user` int64 `[users]` and ragged `item`, `timestamp` and `rating`.
        classes: tuple of floats, the ratings there are.
        held_out: `f(users, items) -> bool`, the ratings to leave out, or None.

    Returns:
        dict of `user`, `item`, `now` and `label`, int64 `[examples]`.
    """
    item = sequences["item"]
    examples = {
        "user": tf.gather(sequences["user"], item.value_rowids()),
        "item": item.flat_values,
        "now": sequences["timestamp"].flat_values,
        "label": neighbours.rating_classes(sequences["rating"].flat_values, classes),
    }
    if held_out is None:
        return examples
    kept = tf.logical_not(held_out(examples["user"], examples["item"]))
    return {name: tf.boolean_mask(value, kept) for name, value in examples.items()}
