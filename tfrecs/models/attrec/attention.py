"""AttRec's self-attention, and the mask that keeps a position from attending to itself."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfrecs.layers.masks import masked_softmax

DIAGONALS = ("masked", "zeroed")


@keras.saving.register_keras_serializable("tfrecs")
class IdentityValueAttention(keras.layers.Layer):
    """AttRec's self-attention: ReLU projections for query and key, the input itself as value.

    `s = softmax(Q K^T / sqrt(dim))` with the diagonal left out, `a = s X`, where
    `Q = relu((X + TE) W_Q)` and `K = relu((X + TE) W_K)`.

    Args:
        dim: int, width of input and output.
        shared_projection: bool, `W_Q = W_K` (paper, below equation 3).
        diagonal: `masked`, left out before the softmax (paper); or `zeroed`, its scores are set to 0 and still
            get weight. NOTE: `model_AttRec.py:93-97`.
        mask_padding: bool, padded keys get no weight. NOTE: False reproduces `model_AttRec.py`, which attends them.
        dropout: float in [0, 1), on the projections.
        kernel_initializer: str, as for `keras.layers.Dense`.

    Call arguments:
        values: float `[batch, time, dim]`, X; zero where padded.
        signal: float `[time, dim]`, TE, added to queries and keys only.
        valid: bool `[batch, time]`.
        training: bool.
        Returns float `[batch, time, dim]` and the attention weights `[batch, time, time]`.

    Example:
        >>> layer = IdentityValueAttention(4)
        >>> x = ops.ones((1, 3, 4))
        >>> layer(x, ops.zeros((3, 4)), ops.ones((1, 3), "bool"))[1][0, 0].numpy().tolist()
        [0.0, 0.5, 0.5]

    Source: AttRec (2018), section "Self-Attentive Metric Learning", equations 2 to 6.
    """

    def __init__(
        self,
        dim: int,
        shared_projection: bool = True,
        diagonal: str = "masked",
        mask_padding: bool = True,
        dropout: float = 0.0,
        kernel_initializer: str | keras.initializers.Initializer = "he_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dim, self.shared_projection, self.diagonal = dim, shared_projection, diagonal
        self.mask_padding, self.rate = mask_padding, dropout
        self.kernel_initializer = kernel_initializer
        names = ["projection"] if shared_projection else ["query", "key"]
        self.projections = [
            keras.layers.Dense(
                dim, "relu", use_bias=False, name=name, dtype=self.dtype_policy, kernel_initializer=kernel_initializer
            )
            for name in names
        ]
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        for projection in self.projections:
            projection.build((None, dim))
        self.built = True

    def call(
        self, values: tf.Tensor, signal: tf.Tensor, valid: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        located = values + ops.cast(signal, values.dtype)
        projected = [projection(located) for projection in self.projections]
        query, key, scale = projected[0], projected[-1], self.dim**-0.5
        if training and self.rate:
            drawn = [self.dropout.seed_generator.next() for _ in range(2)]
            masks, share = zip(*(kept(values, self.rate, seed) for values, seed in zip((query, key), drawn)))
            query, key, scale = query * masks[0], key * masks[1], scale / share[0] ** 2
        scores = tf.matmul(query, key, transpose_b=True) * scale
        keys = valid if self.mask_padding else ops.ones_like(valid)
        if self.diagonal == "masked":
            weights = masked_softmax(scores, off_diagonal_mask(keys))
        else:
            scores *= 1 - ops.eye(ops.shape(scores)[1], dtype=scores.dtype)
            weights = masked_softmax(scores, keys[:, None, :])
        return ops.matmul(weights, values), weights

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "dim": self.dim,
            "shared_projection": self.shared_projection,
            "diagonal": self.diagonal,
            "mask_padding": self.mask_padding,
            "dropout": self.rate,
            "kernel_initializer": self.kernel_initializer,
        }


def kept(values: tf.Tensor, rate: float, seed: tf.Tensor) -> tuple[tf.Tensor, float]:
    """What dropout keeps, by 16 random bits an entry: drawing numbers takes longer than anything else a step does.

    Args:
        values: float `[..., dim]`, whose shape and type count.
        rate: float in [0, 1), what is dropped.
        seed: int tensor `[2]`.

    Returns:
        `values`' type and shape, of 0 and 1; and the exact share of what is kept, `rate` being rounded to 16 bits.

    Example:
        >>> mask, share = kept(ops.ones((100, 100)), 0.25, [1, 2])
        >>> share, abs(float(ops.mean(mask)) - share) < 0.02
        (0.75, True)
    """
    dropped = min(round(rate * 2**16), 2**16 - 1)
    *rows, dim = tf.unstack(tf.shape(values))
    bits = tf.random.stateless_uniform([*rows, (dim + 1) // 2], tf.cast(seed, tf.int32), None, None, tf.int32)
    numbers = tf.reshape(tf.bitcast(bits, tf.int16), [*rows, -1])
    if values.shape[-1] % 2:
        numbers = numbers[..., :dim]
    return tf.cast(numbers >= dropped - 2**15, values.dtype), 1 - dropped / 2**16


def off_diagonal_mask(valid: tf.Tensor) -> tf.Tensor:
    """Each position may use every other valid position; itself only where there is no other.

    Without the exception a history of one item would have nothing to attend to.

    Args:
        valid: bool `[batch, time]`.

    Returns:
        bool `[batch, time (query), time (key)]`; no row of a valid query is all False.

    Example:
        >>> off_diagonal_mask(ops.convert_to_tensor([[True, False]])).numpy().tolist()
        [[[True, False], [True, False]]]
    """
    same = ops.eye(ops.shape(valid)[1], dtype="bool")[None]
    alone = (ops.sum(ops.cast(valid, "int32"), axis=1) <= 1)[:, None, None]
    return ops.logical_and(valid[:, None, :], ops.logical_or(ops.logical_not(same), alone))
