"""Decoupled attention: items, positions and side information each give scores, only items give values."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

FUSIONS = ("sum", "concat", "gate")
LAYER_NORM_EPSILON = 1e-12


@keras.saving.register_keras_serializable("tfrecs")
class DecoupledAttention(keras.layers.Layer):
    """Multi-head self-attention with side information in the scores alone, a residual and layer normalisation.

    `LayerNorm(x + dropout(dense(softmax(fuse(S_1, ..., S_F, S_item, S_position) / sqrt(dim / heads)) V)))` with
    `S = Q K^T` of each source and V of the items.

    Args:
        dim: int, width of items and positions, a multiple of `num_heads`.
        num_heads: int.
        attribute_dims: tuple of int, width of each attribute, at least `num_heads`; a head takes
            `attribute_dim // num_heads` of it.
        max_length: int, see `ScoreFusion`.
        fusion: `sum`, `concat` or `gate`, see `ScoreFusion`.
        causal_fusion: bool, see `ScoreFusion`.
        additive_mask: bool, a masked score is lowered by 10000. NOTE: True reproduces DIF-SR's `sasrecd.py:138`, which
            a score beyond that outweighs. False: a masked key gets no weight, whatever its score.
        dropout: float in [0, 1), on the output.
        attention_dropout: float in [0, 1), on the attention weights.
        kernel_initializer: as for `keras.layers.Dense`.

    Call arguments:
        values: float `[batch, time, dim]`.
        attributes: list of float `[batch, time, attribute_dim]`, one of each attribute.
        positions: float `[time, dim]`.
        mask: bool, broadcastable to `[batch, heads, time (query), time (key)]`; a query has a key.
        training: bool.
        Returns float `[batch, time, dim]`, the attention weights `[batch, heads, time, time]` (before dropout) and
        the gate's, see `ScoreFusion`.

    Example:
        >>> layer = DecoupledAttention(8, num_heads=2, attribute_dims=(4,), max_length=5)
        >>> mask = ops.tril(ops.ones((3, 3), "bool"))
        >>> layer(ops.ones((1, 3, 8)), [ops.ones((1, 3, 4))], ops.ones((3, 8)), mask)[1][0, 0, 1].numpy().tolist()
        [0.5, 0.5, 0.0]

    Source: DIF-SR (2022), section 3.3, equations 6 to 9; github AIM-SE/DIF-SR `recbole/model/layers.py`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        attribute_dims: Sequence[int],
        max_length: int,
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
        self.dim, self.num_heads, self.attribute_dims = dim, num_heads, tuple(attribute_dims)
        self.max_length, self.additive_mask = max_length, additive_mask
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        policy = self.dtype_policy

        def dense(name: str, width: int, units: int) -> keras.layers.Dense:
            initializer = self.kernel_initializer.clone()
            layer = keras.layers.Dense(units, kernel_initializer=initializer, name=name, dtype=policy)
            layer.build((None, width))
            return layer

        names = ("query", "key", "value", "position_query", "position_key", "output")
        self.projections = {name: dense(name, dim, dim) for name in names}
        widths = [width // num_heads * num_heads for width in self.attribute_dims]
        for part in ("query", "key"):
            for i, width in enumerate(self.attribute_dims):
                self.projections[f"attribute_{part}_{i}"] = dense(f"attribute_{part}_{i}", width, widths[i])
        self.fusion = ScoreFusion(
            fusion,
            len(self.attribute_dims) + 2,
            max_length,
            causal_fusion,
            self.kernel_initializer.clone(),
            name="fusion",
            dtype=policy,
        )
        self.dropout = keras.layers.Dropout(dropout, dtype=policy)
        self.attention_dropout = keras.layers.Dropout(attention_dropout, dtype=policy)
        self.norm = keras.layers.LayerNormalization(epsilon=layer_norm_epsilon, name="norm", dtype=policy)
        self.norm.build((None, None, dim))
        self.built = True

    def call(
        self,
        values: tf.Tensor,
        attributes: Sequence[tf.Tensor],
        positions: tf.Tensor,
        mask: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        sources = [
            (self._heads(f"attribute_query_{i}", attribute), self._heads(f"attribute_key_{i}", attribute))
            for i, attribute in enumerate(attributes)
        ]
        sources.append((self._heads("query", values), self._heads("key", values)))
        # A sum of products is one product of the concatenated parts, except for the last digit. That digit decides
        # between keys whose scores the additive mask is too small for.
        if self.fusion.kind == "sum" and not self.additive_mask:
            sources = [tuple(ops.concatenate(part, axis=-1) for part in zip(*sources))]
        positions = ops.cast(positions, values.dtype)[None]
        sources.append((self._heads("position_query", positions), self._heads("position_key", positions)))
        scores = [ops.matmul(query, ops.swapaxes(key, 2, 3)) for query, key in sources]
        fused, gates = self.fusion(scores, mask)
        fused = fused / (self.dim // self.num_heads) ** 0.5
        if self.additive_mask:
            fused = fused + ops.where(mask, ops.zeros((), fused.dtype), ops.cast(-1e4, fused.dtype))
        else:
            fused = ops.where(mask, fused, ops.cast(-1e9 if fused.dtype != "float16" else -6e4, fused.dtype))
        weights = ops.softmax(fused, axis=-1)
        attended = ops.matmul(self.attention_dropout(weights, training=training), self._heads("value", values))
        attended = ops.reshape(ops.transpose(attended, (0, 2, 1, 3)), ops.shape(values))
        output = self.dropout(self.projections["output"](attended), training=training)
        return self.norm(output + values), weights, gates

    def _heads(self, name: str, values: tf.Tensor) -> tf.Tensor:
        projected = self.projections[name](values)
        batch, time = ops.shape(values)[:2]
        return ops.transpose(
            ops.reshape(projected, (batch, time, self.num_heads, projected.shape[-1] // self.num_heads)), (0, 2, 1, 3)
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "dim": self.dim,
            "num_heads": self.num_heads,
            "attribute_dims": self.attribute_dims,
            "max_length": self.max_length,
            "fusion": self.fusion.kind,
            "causal_fusion": self.fusion.causal,
            "additive_mask": self.additive_mask,
            "dropout": self.dropout.rate,
            "attention_dropout": self.attention_dropout.rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "layer_norm_epsilon": self.norm.epsilon,
        }


@keras.saving.register_keras_serializable("tfrecs")
class ScoreFusion(keras.layers.Layer):
    """One score per query and key out of one per source.

    - `sum`: adds them.
    - `concat`: a linear map of all sources' scores of a query, laid side by side, to one score per key.
    - `gate`: a weighted mean; the weights come from a small network that reads a source's scores of all keys.

    `concat` and `gate` know keys by their slot, so they are made for at most `max_length` of them.

    Args:
        kind: one of `FUSIONS`.
        num_sources: int.
        max_length: int, keys at most.
        causal: bool, a query's fused scores depend on keys that it may attend to only: the others' scores are set
            to 0 beforehand. NOTE: False reproduces DIF-SR's `layers.py:495-504`, where the mask comes after the fusion:
            scores of later items and of padding change what a query attends to.
        kernel_initializer: as for `keras.layers.Dense`.

    Call arguments:
        scores: list of `num_sources` float `[batch or 1, heads, time (query), time (key)]`.
        mask: bool, broadcastable to that, the keys a query may attend to.
        Returns the fused scores, and the gate's weights `[batch, heads, time, sources]` or None.

    Example:
        >>> layer = ScoreFusion("gate", num_sources=2, max_length=5)
        >>> scores, weights = layer([ops.ones((1, 1, 3, 3)), ops.zeros((1, 1, 3, 3))], ops.ones((3, 3), "bool"))
        >>> scores.shape, weights.shape
        (TensorShape([1, 1, 3, 3]), TensorShape([1, 1, 3, 2]))

    Source: DIF-SR (2022), section 3.3.2, equations 8 and 9; github AIM-SE/DIF-SR `recbole/model/layers.py`.
    """

    def __init__(
        self,
        kind: str,
        num_sources: int,
        max_length: int,
        causal: bool = True,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind, self.num_sources, self.max_length, self.causal = kind, num_sources, max_length, causal
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

        def weight(name: str, *shape: int) -> keras.Variable:
            initializer = self.kernel_initializer.clone() if len(shape) == 2 else "zeros"
            return self.add_weight(name=name, shape=shape, initializer=initializer)

        if kind == "concat":
            self.kernel = weight("kernel", num_sources * max_length, max_length)
            self.bias = weight("bias", max_length)
        elif kind == "gate":
            self.kernel, self.bias = weight("kernel", max_length, max_length), weight("bias", max_length)
            self.energy_kernel, self.energy_bias = weight("energy_kernel", max_length, 1), weight("energy_bias", 1)
        self.built = True

    def call(self, scores: Sequence[tf.Tensor], mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self.kind == "sum":
            return sum(scores[1:], scores[0]), None
        if self.causal:
            scores = [score * ops.cast(mask, score.dtype) for score in scores]
        keys = ops.shape(scores[0])[-1]
        if self.kind == "concat":
            parts = [self.kernel[i * self.max_length :][:keys, :keys] for i in range(self.num_sources)]
            return sum(ops.matmul(score, part) for score, part in zip(scores, parts)) + self.bias[:keys], None
        energies = [self._energy(score, self.kernel[:keys]) for score in scores]
        # Positions are the same for every row: their part is of batch size 1 until here.
        everywhere = sum(ops.zeros_like(energy) for energy in energies)
        weights = ops.softmax(ops.concatenate([energy + everywhere for energy in energies], axis=-1), axis=-1)
        return sum(score * weights[..., i : i + 1] for i, score in enumerate(scores)), weights

    def _energy(self, score: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        hidden = ops.relu(ops.matmul(score, kernel) + self.bias)
        return ops.matmul(hidden, self.energy_kernel) + self.energy_bias

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "kind": self.kind,
            "num_sources": self.num_sources,
            "max_length": self.max_length,
            "causal": self.causal,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
