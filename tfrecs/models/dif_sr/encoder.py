"""A stack of decoupled transformer layers."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfrecs.layers.feed_forward import FeedForward
from tfrecs.models.dif_sr.attention import LAYER_NORM_EPSILON, DecoupledAttention


@keras.saving.register_keras_serializable("tfrecs")
class DecoupledEncoder(keras.layers.Layer):
    """Layer normalisation and dropout of the items, then layers of `DecoupledAttention` and `FeedForward`.

    Args:
        num_layers: int.
        dim, num_heads, attribute_dims, max_length, fusion, causal_fusion, additive_mask, dropout, attention_dropout,
            kernel_initializer: see `DecoupledAttention`; `kernel_initializer` also that of positions.
        inner_dim, activation: see `FeedForward`.
        layer_norm_epsilon: float, that of every layer normalisation.

    Call arguments:
        values: float `[batch, time, dim]`, `time` at most `max_length`.
        attributes: list of float `[batch, time, attribute_dim]`, one of each attribute.
        mask: bool, broadcastable to `[batch, heads, time (query), time (key)]`.
        training: bool.
        Returns float `[batch, time, dim]`.

    Example:
        >>> encoder = DecoupledEncoder(1, 8, num_heads=2, attribute_dims=(), max_length=5, inner_dim=16)
        >>> encoder(ops.ones((1, 3, 8)), [], ops.tril(ops.ones((3, 3), "bool"))).shape
        TensorShape([1, 3, 8])

    Source: DIF-SR (2022), section 3.3; github AIM-SE/DIF-SR `recbole/model/layers.py` (`DIFTransformerEncoder`).
    """

    def __init__(
        self,
        num_layers: int,
        dim: int,
        num_heads: int,
        attribute_dims: Sequence[int],
        max_length: int,
        inner_dim: int,
        activation: str = "gelu",
        fusion: str = "gate",
        causal_fusion: bool = True,
        additive_mask: bool = False,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        layer_norm_epsilon: float = LAYER_NORM_EPSILON,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = {
            "num_layers": num_layers,
            "dim": dim,
            "num_heads": num_heads,
            "attribute_dims": tuple(attribute_dims),
            "max_length": max_length,
            "inner_dim": inner_dim,
            "activation": activation,
            "fusion": fusion,
            "causal_fusion": causal_fusion,
            "additive_mask": additive_mask,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "layer_norm_epsilon": layer_norm_epsilon,
        }
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        policy, clone = self.dtype_policy, self.kernel_initializer.clone
        self.positions = self.add_weight(name="positions", shape=(max_length, dim), initializer=clone())
        self.norm = keras.layers.LayerNormalization(epsilon=layer_norm_epsilon, name="norm", dtype=policy)
        self.norm.build((None, None, dim))
        self.dropout = keras.layers.Dropout(dropout, dtype=policy)
        self.attentions, self.feed_forwards = [], []
        for i in range(num_layers):
            attention = DecoupledAttention(
                dim,
                num_heads,
                attribute_dims,
                max_length,
                fusion,
                causal_fusion,
                additive_mask,
                dropout,
                attention_dropout,
                clone(),
                layer_norm_epsilon,
                name=f"attention_{i}",
                dtype=policy,
            )
            self.attentions.append(attention)
            self.feed_forwards.append(
                FeedForward(
                    dim,
                    inner_dim,
                    activation,
                    dropout,
                    layer_norm_epsilon,
                    clone(),
                    name=f"feed_forward_{i}",
                    dtype=policy,
                )
            )
        self.built = True

    def call(
        self, values: tf.Tensor, attributes: Sequence[tf.Tensor], mask: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        return self.layer_outputs(values, attributes, mask, training)[-1]["output"]

    def layer_outputs(
        self, values: tf.Tensor, attributes: Sequence[tf.Tensor], mask: tf.Tensor, training: bool = False
    ) -> list[dict[str, tf.Tensor]]:
        """What each layer gives, in order.

        Returns:
            list of dicts: `attended` and `output` float `[batch, time, dim]`, `weights` and `gates` as from
            `DecoupledAttention`.
        """
        hidden = self.dropout(self.norm(values), training=training)
        positions = self.positions[: ops.shape(values)[1]]
        found = []
        for attention, feed_forward in zip(self.attentions, self.feed_forwards):
            attended, weights, gates = attention(hidden, attributes, positions, mask, training=training)
            hidden = feed_forward(attended, training=training)
            found.append({"attended": attended, "output": hidden, "weights": weights, "gates": gates})
        return found

    def get_config(self) -> dict[str, Any]:
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return super().get_config() | self.arguments | {"kernel_initializer": initializer}
