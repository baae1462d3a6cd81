"""What SASRec trains on: windows with the next item at every position, and the negatives that its loss reads."""

import numpy as np
import tensorflow as tf

from tfrecs.data import windows
from tfrecs.data.negatives import Sampler
from tfrecs.models.recommender import SequentialRecommender


def training_examples(
    items: tf.RaggedTensor, draw: Sampler, max_history: int, last_window: bool, item_loss: str, num_negatives: int
) -> dict[str, tf.Tensor]:
    """Windows of histories, their next items and negatives.

    Args:
        items: ragged int64 `[users, (time)]`.
        draw: `data.negatives.Sampler`; not read by `ce`.
        max_history, last_window, item_loss, num_negatives: see `SASRec`.

    Returns:
        dict of `history` and `targets` int64 `[windows, max_history]`, and of what the loss reads besides: `negatives`
        int64, `[windows, max_history]` for `bce`, else `[windows, num_negatives]`; `negative_log_probability` float32
        of that shape for `sampled_softmax`.
    """
    make = last_windows if last_window else windows.next_item_windows
    rows, history, targets = make(items, max_history)
    examples = {"history": history, "targets": targets}
    if item_loss == "bce":
        examples["negatives"] = draw(rows, max_history)
    elif item_loss == "gbce":
        examples["negatives"] = draw(rows, num_negatives)
    elif item_loss == "sampled_softmax":
        examples["negatives"], examples["negative_log_probability"] = draw.whole_catalogue(rows, num_negatives)
    return examples


def count_examples(model: SequentialRecommender, lengths: np.ndarray) -> tuple[int, int]:
    """How many windows those are and how many ids each has; see `SequentialRecommender.count_examples`."""
    ids = len(model.padded_fields) * model.max_history
    ids += model.num_negatives if model.item_loss in ("gbce", "sampled_softmax") else 0
    windowed = int((lengths > 1).sum()) if model.last_window else windows.count_windows(lengths, model.max_history)
    return windowed, ids


def last_windows(items: tf.RaggedTensor, length: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One window for each user of two items and more: the last `length` next items, and the item before each.

    Args and Returns: as `data.windows.next_item_windows`.

    Example:
        >>> items = tf.ragged.constant([[5, 6, 7, 8], [9]], tf.int64, row_splits_dtype=tf.int64)
        >>> [part.numpy().tolist() for part in last_windows(items, 2)]
        [[0], [[6, 7]], [[7, 8]]]
    """
    rows = tf.where(items.row_lengths() > 1)[:, 0]
    end = tf.gather(items.row_lengths(), rows) - 1
    first = tf.maximum(end - length, 0)
    history = windows.values_between(items, rows, first, end, length)
    return rows, history, windows.values_between(items, rows, first + 1, end + 1, length)
