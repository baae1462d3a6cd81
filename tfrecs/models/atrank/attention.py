"""ATRank's attention over several latent spaces, as a block with residuals, normalisation and feed-forward."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfrecs.layers.masks import masked_softmax

SIMILARITIES = ("bilinear", "dot")
ACTIVATIONS = ("relu", "linear")
EPSILON = 1e-8  # below the root of layer normalisation


@keras.saving.register_keras_serializable("tfrecs")
class LatentAttentionBlock(keras.layers.Layer):
    """Attention in K latent spaces, then a feed-forward network; both with residual and layer normalisation.

    In space k the queries are `P_k(x)` and the values `V_k(s)`, of width `dim / K`; the similarities are
    `P_k(x) W_k s^T` (bilinear) or `P_k(x) K_k(s)^T / sqrt(dim / K)` (dot), and
    `C = F(concat_k softmax(similarities) V_k(s))`. The feed-forward network's hidden layer is `dim / 4` wide.

    Args:
        dim: int, width of queries and memory.
        num_spaces: int, K, which divides `dim`.
        similarity: `bilinear` (paper) or `dot`, scaled. NOTE: `dot` reproduces `model.py:320-335`.
        activation: str, of the projections.
        dropout: float in [0, 1), on the attention weights.
        output_dropout: float in [0, 1), on what attention and feed-forward add to their inputs.
        attend_padding: bool, where the whole memory is padding, all of it is attended alike. NOTE: True reproduces
            `model.py:343-349`; otherwise nothing is attended.
        kernel_initializer: as for `keras.layers.Dense`.

    Call arguments:
        x: float `[batch, queries, dim]`, or `[queries, dim]`, the same for every row.
        memory: what `memorize(s)` gave for s float `[batch, time, dim]`: encoded once, for any number of queries.
        valid: bool `[batch, time]`, which of the memory may be attended.
        queries_valid: bool `[batch, queries]` or None; queries that are False attend nothing.
        training: bool.
        Returns float `[batch, queries, dim]` and the attention weights `[batch, K, queries, time]`.

    Example:
        >>> block = LatentAttentionBlock(8, 2)
        >>> s = ops.ones((1, 3, 8))
        >>> block(s, block.memorize(s), ops.convert_to_tensor([[True, True, False]]))[1][0, 0, 0].numpy().tolist()
        [0.5, 0.5, 0.0]

    Source: ATRank (2018), sections "Self-Attention Layer" and "Downstream Application Network"; `model.py:286-439`.
    """

    def __init__(
        self,
        dim: int,
        num_spaces: int,
        similarity: str = "bilinear",
        activation: str = "relu",
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        attend_padding: bool = False,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dim, self.num_spaces, self.similarity, self.activation = dim, num_spaces, similarity, activation
        inner_dim = max(1, dim // 4)
        self.rates = {"dropout": dropout, "output_dropout": output_dropout}
        self.attend_padding = attend_padding
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.query, self.value = self._dense("query", dim, activation), self._dense("value", dim, activation)
        if similarity == "dot":
            self.key = self._dense("key", dim, activation)
        else:
            shape = (num_spaces, dim // num_spaces, dim)
            self.bilinear = self.add_weight(name="bilinear", shape=shape, initializer=self.kernel_initializer.clone())
        self.inner, self.outer = self._dense("inner", inner_dim, "relu"), self._dense("outer", dim, None)
        self.norms = [
            keras.layers.LayerNormalization(epsilon=EPSILON, name=name, dtype=self.dtype_policy)
            for name in ("attention_norm", "feed_forward_norm")
        ]
        self.weights_dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.output_dropout = keras.layers.Dropout(output_dropout, dtype=self.dtype_policy)
        for layer in (self.query, self.value, *([self.key] if similarity == "dot" else ()), self.inner, *self.norms):
            layer.build((None, dim))
        self.outer.build((None, inner_dim))
        self.built = True

    def _dense(self, name: str, dim: int, activation: str | None) -> keras.layers.Dense:
        return keras.layers.Dense(
            dim,
            activation,
            name=name,
            dtype=self.dtype_policy,
            kernel_initializer=self.kernel_initializer.clone(),
        )

    def memorize(self, s: tf.Tensor) -> dict[str, tf.Tensor]:
        """What queries are compared with and what they read: nest of `[batch, ...]` tensors, for `call`."""
        if self.similarity == "dot":
            keys = self._split(self.key(s)) / (self.dim // self.num_spaces) ** 0.5
        else:  # W_k s, once: a query then meets keys of width dim / K, not of width dim
            keys = ops.einsum("kde,bte->btkd", *(ops.cast(part, self.compute_dtype) for part in (self.bilinear, s)))
        return {"keys": keys, "values": self._split(self.value(s))}

    def call(
        self,
        x: tf.Tensor,
        memory: Mapping[str, tf.Tensor],
        valid: tf.Tensor,
        queries_valid: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        x = ops.convert_to_tensor(x, dtype=self.compute_dtype)
        query, axes = self._split(self.query(x)), "bqkd" if len(x.shape) == 3 else "qkd"
        scores = ops.einsum(f"{axes},btkd->bkqt", query, memory["keys"])
        mask = valid[:, None, None, :]
        if self.attend_padding:
            some = ops.any(mask, axis=-1, keepdims=True)
            scores, mask = ops.where(some, scores, ops.zeros_like(scores)), ops.logical_or(mask, ops.logical_not(some))
        weights = masked_softmax(scores, mask)
        if queries_valid is not None:
            weights *= ops.cast(queries_valid, weights.dtype)[:, None, :, None]
        read = ops.einsum("bkqt,btkd->bqkd", self.weights_dropout(weights, training=training), memory["values"])
        read = ops.reshape(read, (*ops.shape(read)[:2], self.dim))
        x = self.norms[0](x + self.output_dropout(read, training=training))
        return self.norms[1](x + self.output_dropout(self.outer(self.inner(x)), training=training)), weights

    def _split(self, projected: tf.Tensor) -> tf.Tensor:
        return ops.reshape(projected, (*ops.shape(projected)[:-1], self.num_spaces, self.dim // self.num_spaces))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "dim": self.dim,
            "num_spaces": self.num_spaces,
            "similarity": self.similarity,
            "activation": self.activation,
            **self.rates,
            "attend_padding": self.attend_padding,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
