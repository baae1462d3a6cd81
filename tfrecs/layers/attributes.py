"""Attributes of items: which item has which, one vector of several values, and item vectors made of both."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

POOLINGS = ("mean", "sum", "max")


@keras.saving.register_keras_serializable("tfrecs")
class AttributeTable(keras.layers.Layer):
    """Which values of one attribute each item has; not trained, but saved with the weights.

    All entries of a new table are -1: it is not filled yet, and checkpoints and `.keras` files keep that state.

    Args:
        num_items: int, ids are 1 to `num_items`.
        longest: int, values of an item at most; 0 for an attribute that is a single token.

    Call arguments:
        items: int `[...]`. Returns int64 `[..., longest]`, value ids padded with 0; `[..., 1]` for a token.

    Example:
        >>> table = AttributeTable(num_items=2, longest=2)
        >>> _ = table.values.assign([[0, 0], [3, 0], [1, 2]])
        >>> table(ops.convert_to_tensor([2, 1])).numpy().tolist()
        [[1, 2], [3, 0]]
    """

    def __init__(self, num_items: int, longest: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_items, self.longest = num_items, longest
        shape = (num_items + 1, max(1, longest))
        self.values = self.add_weight(
            name="values",
            shape=shape,
            dtype="int64",
            initializer=keras.initializers.Constant(-1),
            trainable=False,
            autocast=False,
        )
        self.built = True

    @property
    def is_filled(self) -> bool:
        """Whether the table was given its values; read eagerly."""
        return int(self.values[0, 0]) >= 0

    def call(self, items: tf.Tensor) -> tf.Tensor:
        return ops.take(self.values, items, axis=0)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"num_items": self.num_items, "longest": self.longest}


@keras.saving.register_keras_serializable("tfrecs")
class PooledEmbedding(keras.layers.Layer):
    """One vector for all values of an attribute: the mean, sum or maximum of their embeddings.

    Args:
        size: int, value ids are 1 to `size`; 0 is padding.
        dim: int, width.
        pooling: one of `POOLINGS`.
        token: bool, the attribute is a single token.
        mask_padding: bool, padding takes no part, and an item without values has the zero vector. NOTE: False repeats
            DIF-SR's code. `layers.py:849-858` reads row 0 for a token that is absent; `layers.py:898-903` (`max`)
            gives an item without values, PAD among them, -1e9 throughout, which takes all attention; `layers.py:910`
            (`mean`) divides by the number of values + 1e-8.
        embeddings_initializer: as for `keras.layers.Embedding`.

    Call arguments:
        values: int `[..., longest]`, padded with 0. Returns float `[..., dim]`.

    Example:
        >>> layer = PooledEmbedding(3, 2, "sum", embeddings_initializer="ones")
        >>> layer(ops.convert_to_tensor([[1, 3], [2, 0], [0, 0]])).numpy().tolist()
        [[2.0, 2.0], [1.0, 1.0], [0.0, 0.0]]

    Source: github AIM-SE/DIF-SR `recbole/model/layers.py` (`ContextSeqEmbAbstractLayer`).
    """

    def __init__(
        self,
        size: int,
        dim: int,
        pooling: str = "sum",
        token: bool = False,
        mask_padding: bool = True,
        embeddings_initializer: str | keras.initializers.Initializer = "uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.dim, self.pooling, self.token, self.mask_padding = size, dim, pooling, token, mask_padding
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embeddings = self.add_weight(
            name="embeddings", shape=(size + 1, dim), initializer=self.embeddings_initializer
        )
        self.built = True

    def call(self, values: tf.Tensor) -> tf.Tensor:
        vectors = ops.take(self.embeddings, values, axis=0)
        if self.token and not self.mask_padding:
            return vectors[..., 0, :]
        real = ops.not_equal(values, 0)
        mask = ops.cast(real, vectors.dtype)[..., None]
        if self.pooling == "max":
            lowered = vectors - (1.0 - mask) * (1e9 if vectors.dtype != "float16" else 6e4)
            largest = ops.max(lowered, axis=-2)
            if not self.mask_padding:
                return largest
            return ops.where(ops.any(real, axis=-1)[..., None], largest, ops.zeros_like(largest))
        total = ops.sum(vectors * mask, axis=-2)
        if self.pooling == "sum":
            return total
        count = ops.sum(mask, axis=-2)
        return total / (ops.maximum(count, 1.0) if self.mask_padding else count + 1e-8)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "size": self.size,
            "dim": self.dim,
            "pooling": self.pooling,
            "token": self.token,
            "mask_padding": self.mask_padding,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }


@keras.saving.register_keras_serializable("tfrecs")
class ItemTable(keras.layers.Layer):
    """Item vectors: a row for each item, plus, for each attribute, the sum of the rows of its values.

    Items with few interactions share what is learnt about their attributes.

    Args:
        num_items: int, ids are 1 to `num_items`; row 0 is PAD.
        dim: int, width.
        attribute_sizes: tuple of int, see `PooledEmbedding`; empty: an item is its own row.
        embeddings_initializer: as for `keras.layers.Embedding`.

    Call arguments:
        items: int `[...]`.
        values: list of int `[..., longest]`, the values of these items, one of each attribute, padded with 0.
        Returns float `[..., dim]`.

    Example:
        >>> ItemTable(3, 2, embeddings_initializer="ones")(ops.convert_to_tensor([1, 2])).numpy().tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        num_items: int,
        dim: int,
        attribute_sizes: Sequence[int] = (),
        embeddings_initializer: str | keras.initializers.Initializer = "uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_items, self.dim, self.attribute_sizes = num_items, dim, tuple(attribute_sizes)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

        def table(name: str, rows: int) -> keras.Variable:
            return self.add_weight(name=name, shape=(rows, dim), initializer=self.embeddings_initializer.clone())

        self.embeddings = table("embeddings", num_items + 1)
        self.extensions = [table(f"extension_{i}", size + 1) for i, size in enumerate(self.attribute_sizes)]
        self.built = True

    def call(self, items: tf.Tensor, values: Sequence[tf.Tensor] = ()) -> tf.Tensor:
        return self._extended(ops.take(self.embeddings, items, axis=0), values)

    def matrix(self, values: Sequence[tf.Tensor] = (), jit_compile: bool = False) -> tf.Tensor:
        """The vectors of all items, by sparse products: gradients included, in a third of the time.

        Args:
            values: list of int64 variables or tensors `[num_items + 1, longest]`, of all items.
            jit_compile: bool, whether XLA compiles this: it has no sparse products.

        Returns:
            float `[num_items + 1, dim]`, PAD first.
        """
        vectors = tf.convert_to_tensor(self.embeddings)
        if jit_compile:
            return self._extended(vectors, values)
        for extension, ids in zip(self.extensions, values):
            ids = tf.convert_to_tensor(ids)
            item = tf.where(ids > 0)
            value = tf.gather_nd(ids, item)
            incidence = tf.SparseTensor(
                tf.stack([item[:, 0], value], axis=1),
                tf.ones_like(value, vectors.dtype),
                [self.num_items + 1, extension.shape[0]],
            )
            vectors += tf.sparse.sparse_dense_matmul(incidence, extension.value)
        return vectors

    def _extended(self, vectors: tf.Tensor, values: Sequence[tf.Tensor]) -> tf.Tensor:
        for extension, ids in zip(self.extensions, values):
            # Value by value: all rows of all items at once would take many times the memory of the table.
            for column in range(ids.shape[-1]):
                rows = ops.take(extension, ids[..., column], axis=0)
                vectors = vectors + rows * ops.cast(ops.not_equal(ids[..., column], 0), rows.dtype)[..., None]
        return vectors

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_items": self.num_items,
            "dim": self.dim,
            "attribute_sizes": self.attribute_sizes,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }
