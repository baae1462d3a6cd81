"""Recommendations for many users at once, tokens in and tokens out, as pandas tables."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrecs.arguments import checked
from tfrecs.data import training_batches
from tfrecs.data.dataset import Dataset
from tfrecs.data.records import Sequences
from tfrecs.errors import InputError, NotFiniteError
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.serving.signatures import items_alone
from tfrecs.serving.tokens import check_count, id_of, item_ids

BATCH = 512  # users scored at a time
COLUMNS = ("user", "rank", "item", "score")


@checked
def recommend(
    model: SequentialRecommender,
    data: Dataset,
    users: Sequence[Hashable] | None = None,
    histories: Sequence[Sequence[Hashable]] | None = None,
    k: int = 10,
    exclude_seen: bool = True,
    allowed: Sequence[Any] | None = None,
    excluded: Sequence[Any] | None = None,
    kind: str | None = None,
) -> pd.DataFrame:
    """The best items for known users, or for histories.

    Args:
        model: a trained `SequentialRecommender`.
        data: `Dataset`, whose vocabularies the ids of the model are from.
        users: list of user tokens; default everybody, unless `histories` are given.
        histories: list of lists of item tokens, oldest first, to answer from instead of those in the data. With
            `users`, one for each; without, the users are unknown. Their times count as now, their actions as unknown.
        k: int, items for each; fewer where fewer are left.
        exclude_seen: bool, leave out the items of the history.
        allowed: list of item tokens, or a list of such lists, one for each user: recommend no others.
        excluded: list of item tokens, or a list for each user: never recommend these.
        kind: str, for a model that tells kinds of items apart: recommend items of this kind only.

    Returns:
        DataFrame with a row for each recommendation, best first: `user` (as given; with histories alone, their number
        from 0), `rank` int from 1, `item` and `score` float. Items are text, whatever type the log's ids had,
        and so are users who were not named.

    Raises:
        InputError: an unknown user or item, naming it and its place; `k` beyond the catalogue; lists that do not pair
            up.
        NotFiniteError: a score is NaN or infinite.
    """
    check_count(k, data.manifest.num_items)
    names, user_ids = _users(data, users, histories)
    allowed, excluded = (
        _filter(data, name, tokens, len(names)) for name, tokens in (("allowed", allowed), ("excluded", excluded))
    )
    row_names, tokens, tables = np.array(names, object), np.array(data.items, object), []
    catalogue = model.catalogue()
    for rows, sequences in sequences_of(model, data, user_ids, histories):
        seen = [sequences["item"].to_tensor()] if exclude_seen else []
        seen += [] if excluded is None else [_rows_of(excluded, rows)]
        width = max((part.shape[1] for part in seen), default=0)
        left_out = tf.concat([tf.broadcast_to(part, [len(rows), part.shape[1]]) for part in seen], 1) if width else None
        items, scores = model.recommend(
            model.history_inputs(sequences),
            k,
            excluded=left_out,
            kind=kind,
            allowed=None if allowed is None else _rows_of(allowed, rows),
            table=catalogue,
        )
        tables.append(_table(row_names, tokens, rows, items.numpy(), scores.numpy()))
    if not tables:
        return pd.DataFrame({name: [] for name in COLUMNS})
    table = pd.concat(tables, ignore_index=True).sort_values(["row", "rank"], ignore_index=True)
    return table[list(COLUMNS)]


def item_vectors(model: SequentialRecommender, data: Dataset) -> pd.DataFrame:
    """The vectors that a model compares items by.

    Args:
        model: a trained `SequentialRecommender`.
        data: `Dataset`.

    Returns:
        DataFrame float32, a row for each item, indexed by its token.

    Raises:
        NotFiniteError: a vector has NaN or infinity.
    """
    vectors = model.item_vectors().numpy()
    unsound = int((~np.isfinite(vectors)).any(axis=1).sum())
    if unsound:
        raise NotFiniteError(f"{type(model).__name__}: NaN or infinite vectors of {unsound} of {len(vectors)} items")
    return pd.DataFrame(vectors, index=pd.Index(data.items, name="item"))


@checked
def similar_items(model: SequentialRecommender, data: Dataset, items: Sequence[Hashable], k: int = 10) -> pd.DataFrame:
    """The items whose vectors point the same way.

    Args:
        model: a trained `SequentialRecommender`.
        data: `Dataset`.
        items: list of item tokens.
        k: int, how many for each; the item itself is none of them.

    Returns:
        DataFrame `item`, `rank` from 1, `similar_item`, `score`: the cosine of the vectors.

    Raises:
        InputError: an unknown item; `k` beyond the catalogue.
        NotFiniteError: a vector has NaN or infinity.
    """
    check_count(k, data.manifest.num_items - 1)
    ids = item_ids(data, "items", items)
    vectors = item_vectors(model, data).to_numpy(np.float64)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    tokens, rows = np.array(data.items, object), []
    for item in ids:
        scores = vectors @ vectors[item - 1]
        scores[item - 1] = -np.inf
        best = np.argsort(-scores, kind="stable")[:k]
        rows += [(tokens[item - 1], rank, tokens[other], scores[other]) for rank, other in enumerate(best, 1)]
    return pd.DataFrame(rows, columns=["item", "rank", "similar_item", "score"])


def _users(
    data: Dataset, users: Sequence[Hashable] | None, histories: Sequence[Sequence[Hashable]] | None
) -> tuple[Sequence[Hashable], np.ndarray]:
    """The names of the rows, and the ids of their users; 0 for a history without a known user."""
    if users is not None:
        if histories is not None and len(histories) != len(users):
            raise InputError(f"histories: {len(histories)} of them, but {len(users)} users")
        return users, np.array([id_of(data, "user", token, f"users[{n}]") for n, token in enumerate(users)], np.int64)
    if histories is not None:
        return list(range(len(histories))), np.zeros(len(histories), np.int64)
    return data.users, np.arange(1, data.manifest.num_users + 1)


def _filter(data: Dataset, name: str, tokens: Sequence[Any] | None, count: int) -> tf.Tensor | None:
    """Ids `[1 or count, any]` padded with 0; None where there is no such filter."""
    if tokens is None:
        return None
    nested = bool(tokens) and not isinstance(tokens[0], str) and hasattr(tokens[0], "__iter__")
    lists = tokens if nested else [tokens]
    if nested and len(lists) != count:
        raise InputError(f"{name}: {len(lists)} lists, but {count} users")
    ids = [item_ids(data, f"{name}[{row}]" if nested else name, part) for row, part in enumerate(lists)]
    return tf.ragged.constant(ids, tf.int64, ragged_rank=1).to_tensor()


def _rows_of(ids: tf.Tensor, rows: np.ndarray) -> tf.Tensor:
    return ids if ids.shape[0] == 1 else tf.gather(ids, rows)


def sequences_of(
    model: SequentialRecommender, data: Dataset, user_ids: np.ndarray, histories: Sequence[Sequence[Hashable]] | None
) -> Iterator[tuple[np.ndarray, Sequences]]:
    """Yields `(rows, sequences)`: places in `user_ids`, and what `history_inputs` reads of these users."""
    if histories is not None:
        yield from _given_sequences(model, data, user_ids, histories)
        return
    order = np.argsort(user_ids, kind="stable")
    ordered = user_ids[order]
    for batch in training_batches.sequences(data.data_dir, data.manifest, model.fields, BATCH):
        first, end = (np.searchsorted(ordered, batch["user"].numpy(), side) for side in ("left", "right"))
        rows = np.concatenate([order[a:b] for a, b in zip(first, end)])
        if len(rows):
            places = np.repeat(np.arange(len(first)), end - first)
            yield rows, {name: tf.gather(batch[name], places) for name in ("user", *model.fields)}


def _given_sequences(
    model: SequentialRecommender, data: Dataset, user_ids: np.ndarray, histories: Sequence[Sequence[Hashable]]
) -> Iterator[tuple[np.ndarray, Sequences]]:
    ids = [item_ids(data, f"histories[{row}]", tokens) for row, tokens in enumerate(histories)]
    for first in range(0, len(ids), BATCH):
        rows = np.arange(first, min(first + BATCH, len(ids)))
        item = tf.ragged.constant(ids[first : first + BATCH], tf.int64, ragged_rank=1, row_splits_dtype=tf.int64)
        yield rows, items_alone(model, tf.constant(user_ids[rows]), item)


def _table(
    names: np.ndarray, tokens: np.ndarray, rows: np.ndarray, items: np.ndarray, scores: np.ndarray
) -> pd.DataFrame:
    """The recommendations of some rows; names and tokens are arrays, rows the places in `names`."""
    there = items > 0
    row, place = np.nonzero(there)
    return pd.DataFrame(
        {
            "row": rows[row],
            "user": names[rows[row]],
            "rank": place + 1,
            "item": tokens[items[there] - 1],
            "score": scores[there],
        }
    )
