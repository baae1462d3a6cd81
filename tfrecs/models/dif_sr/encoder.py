"""A stack of decoupled transformer layers."""

import keras
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
        num_layers,
        dim,
        num_heads,
        attribute_dims,
        max_length,
        inner_dim,
        activation="gelu",
        fusion="gate",
        causal_fusion=True,
        additive_mask=False,
        dropout=0.0,
        attention_dropout=0.0,
        kernel_initializer="glorot_uniform",
        layer_norm_epsilon=LAYER_NORM_EPSILON,
        **kwargs,
    ):
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

    def call(self, values, attributes, mask, training=False):
        return self.layer_outputs(values, attributes, mask, training)[-1]["output"]

    def layer_outputs(self, values, attributes, mask, training=False):
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

    def get_config(self):
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return super().get_config() | self.arguments | {"kernel_initializer": initializer}
