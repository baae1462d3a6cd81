"""What a trained model answers: scores of candidates, ranks, the best items of the catalogue, attention weights."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfrecs import metrics
from tfrecs.models import attention_maps, catalogue, kinds, requests
from tfrecs.models.catalogue import Catalogue
from tfrecs.models.mixin import Mixin
from tfrecs.models.scoring import best_items, require_sound


class Ranker(Mixin):
    """The answers of a `SequentialRecommender`, made of its `encode` and `score_items`, or of its `catalogue`."""

    def rank(self, inputs: Mapping[str, tf.Tensor], target: tf.Tensor, excluded: tf.Tensor) -> tf.Tensor:
        """The pessimistic rank of each target.

        Args:
            inputs: the model's inputs, as from `history_inputs`.
            target: int64 `[batch]`.
            excluded: int64 `[batch, any]`, items left out of the ranking, padded with 0.

        Returns:
            int64 `[batch]`, from 1; where scores are NaN, as if they were the worst.
        """
        return self.checked_rank(inputs, target, excluded)[0]

    def catalogue(self) -> Catalogue | None:
        """Where scores are products of queries with a table, that table; it changes when the weights do.

        Returns:
            `catalogue.Catalogue`, or None: then `score_items` scores candidates a few at a time.
        """
        return None  # AutoGraph cannot convert a body that is only a docstring

    def catalogue_query(self, query: Mapping[str, Any]) -> tf.Tensor:
        """What to multiply the catalogue with, float32 `[batch, width]`; `query` as from `encode`."""
        return query["vector"]

    def checked_rank(
        self, inputs: Mapping[str, tf.Tensor], target: tf.Tensor, excluded: tf.Tensor, table: Catalogue | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Arguments as for `rank`; also whether all scores of a row can be ranked, see `metrics.checked_rank`.

        `table` is what `catalogue` gave, where it is asked for once for many batches.
        """
        self.require_tables()
        query = self.encode(inputs)
        table = self.catalogue() if table is None else table
        if table is not None:
            first = 0 if self.rank_pad else 1
            return catalogue.checked_rank(self.catalogue_query(query), table, target, excluded, first)
        return metrics.checked_rank(
            lambda items: self.score_items(query, items),
            target,
            excluded,
            self.num_items,
            first_item=0 if self.rank_pad else 1,
            chunk_size=self.candidate_chunk,
        )

    def score(self, inputs: Mapping[str, tf.Tensor], items: tf.Tensor) -> tf.Tensor:
        """Scores of candidates, float32 `[batch, count]`, higher is better; all candidates at once.

        Args:
            inputs: the model's inputs.
            items: int64 `[count]`, the same for every row, or `[batch, count]`.
        """
        self.require_tables()
        inputs, items = requests.read(self, inputs, items=items)
        return self.score_items(self.encode(inputs), items)

    def item_vectors(self) -> tf.Tensor:
        """The vectors that items are compared by, float32 `[num_items, dim]`; row 0 is item 1."""
        raise NotImplementedError(f"{type(self).__name__} has no vectors of items")

    def attention_weights(
        self, inputs: Mapping[str, tf.Tensor], candidate: tf.Tensor | None = None
    ) -> list[attention_maps.AttentionMap]:
        """What the model attends to, from the same layers as its scores.

        Args:
            inputs: the model's inputs.
            candidate: int64 `[batch]`, the item that is scored, for a model that attends from it.

        Returns:
            list of `attention_maps.AttentionMap`, one for each attention, in the order in which they are computed.
        """
        return attention_maps.attention_weights(self, inputs, candidate)

    def recommend(
        self,
        inputs: Mapping[str, tf.Tensor],
        k: int = 10,
        excluded: tf.Tensor | None = None,
        chunk_size: int | None = None,
        kind: str | int | tf.Tensor | None = None,
        allowed: tf.Tensor | None = None,
        table: Catalogue | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The best items, best first; equal scores in order of id.

        Args:
            inputs: the model's inputs; of a history longer than `max_history`, its latest items are read.
            k: int, how many; fewer where the catalogue is smaller.
            excluded: int64 `[batch, any]` padded with 0, items never to return; default none.
            chunk_size: int, candidates scored at a time; default `candidate_chunk`, or all of a catalogue.
            kind: only items of this kind, for a model that tells kinds apart: its name, or its id, or int64 `[batch]`
                ids, one for each row, 0 for any kind. Default any.
            allowed: int64 `[batch or 1, any]` padded with 0, the only items to return; default all.
            table: what `catalogue` gave, where it is asked for once for many requests.

        Returns:
            `(items int64 [batch, k], scores float32 [batch, k])`; where fewer than k items are left, id 0 with
            score -inf fills up.

        Raises:
            InputError: no such kind, or the model knows none; ids that are none; inputs that no model has.
            NotFiniteError: a score is NaN or infinite. In a graph, `tf.errors.InvalidArgumentError` when it runs.
        """
        self.require_tables()
        inputs, excluded, allowed = requests.read(self, inputs, excluded=excluded, allowed=allowed)
        query, k = self.encode(inputs), min(requests.count("k", k), self.num_items)
        wanted = _conditions(None if kind is None else kinds.of_kind(self, kind), allowed)
        table = self.catalogue() if table is None else table
        if table is not None:
            found = catalogue.best_items(self.catalogue_query(query), table, k, excluded, wanted, chunk_size)
        else:
            chunk_size = chunk_size or self.candidate_chunk
            found = best_items(
                lambda ids: self.score_items(query, ids), self.num_items, k, excluded, chunk_size, wanted
            )
        items, scores, sound = found
        require_sound(sound, type(self).__name__)
        return items, scores


def _conditions(
    of_kind: Callable[[tf.Tensor], tf.Tensor] | None, allowed: tf.Tensor | None
) -> Callable[[tf.Tensor], tf.Tensor] | None:
    """What `best_items` takes as `wanted`: both conditions where both are given."""
    if allowed is None:
        return of_kind

    def wanted(ids: tf.Tensor) -> tf.Tensor:
        is_allowed = metrics.member(allowed, ids[0], tf.size(ids))
        return is_allowed if of_kind is None else tf.logical_and(is_allowed, of_kind(ids))

    return wanted
