"""Embedding tables whose rows stay in the unit ball, and the sinusoidal time signal."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

BOUNDS = ("constraint", "lookup")


def clip_norm(vectors: tf.Tensor, max_norm: float) -> tf.Tensor:
    """Scales vectors longer than `max_norm` back onto the ball; shorter ones are untouched.

    Args:
        vectors: float `[..., dim]`.
        max_norm: float, in the vectors' unit.

    Returns:
        float, same shape; the gradient at the zero vector is finite.

    Example:
        >>> clip_norm([[3.0, 4.0], [0.0, 0.5]], 1.0).numpy().astype(float).round(3).tolist()
        [[0.6, 0.8], [0.0, 0.5]]
    """
    vectors = ops.convert_to_tensor(vectors)
    squared = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    # At equality too, where only the gradient differs: TensorFlow 1's clip_by_norm counts it as clipped.
    longer = squared >= max_norm * max_norm
    norm = ops.sqrt(ops.where(longer, squared, ops.ones_like(squared)))
    return vectors * ops.where(longer, max_norm / norm, ops.ones_like(norm))


def unit_norm(vectors: tf.Tensor, epsilon: float = 1e-12) -> tf.Tensor:
    """Vectors scaled to length 1; `epsilon` bounds the squared norm from below, as TF 1's l2_normalize."""
    squared = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squared, epsilon))


@keras.saving.register_keras_serializable("tfrecs")
class RowNorm(keras.constraints.Constraint):
    """Constraint: every row of a table stays within the unit ball, after each update."""

    acts_on_rows = True  # of each row by itself, which `optimizers.LazyAdam` asks for

    def __call__(self, table: tf.Tensor) -> tf.Tensor:
        return clip_norm(table, 1.0)


@keras.saving.register_keras_serializable("tfrecs")
class BoundedEmbedding(keras.layers.Layer):
    """An embedding table whose rows stay in the unit ball.

    Args:
        rows: int, ids are 0 to `rows - 1`; row 0 is PAD.
        dim: int, width.
        bound: `constraint`, the stored rows are projected when they are made and after each update (the paper); or
            `lookup`, stored rows grow freely and are clipped when read.
        embeddings_initializer: as for `keras.layers.Embedding`.

    Call arguments:
        ids: int `[...]`. Returns float `[..., dim]`.

    Example:
        >>> BoundedEmbedding(5, 4)(ops.convert_to_tensor([[1, 2, 0]])).shape
        TensorShape([1, 3, 4])

    Source: AttRec (2018), section "Model Learning": norms clipped to the unit ball.
    """

    def __init__(
        self,
        rows: int,
        dim: int,
        bound: str = "constraint",
        embeddings_initializer: str | keras.initializers.Initializer = "he_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rows, self.dim, self.bound = rows, dim, bound
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        constrained = bound == "constraint"
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(rows, dim),
            initializer=self._initial if constrained else self.embeddings_initializer,
            # Every replica projects to the same value; TensorFlow asks how to merge them.
            aggregation="only_first_replica",
            constraint=RowNorm() if constrained else None,
        )
        self.built = True

    def _initial(self, shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
        """Initial rows within the ball: few rows are drawn wide, and the constraint acts after updates only."""
        return clip_norm(self.embeddings_initializer(shape, dtype), 1.0)

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        return self.read(self.stored(ids))

    def stored(self, ids: tf.Tensor) -> tf.Tensor:
        """Rows as they are stored; the rest of the table is not read."""
        return tf.gather(self.embeddings.value, ids)

    def read(self, vectors: tf.Tensor) -> tf.Tensor:
        """Applies the bound to rows already gathered."""
        return clip_norm(vectors, 1.0) if self.bound == "lookup" else vectors

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "rows": self.rows,
            "dim": self.dim,
            "bound": self.bound,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }


def time_signal(length: int, dim: int, exponent: float = 1.0) -> np.ndarray:
    """Sinusoidal position signal.

    `TE(t, 2i) = sin(t / 10000^(exponent * 2i / dim))` and `TE(t, 2i + 1) = cos` of the same.

    Args:
        length: int, number of positions.
        dim: int, width.
        exponent: float, 1.0 is the paper's.

    Returns:
        float32 array `[length, dim]`.

    Example:
        >>> time_signal(2, 2).astype(float).round(4).tolist()
        [[0.0, 1.0], [0.8415, 0.5403]]

    Source: AttRec (2018), equations 8 and 9. NOTE: `model_AttRec.py:130` has twice the exponent.
    """
    even = np.arange(dim) // 2 * 2
    with np.errstate(over="ignore"):  # the angle is 0, then, as in the limit
        angle = np.arange(length)[:, None] / np.power(10000.0, exponent * even / dim)
    return np.where(np.arange(dim) % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)
