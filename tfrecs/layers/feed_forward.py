"""Position-wise feed-forward networks."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

ACTIVATIONS = ("gelu", "relu", "swish", "tanh", "sigmoid")
NORMALIZATIONS = ("post", "pre", "pre_residual")


@keras.saving.register_keras_serializable("tfrecs")
class FeedForward(keras.layers.Layer):
    """Two dense layers with an activation between, a residual and layer normalisation.

    With `F(x) = dropout(W_2 f(W_1 x + b_1) + b_2)`, `post` is `LayerNorm(x + F(x))`, `pre` is `x + F(LayerNorm(x))` and
    `pre_residual` is `LayerNorm(x) + F(LayerNorm(x))`.

    Args:
        dim: int, width of input and output.
        inner_dim: int, width between.
        activation: one of `ACTIVATIONS`; `gelu` is the exact one, with the error function.
        dropout: float in [0, 1), on the output of the second layer.
        epsilon: float, the layer normalisation's.
        kernel_initializer: as for `keras.layers.Dense`.
        normalization: one of `NORMALIZATIONS`, where the layer normalisation stands, as above.
        inner_dropout: float in [0, 1), on the output of the activation.

    Call arguments:
        values: float `[..., dim]`. training: bool. Returns float, same shape.

    Example:
        >>> FeedForward(4, 8)(ops.ones((2, 3, 4))).shape
        TensorShape([2, 3, 4])

    Source: Vaswani et al. (2017), section 3.3; github AIM-SE/DIF-SR `recbole/model/layers.py` (`FeedForward`).
    """

    def __init__(
        self,
        dim: int,
        inner_dim: int,
        activation: str = "gelu",
        dropout: float = 0.0,
        epsilon: float = 1e-12,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        normalization: str = "post",
        inner_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dim, self.inner_dim, self.activation, self.epsilon = dim, inner_dim, activation, epsilon
        self.normalization = normalization
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        initializers = [self.kernel_initializer.clone() for _ in range(2)]
        policy = self.dtype_policy
        self.inner = keras.layers.Dense(inner_dim, kernel_initializer=initializers[0], name="inner", dtype=policy)
        self.outer = keras.layers.Dense(dim, kernel_initializer=initializers[1], name="outer", dtype=policy)
        self.dropout = keras.layers.Dropout(dropout, dtype=policy)
        self.inner_dropout = keras.layers.Dropout(inner_dropout, dtype=policy)
        self.norm = keras.layers.LayerNormalization(epsilon=epsilon, name="norm", dtype=policy)
        self.inner.build((None, dim))
        self.outer.build((None, inner_dim))
        self.norm.build((None, dim))
        self.built = True

    def call(self, values: tf.Tensor, training: bool = False) -> tf.Tensor:
        source = values if self.normalization == "post" else self.norm(values)
        hidden = self.inner(source)
        hidden = (
            ops.gelu(hidden, approximate=False) if self.activation == "gelu" else _function(self.activation)(hidden)
        )
        hidden = self.outer(self.inner_dropout(hidden, training=training))
        hidden = self.dropout(hidden, training=training)
        if self.normalization == "post":
            return self.norm(hidden + values)
        return hidden + (values if self.normalization == "pre" else source)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "dim": self.dim,
            "inner_dim": self.inner_dim,
            "activation": self.activation,
            "dropout": self.dropout.rate,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "normalization": self.normalization,
            "inner_dropout": self.inner_dropout.rate,
        }


def _function(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    return {"relu": ops.relu, "swish": ops.silu, "tanh": ops.tanh, "sigmoid": ops.sigmoid}[name]
