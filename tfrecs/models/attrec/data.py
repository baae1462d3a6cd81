"""What AttRec trains on: sliding windows with the items after them and negatives."""

import numpy as np
import tensorflow as tf

from tfrecs.data import windows
from tfrecs.data.negatives import Sampler
from tfrecs.data.records import Sequences
from tfrecs.models.recommender import SequentialRecommender


def training_examples(model: SequentialRecommender, sequences: Sequences, draw: Sampler) -> dict[str, tf.Tensor]:
    """Windows of L items, the T items after them and N negatives.

    Args:
        model: an `AttRec`.
        sequences: dict of `user` int64 `[users]` and ragged `item` int64 `[users, (time)]`.
        draw: `f(rows, count)`, gives negatives, see `data.training_batches.TrainingBatches`.

    Returns:
        dict of int64 `user [windows]`, `history [windows, L]`, `targets [windows, T]` and `negatives [windows, N]`;
        where these are shared `[windows, 1]`, and the first N of a batch count.
    """
    items = sequences["item"]
    min_history, min_targets = (1, 1) if model.partial_windows else (model.max_history, model.num_targets)
    positions = windows.target_positions(items.row_lengths(), min_history, min_targets)
    rows, starts = positions.value_rowids(), positions.flat_values
    return {
        "user": tf.gather(sequences["user"], rows),
        "history": windows.history_before(items, rows, starts, model.max_history),
        "targets": windows.items_from(items, rows, starts, model.num_targets),
        "negatives": draw.whole_catalogue(rows, 1)[0] if model.shared_negatives else draw(rows, model.num_negatives),
    }


def count_examples(model: SequentialRecommender, lengths: np.ndarray) -> tuple[int, int]:
    """How many windows those are and how many ids each has; see `SequentialRecommender.count_examples`."""
    reserved = 1 if model.partial_windows else model.max_history + model.num_targets - 1
    ids = model.max_history + model.num_targets + (1 if model.shared_negatives else model.num_negatives)
    return int(np.maximum(lengths - reserved, 0).sum()), ids


def history_inputs(model: SequentialRecommender, sequences: Sequences) -> dict[str, tf.Tensor]:
    """The user and the last L items of each history; arguments as for `training_examples`."""
    items = sequences["item"]
    rows = tf.range(items.nrows(), dtype=tf.int64)
    history = windows.history_before(items, rows, items.row_lengths(), model.max_history)
    return {"user": sequences["user"], "history": history}
