"""What DIF-SR reads of prepared data: windows or prefixes to train on, and the tables of the items' attributes."""

import numpy as np
import tensorflow as tf

from tfrecs.data import windows
from tfrecs.data.manifest import Manifest
from tfrecs.data.negatives import Sampler
from tfrecs.models import item_attributes
from tfrecs.models.recommender import SequentialRecommender


def training_examples(
    model: SequentialRecommender, items: tf.RaggedTensor, draw: Sampler, seed: tf.Tensor
) -> dict[str, tf.Tensor]:
    """What a `DIFSR` trains on.

    Args:
        model: a `DIFSR`.
        items: ragged int64 `[users, (time)]`.
        draw: `f(rows, count)`, gives negatives, see `data.training_batches.TrainingBatches`.
        seed: int64 `[2]`, of this batch of users in this epoch.

    Returns:
        dict of `history`, `targets` and, for `bpr`, `negatives`.
    """
    make = windows.next_item_windows if model.all_positions else one_prefix_examples
    rows, history, targets = make(thinned(items, model.item_dropout, seed), model.max_history)
    examples = {"history": history, "targets": targets}
    if model.item_loss == "bpr":
        examples["negatives"] = draw(rows, targets.shape[1])
    return examples


def count_examples(model: SequentialRecommender, lengths: np.ndarray) -> tuple[int, int]:
    """How many examples those are and how many ids each has; see `SequentialRecommender.count_examples`."""
    lengths = np.floor(lengths * (1 - model.item_dropout)).astype(int)
    ids = len(model.padded_fields) * model.max_history
    if model.all_positions:
        return windows.count_windows(lengths, model.max_history), ids
    return int(np.maximum(lengths - 1, 0).sum()), ids + 1 + model.draws_negatives


def fill_tables(model: SequentialRecommender, data_dir: str, manifest: Manifest) -> tuple[str, ...]:
    """Assigns the tables of the items' attributes.

    Args:
        model: a `DIFSR`.
        data_dir: str.
        manifest: its `Manifest`.

    Returns:
        tuple of str, the attributes' names.
    """
    names = item_attributes.attribute_names(model.attributes, manifest)
    for name, table in zip(names, model.tables):
        longest, keep_repeats = table.values.shape[1], model.repeated_attributes
        table.values.assign(item_attributes.table(data_dir, manifest, name, longest, keep_repeats))
    return names


def thinned(items: tf.RaggedTensor, rate: float, seed: tf.Tensor) -> tf.RaggedTensor:
    """Sequences without items drawn at random.

    Args:
        items: ragged int64 `[users, (time)]`.
        rate: float in [0, 1), of the items that are left out.
        seed: int `[2]`.

    Example:
        >>> items = tf.ragged.constant([[5, 6, 7, 8], [9]], row_splits_dtype=tf.int64)
        >>> thinned(items, 0.5, [0, 0]).to_list()
        [[6, 7, 8], []]
    """
    if not rate:
        return items
    kept = tf.random.stateless_uniform(tf.shape(items.flat_values), seed) >= rate
    return tf.ragged.boolean_mask(items, items.with_values(kept))


def one_prefix_examples(items: tf.RaggedTensor, length: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One example for each next item: up to `length` items before it, and the item.

    Args:
        items: ragged int64 `[users, (time)]`.
        length: int.

    Returns:
        `(rows, history, targets)`: int64 `[examples]`, `[examples, length]`, `[examples, 1]`.

    Source: RecBole `data/dataset/sequential_dataset.py` (`data_augmentation`).
    """
    positions = windows.target_positions(items.row_lengths(), 1, 1)
    rows, starts = positions.value_rowids(), positions.flat_values
    return rows, windows.history_before(items, rows, starts, length), windows.items_from(items, rows, starts, 1)
