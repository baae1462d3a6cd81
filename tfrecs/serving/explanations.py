"""What a model makes of one history, as pandas tables: its attention, and what each item contributes to a score."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tfrecs.data.dataset import Dataset
from tfrecs.errors import InputError, NotFiniteError
from tfrecs.models import attention_maps
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.serving import one_history
from tfrecs.serving.tokens import id_of

COLUMNS = ("layer", "head", "query", "query_position", "key", "key_position", "weight")
OF_ITEMS = (attention_maps.HISTORY, attention_maps.CANDIDATE)


def attention(
    model: SequentialRecommender,
    data: Dataset,
    history: Sequence[Hashable] | None = None,
    candidate: Hashable | None = None,
    **question: Any,
) -> pd.DataFrame:
    """The attention weights of a model for one history.

    | model           | query and key                                                                             |
    |-----------------|-------------------------------------------------------------------------------------------|
    | AttRec          | items of the window; the output of an item is the weighted mean of the others' vectors     |
    | SASRec, DIF-SR  | each item and those up to it; DIF-SR's weights come from its fused scores                  |
    | ATRank          | behaviours and behaviours (`self_attention_*`); with a candidate, also from it to the      |
    |                 | behaviours (`candidate_attention_*`)                                                       |
    | ARERec          | the user, and the candidate's neighbours: users who rated it before `now`. A weight scales |
    |                 | its neighbour's vector; the best neighbour then counts in each dimension, not the sum      |

    A large weight says what a layer reads, not why an item is recommended; see `contributions` for that.

    Args:
        model: a trained `SequentialRecommender`.
        data: its `Dataset`.
        history: list of item tokens, oldest first; the model reads the latest ones. Default the history that `user` has
            in the data.
        candidate: str, an item that is scored, for ATRank and ARERec.
        **question: `user`, `times`, `actions` and `now`, see `one_history.read`.

    Returns:
        DataFrame with a row for each weight: `layer` str, `head` int from 0, `query` and `key` tokens,
        `query_position` and `key_position` int, `weight` float. Positions of items are their places in the history,
        from 0; the candidate comes after all of them; neighbours are numbered as the item's list has them. Weights sum
        to 1 for each layer, head and query. Padding is left out; where a preset lets padding be attended, its key
        is ''.

    Raises:
        InputError: see `one_history.read` and `attention_maps.attention_weights`.
        NotFiniteError: a weight is NaN or infinite.
    """
    candidate_ids = None if candidate is None else [id_of(data, "item", candidate, "candidate")]
    given = one_history.read(model, data, history, **question)
    inputs = given.inputs(model)
    length = len(given.fields["item"])
    width = inputs["history"].shape[1] if "history" in inputs else 0
    first = {attention_maps.HISTORY: max(0, length - width), attention_maps.CANDIDATE: length}
    tables = []
    for found in model.attention_weights(inputs, candidate_ids):
        weights = found.weights.numpy()[0]
        queries, keys = found.query_ids.numpy()[0], found.key_ids.numpy()[0]
        real = (queries > 0) | (found.query != attention_maps.HISTORY)
        read = (keys > 0) | (weights > 0).any(axis=(0, 1))
        head, query, key = np.nonzero(np.broadcast_to(real[:, None] & read, weights.shape))
        table = {
            "layer": found.layer,
            "head": head,
            "query": _tokens(data, found.query, queries)[query],
            "query_position": query + first.get(found.query, 0),
            "key": _tokens(data, found.key, keys)[key],
            "key_position": key + first.get(found.key, 0),
            "weight": weights[head, query, key],
        }
        tables.append(pd.DataFrame(table, columns=COLUMNS))
    return _finite(model, pd.concat(tables, ignore_index=True), "weight", "attention weights")


def contributions(
    model: SequentialRecommender,
    data: Dataset,
    item: Hashable,
    history: Sequence[Hashable] | None = None,
    **question: Any,
) -> pd.DataFrame:
    """How the score of an item changes when one item is left out of the history.

    The contributions do not add up to the score: items that say the same make up for each other. Where the history is
    longer than what the model reads, an older item takes the place of the one left out.

    Args:
        model: a trained `SequentialRecommender` that reads histories.
        data: its `Dataset`.
        item: str, the item whose score is explained.
        history, **question: see `attention`.

    Returns:
        DataFrame with a row for each item of the history: `position` int from 0, `item` token, `contribution` float,
        the score with the whole history less the score without this item.

    Raises:
        InputError: see `one_history.read`; the item is unknown, or the model reads no histories.
        NotFiniteError: a score is NaN or infinite.
    """
    if not model.reads_history:
        raise InputError(f"{type(model).__name__} reads no history: no item of one contributes to a score")
    asked = id_of(data, "item", item, "item")
    read = one_history.read(model, data, history, **question)
    ids = read.fields["item"]
    places = list(range(len(ids)))
    rows = [places, *([place for place in places if place != left_out] for left_out in places)]
    scores = model.score(read.inputs(model, rows), [asked]).numpy()[:, 0].astype(np.float64)
    table = {"position": places, "item": np.array(data.items, object)[np.array(ids) - 1]}
    with np.errstate(invalid="ignore"):
        found = pd.DataFrame(table | {"contribution": scores[0] - scores[1:]})
    return _finite(model, found, "contribution", "contributions")


def _finite(model: SequentialRecommender, table: pd.DataFrame, column: str, what: str) -> pd.DataFrame:
    """The table, whose numbers are none where weights of the model are none."""
    bad = int((~np.isfinite(table[column])).sum())
    if bad:
        raise NotFiniteError(f"{type(model).__name__}: {bad} of {len(table)} {what} are NaN or infinite")
    return table


def _tokens(data: Dataset, kind: str, ids: Iterable[int]) -> np.ndarray:
    vocabulary = data.items if kind in OF_ITEMS else data.users
    return np.array([vocabulary[i - 1] if i else "" for i in ids], object)
