"""The region embedding as a layer: two tables of local context units, read and trained a few rows at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrecs.models.arerec.region_pooling import profile, winners

# What the last six of ARERec's nine dropout rates act on.
DROPPED = ("units_for_item", "units_for_user", "neighbour_profile", "item_profile", "rating", "vector")


@keras.saving.register_keras_serializable("tfrecs")
class RegionEmbedding(keras.layers.Layer):
    """Max pooling over neighbours that differentiates what it has to and nothing else.

    A neighbour at position s of an item's list owns one local context unit, a `[region_size, dim]` matrix, in either
    table. The rating vector is `max_s (K_user_s n_s) * (K_item_s i)`, element by element. The maximum passes gradient
    to one neighbour per dimension of the region (exact ties share it), so the highest neighbours are found first,
    without gradient, and only their rows, `batch * region_size` of each table, are read again to be differentiated:
    the gradient is the same, and sparse. Rows are gathered from the variables themselves, since reading a large
    variable next to a sparse update copies it.

    Args:
        num_units: int, rows of the tables, unit 0 for padding.
        region_size: int.
        dim: int, width of the embeddings.
        padding_floor: bool, see `region_pooling.winners`.
        dropout: six floats, rates for `DROPPED`.

    Call arguments:
        units: int64 `[batch, neighbours]`.
        vectors: float `[batch, neighbours, dim]`, the neighbours.
        item: float `[batch, dim]`.
        valid: bool `[batch, neighbours]`.
        vectors_of: `f(int [batch, count]) -> float [batch, count, dim]`, the vectors at these positions of the lists,
            to be differentiated.
        share_ties: bool, see `region_pooling.winners`.
        training: bool.
        Returns float `[batch, region_size]`.

    Source: ARERec (2022), section "Region embedding"; github umapornp/ARERec `model.py:8-74`.
    """

    def __init__(
        self,
        num_units: int,
        region_size: int,
        dim: int,
        padding_floor: bool = False,
        dropout: Sequence[float] = (0.0,) * 6,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.region_size, self.padding_floor, self.rates = region_size, padding_floor, dict(zip(DROPPED, dropout))
        self.seeds = keras.random.SeedGenerator(name="seed_generator")
        # A row per unit and dimension of the region: what one maximum touches. `user_item_LCU` and `item_user_LCU`.
        self.for_item, self.for_user = (
            self.add_weight(
                name=name,
                shape=(num_units * region_size, dim),
                initializer=keras.initializers.RandomNormal(stddev=0.01),
            )
            for name in ("units_for_item", "units_for_user")
        )
        self.built = True

    def call(
        self,
        units: tf.Tensor,
        vectors: tf.Tensor,
        item: tf.Tensor,
        valid: tf.Tensor,
        vectors_of: Callable[[tf.Tensor], tf.Tensor],
        share_ties: bool = True,
        training: bool = False,
    ) -> tf.Tensor:
        kept = self._kept(tf.shape(vectors), training)
        ratings = self._ratings(self.rows(units), vectors, item[:, None], kept)
        best, parts = winners(tf.stop_gradient(ratings), valid, self.padding_floor, share_ties)
        rows = tf.gather(units, best, batch_dims=1) * self.region_size
        rows = _listed(rows + tf.range(self.region_size, dtype=units.dtype)[:, None])
        kept = {name: _listed(_at(mask, best)) for name, mask in kept.items()}
        ratings = self._ratings(rows, vectors_of(_listed(best)[..., 0]), item[:, None], kept)
        ratings = tf.reduce_sum(tf.reshape(ratings, tf.shape(parts)) * parts, axis=-1)
        return self.drop("vector", ratings, training)

    def rows(self, units: tf.Tensor) -> tf.Tensor:
        """Rows of the tables, int64 `[..., region_size]`, for units `[...]`."""
        return units[..., None] * self.region_size + tf.range(self.region_size, dtype=units.dtype)

    def read(self, table: keras.Variable, rows: tf.Tensor) -> tf.Tensor:
        """Rows of a table, float `[..., dim]`, gathered from the variable itself."""
        return tf.cast(tf.gather(table.value, rows), self.compute_dtype)

    def profiles(self, units: tf.Tensor, vectors: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """What all users share: for weighted vectors the ratings are the same sums of `neighbours * item`.

        Args:
            units: int64 `[..., neighbours]`.
            vectors: float `[..., neighbours, parts, dim]`, summands of the neighbours' vectors.
            item: float `[..., dim]`.

        Returns:
            float `[..., neighbours, parts, region_size]`.
        """
        rows = self.rows(units)
        of_neighbours = tf.matmul(vectors, self.read(self.for_user, rows), transpose_b=True)
        of_item = profile(self.read(self.for_item, rows), item[..., None, :])
        return of_neighbours * of_item[..., None, :]

    def drop(self, name: str, values: tf.Tensor, training: bool) -> tf.Tensor:
        """Dropout of one of `DROPPED`."""
        if not (training and self.rates[name]):
            return values
        return keras.random.dropout(values, self.rates[name], seed=self.seeds)

    def _ratings(
        self, rows: tf.Tensor, vectors: tf.Tensor, item: tf.Tensor, kept: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """Float `[batch, neighbours, count]` for the rows `[batch, neighbours, count]` that each neighbour owns."""
        for_user = self.read(self.for_user, rows) * kept.get("units_for_user", 1)
        for_item = self.read(self.for_item, rows) * kept.get("units_for_item", 1)
        of_neighbour = profile(for_user, vectors) * kept.get("neighbour_profile", 1)
        of_item = profile(for_item, item) * kept.get("item_profile", 1)
        return of_neighbour * of_item * kept.get("rating", 1)

    def _kept(self, shape: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        """Masks to multiply with, the same for finding the highest neighbour and for differentiating it."""
        each = tf.stack([shape[0], shape[1], self.region_size])
        shapes = dict.fromkeys(DROPPED[:2], tf.concat([each, shape[2:]], 0)) | dict.fromkeys(DROPPED[2:5], each)
        return {
            name: self.drop(name, tf.ones(shapes[name], self.compute_dtype), training)
            for name in shapes
            if training and self.rates[name]
        }


def _at(values: tf.Tensor, best: tf.Tensor) -> tf.Tensor:
    """`values[b, best[b, r, t], r]` of float `[batch, neighbours, region, ...]`, as `[batch, region, ties, ...]`."""
    return tf.gather(tf.experimental.numpy.swapaxes(values, 1, 2), best, axis=2, batch_dims=2)


def _listed(values: tf.Tensor) -> tf.Tensor:
    """`[batch, region, ties, ...]` as `[batch, region * ties, 1, ...]`: one entry for each neighbour found."""
    return tf.reshape(values, tf.concat([tf.shape(values)[:1], [-1, 1], tf.shape(values)[3:]], axis=0))
