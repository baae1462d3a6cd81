"""Item vectors: an item's own, concatenated with those of its attributes."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfrecs.layers.attributes import AttributeTable, PooledEmbedding


@keras.saving.register_keras_serializable("tfrecs")
class ObjectEmbedding(keras.layers.Layer):
    """An item's own vector, concatenated with the mean vector of each of its attributes; shared by all behaviours.

    Args:
        num_items: int, ids are 1 to `num_items`; 0 is PAD.
        dim: int, width of an item's own vector.
        attribute_sizes: tuple of int, values of each attribute; ids from 1, 0 is padding.
        attribute_lengths: tuple of int, values of an item at most; 0 for an attribute that is a single token.
        attribute_dim: int, width of an attribute's vector.
        embeddings_initializer: as for `keras.layers.Embedding`.

    Attributes:
        tables: list of `AttributeTable`, which values each item has.

    Call arguments:
        items: int `[...]`. Returns float `[..., width]`; an attribute that an item lacks is zeros.

    Example:
        >>> layer = ObjectEmbedding(5, 4, (7,), (2,), 3)
        >>> _ = layer.tables[0].values.assign([[0, 0]] * 6)
        >>> layer(ops.convert_to_tensor([[1, 2]]))[0, 0, 4:].numpy().tolist()
        [0.0, 0.0, 0.0]

    Source: ATRank (2018), section "Raw Feature Spaces"; `model.py:59-68`, one category for each item.
    """

    def __init__(
        self,
        num_items: int,
        dim: int,
        attribute_sizes: Sequence[int] = (),
        attribute_lengths: Sequence[int] = (),
        attribute_dim: int = 64,
        embeddings_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_items, self.dim, self.attribute_dim = num_items, dim, attribute_dim
        self.attribute_sizes, self.attribute_lengths = tuple(attribute_sizes), tuple(attribute_lengths)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.width = dim + len(self.attribute_sizes) * attribute_dim
        self.items = self.add_weight(
            name="items", shape=(num_items + 1, dim), initializer=self.embeddings_initializer.clone()
        )
        self.tables = [
            AttributeTable(num_items, longest, name=f"table_{index}")
            for index, longest in enumerate(self.attribute_lengths)
        ]
        self.attributes = [
            PooledEmbedding(
                size,
                attribute_dim,
                "mean",
                embeddings_initializer=self.embeddings_initializer.clone(),
                name=f"attribute_{index}",
                dtype=self.dtype_policy,
            )
            for index, size in enumerate(self.attribute_sizes)
        ]
        self.built = True

    def call(self, items: tf.Tensor) -> tf.Tensor:
        own = ops.take(self.items, items, axis=0)
        pooled = [embedding(table(items)) for embedding, table in zip(self.attributes, self.tables)]
        return ops.concatenate([own, *pooled], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_items": self.num_items,
            "dim": self.dim,
            "attribute_sizes": self.attribute_sizes,
            "attribute_lengths": self.attribute_lengths,
            "attribute_dim": self.attribute_dim,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }
