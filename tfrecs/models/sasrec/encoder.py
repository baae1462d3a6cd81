"""Causal self-attention blocks: each position reads itself and what came before."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfrecs.layers.feed_forward import FeedForward
from tfrecs.layers.masks import masked_softmax

LAYER_NORM_EPSILON = 1e-8


@keras.saving.register_keras_serializable("tfrecs")
class CausalSelfAttention(keras.layers.Layer):
    """Multi-head self-attention over earlier positions, a residual and layer normalisation.

    With `A(q, x)` the attention of queries from q to keys and values from x, `post` is `LayerNorm(x + A(x, x))`, `pre`
    is `x + A(LayerNorm(x), LayerNorm(x))`, and `pre_residual` is `LayerNorm(x) + A(LayerNorm(x), x)`.

    Args:
        dim: int, width of input and output, a multiple of `num_heads`.
        num_heads: int.
        normalization: one of `layers.feed_forward.NORMALIZATIONS`, as above.
        output_projection: bool, heads are mixed by a dense layer, with dropout on its output.
        dropout: float in [0, 1), on the output projection's output.
        attention_dropout: float in [0, 1), on the attention weights.
        kernel_initializer: as for `keras.layers.Dense`.

    Call arguments:
        values: float `[batch, time, dim]`, left-aligned: padding stands after every real position, so that no real
            position reads it.
        training: bool.
        Returns float `[batch, time, dim]` and the attention weights `[batch, heads, time, time]` (before dropout).

    Example:
        >>> CausalSelfAttention(8, num_heads=2)(ops.ones((1, 3, 8)))[1][0, 0, 1].numpy().tolist()
        [0.5, 0.5, 0.0]

    Source: Kang and McAuley (2018), section III-B.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        normalization: str = "post",
        output_projection: bool = True,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dim, self.num_heads, self.normalization = dim, num_heads, normalization
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        policy = self.dtype_policy

        def dense(name: str) -> keras.layers.Dense:
            initializer = self.kernel_initializer.clone()
            layer = keras.layers.Dense(dim, kernel_initializer=initializer, name=name, dtype=policy)
            layer.build((None, dim))
            return layer

        self.query, self.key, self.value = dense("query"), dense("key"), dense("value")
        self.output_projection = dense("output") if output_projection else None
        self.dropout = keras.layers.Dropout(dropout, dtype=policy)
        self.attention_dropout = keras.layers.Dropout(attention_dropout, dtype=policy)
        self.norm = keras.layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name="norm", dtype=policy)
        self.norm.build((None, None, dim))
        self.built = True

    def call(self, values: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        normed = values if self.normalization == "post" else self.norm(values)
        source = values if self.normalization == "pre_residual" else normed
        query, key = self._heads(self.query(normed)), self._heads(self.key(source))
        scores = ops.matmul(query, ops.swapaxes(key, 2, 3)) / (self.dim // self.num_heads) ** 0.5
        time = ops.shape(values)[1]
        weights = masked_softmax(scores, ops.tril(ops.ones((time, time), "bool")))
        attended = ops.matmul(self.attention_dropout(weights, training=training), self._heads(self.value(source)))
        attended = ops.reshape(ops.transpose(attended, (0, 2, 1, 3)), ops.shape(values))
        if self.output_projection is not None:
            attended = self.dropout(self.output_projection(attended), training=training)
        if self.normalization == "post":
            return self.norm(attended + values), weights
        return attended + (values if self.normalization == "pre" else normed), weights

    def _heads(self, values: tf.Tensor) -> tf.Tensor:
        batch, time = ops.shape(values)[:2]
        return ops.transpose(
            ops.reshape(values, (batch, time, self.num_heads, self.dim // self.num_heads)), (0, 2, 1, 3)
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "dim": self.dim,
            "num_heads": self.num_heads,
            "normalization": self.normalization,
            "output_projection": self.output_projection is not None,
            "dropout": self.dropout.rate,
            "attention_dropout": self.attention_dropout.rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("tfrecs")
class CausalEncoder(keras.layers.Layer):
    """Dropout of the input, then blocks of `CausalSelfAttention` and `FeedForward`.

    One more layer normalisation comes before all of it with `post`, after all of it otherwise.

    Args:
        num_layers: int.
        dim, num_heads, output_projection, attention_dropout: see `CausalSelfAttention`.
        inner_dim, activation: see `FeedForward`.
        normalization, dropout, kernel_initializer: of both.
        inner_dropout: bool, dropout within the feed-forward layers too.

    Call arguments:
        values, training: see `CausalSelfAttention`.
        return_weights: bool.
        Returns float `[batch, time, dim]`; with `return_weights`, also a list of the blocks' attention weights.

    Example:
        >>> CausalEncoder(1, 8, num_heads=2, inner_dim=16)(ops.ones((1, 3, 8))).shape
        TensorShape([1, 3, 8])
    """

    def __init__(
        self,
        num_layers: int,
        dim: int,
        num_heads: int,
        inner_dim: int,
        activation: str = "gelu",
        normalization: str = "post",
        output_projection: bool = True,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        inner_dropout: bool = False,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = {
            "num_layers": num_layers,
            "dim": dim,
            "num_heads": num_heads,
            "inner_dim": inner_dim,
            "activation": activation,
            "normalization": normalization,
            "output_projection": output_projection,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "inner_dropout": inner_dropout,
        }
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.normalization = normalization
        policy, clone = self.dtype_policy, self.kernel_initializer.clone
        self.dropout = keras.layers.Dropout(dropout, dtype=policy)
        self.norm = keras.layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name="norm", dtype=policy)
        self.norm.build((None, None, dim))
        self.attentions, self.feed_forwards = [], []
        for i in range(num_layers):
            attention = CausalSelfAttention(
                dim,
                num_heads,
                normalization,
                output_projection,
                dropout,
                attention_dropout,
                clone(),
                name=f"attention_{i}",
                dtype=policy,
            )
            feed_forward = FeedForward(
                dim,
                inner_dim,
                activation,
                dropout,
                LAYER_NORM_EPSILON,
                clone(),
                normalization,
                dropout if inner_dropout else 0.0,
                name=f"feed_forward_{i}",
                dtype=policy,
            )
            self.attentions.append(attention)
            self.feed_forwards.append(feed_forward)
        self.built = True

    def call(self, values: tf.Tensor, training: bool = False, return_weights: bool = False) -> Any:
        hidden, weights = self.norm(values) if self.normalization == "post" else values, []
        hidden = self.dropout(hidden, training=training)
        for attention, feed_forward in zip(self.attentions, self.feed_forwards):
            hidden, found = attention(hidden, training=training)
            hidden = feed_forward(hidden, training=training)
            weights.append(found)
        hidden = hidden if self.normalization == "post" else self.norm(hidden)
        return (hidden, weights) if return_weights else hidden

    def get_config(self) -> dict[str, Any]:
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return super().get_config() | self.arguments | {"kernel_initializer": initializer}
