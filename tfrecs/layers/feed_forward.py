"""Position-wise feed-forward networks."""

import keras
from keras import ops

ACTIVATIONS = ("gelu", "relu", "swish", "tanh", "sigmoid")


@keras.saving.register_keras_serializable("tfrecs")
class FeedForward(keras.layers.Layer):
    """Two dense layers with an activation between, a residual and layer normalisation.

    `LayerNorm(x + dropout(W_2 f(W_1 x + b_1) + b_2))`.

    Args:
        dim: int, width of input and output.
        inner_dim: int, width between.
        activation: one of `ACTIVATIONS`; `gelu` is the exact one, with the error function.
        dropout: float in [0, 1), on the output of the second layer.
        epsilon: float, the layer normalisation's.
        kernel_initializer: as for `keras.layers.Dense`.

    Call arguments:
        values: float `[..., dim]`. training: bool. Returns float, same shape.

    Example:
        >>> FeedForward(4, 8)(ops.ones((2, 3, 4))).shape
        TensorShape([2, 3, 4])

    Source: Vaswani et al. (2017), section 3.3; github AIM-SE/DIF-SR `recbole/model/layers.py` (`FeedForward`).
    """

    def __init__(
        self,
        dim,
        inner_dim,
        activation="gelu",
        dropout=0.0,
        epsilon=1e-12,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim, self.inner_dim, self.activation, self.epsilon = dim, inner_dim, activation, epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        initializers = [self.kernel_initializer.clone() for _ in range(2)]
        policy = self.dtype_policy
        self.inner = keras.layers.Dense(inner_dim, kernel_initializer=initializers[0], name="inner", dtype=policy)
        self.outer = keras.layers.Dense(dim, kernel_initializer=initializers[1], name="outer", dtype=policy)
        self.dropout = keras.layers.Dropout(dropout, dtype=policy)
        self.norm = keras.layers.LayerNormalization(epsilon=epsilon, name="norm", dtype=policy)
        self.inner.build((None, dim))
        self.outer.build((None, inner_dim))
        self.norm.build((None, dim))
        self.built = True

    def call(self, values, training=False):
        hidden = self.inner(values)
        hidden = (
            ops.gelu(hidden, approximate=False) if self.activation == "gelu" else _function(self.activation)(hidden)
        )
        return self.norm(self.dropout(self.outer(hidden), training=training) + values)

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "inner_dim": self.inner_dim,
            "activation": self.activation,
            "dropout": self.dropout.rate,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def _function(name):
    return {"relu": ops.relu, "swish": ops.silu, "tanh": ops.tanh, "sigmoid": ops.sigmoid}[name]
