"""How much each neighbour of an item counts for one user."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

MASKED, LOWEST_OF_FLOAT16 = -1e9, -6e4  # the first as the original's; also in reach of bfloat16


@keras.saving.register_keras_serializable("tfrecs")
class NeighbourAttention(keras.layers.Layer):
    """ARERec's attention from the target user (query) to the neighbours (keys); values are not summed.

    With `q` the user's and `e_s` the neighbours' embeddings, per head h of width `dim / num_heads`:
    `a_hs = softmax_s((q W_Q + b_Q)_h (e_s W_K + b_K)_h / sqrt(width))`,
    `n_s = concat_h(a_hs (e_s W_V + b_V)_h) W_C + b_C`.

    NOTE: the weighted values are not summed over neighbours (`model.py:165`): the region embedding needs one vector
    per neighbour, so a weight scales its own neighbour only.

    Args:
        dim: int, width of input and output, a multiple of `num_heads`.
        num_heads: int.
        l2: four floats, weights of the squared kernels of query, key, value and concat.

    The layer is used in pieces: `probe` once per user, `attend` per list of neighbours, `combine` where vectors are
    needed, or `values` where one neighbour serves many users.

    Example:
        >>> layer = NeighbourAttention(4)
        >>> probe = layer.probe(ops.ones((1, 4)))
        >>> layer.attend(probe, ops.ones((1, 2, 4)), ops.convert_to_tensor([[[True, False]]])).numpy().tolist()
        [[[[1.0, 0.0]], [[1.0, 0.0]]]]

    Source: ARERec (2022), section "Attention layer"; github umapornp/ARERec `model.py:77-217`.
    """

    def __init__(self, dim: int, num_heads: int = 2, l2: Sequence[float] = (0.0, 0.0, 0.0, 0.0), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim, self.num_heads, self.l2 = dim, num_heads, tuple(l2)
        self.query, self.key, self.value, self.concat = (
            keras.layers.Dense(
                dim,
                name=name,
                kernel_regularizer=keras.regularizers.L2(amount) if amount else None,
                dtype=self.dtype_policy,
            )
            for name, amount in zip(("query", "key", "value", "concat"), self.l2)
        )
        for projection in (self.query, self.key, self.value, self.concat):
            projection.build((None, dim))
        self.built = True

    def probe(self, users: tf.Tensor) -> dict[str, tf.Tensor]:
        """What neighbours are compared with; the key's projection is applied here, once per user.

        Args:
            users: float `[batch, dim]`.

        Returns:
            dict of `along` `[batch, heads, dim]` and `shift` `[batch, heads]`: a neighbour's logit is
            `along . e + shift`.
        """
        heads = (self.num_heads, self.dim // self.num_heads)
        query = ops.reshape(self.query(users), (-1, *heads)) * heads[1] ** -0.5
        kernel = ops.reshape(ops.cast(self.key.kernel, query.dtype), (self.dim, *heads))
        bias = ops.reshape(ops.cast(self.key.bias, query.dtype), heads)
        along = ops.einsum("bhd,ehd->bhe", query, kernel)
        return {"along": along, "shift": ops.sum(query * bias, axis=-1)}

    def attend(self, probe: Mapping[str, tf.Tensor], neighbours: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
        """Attention of each user to the neighbours in each of some lists.

        Args:
            probe: as from `probe`.
            neighbours: float `[lists, neighbours, dim]`, the same for every user, or `[batch, lists, neighbours, dim]`.
            valid: bool `[batch, lists, neighbours]`; where none of a list is valid, all weigh the same, as in the
                original.

        Returns:
            float `[batch, heads, lists, neighbours]`.
        """
        *batch, lists, count, dim = ops.shape(neighbours)
        flat = ops.reshape(neighbours, (*batch, lists * count, dim))
        logits = ops.matmul(probe["along"], ops.swapaxes(flat, -1, -2)) + probe["shift"][:, :, None]
        logits = ops.reshape(logits, (-1, self.num_heads, lists, count))
        masked = MASKED if logits.dtype != "float16" else LOWEST_OF_FLOAT16
        logits = ops.where(valid[:, None], logits, ops.cast(masked, logits.dtype))
        # Not `ops.softmax`, which warns of lists of one neighbour.
        odds = ops.exp(logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True)))
        return odds / ops.sum(odds, axis=-1, keepdims=True)

    def combine(self, weights: tf.Tensor, neighbours: tf.Tensor) -> tf.Tensor:
        """The neighbours' vectors as one user sees them.

        Args:
            weights: float `[batch, heads, neighbours]`.
            neighbours: float `[batch, neighbours, dim]`.

        Returns:
            float `[batch, neighbours, dim]`.
        """
        values = self._split(self.value(neighbours)) * ops.swapaxes(weights, 1, 2)[..., None]
        return self.concat(ops.reshape(values, ops.shape(neighbours)))

    def values(self, neighbours: tf.Tensor) -> tf.Tensor:
        """What `combine` adds up, before weighing: `n_s = sum_h a_hs values_sh + values_s(heads)`.

        Args:
            neighbours: float `[..., dim]`.

        Returns:
            float `[..., heads + 1, dim]`, the last row for the bias.
        """
        width = self.dim // self.num_heads
        values = self._split(self.value(neighbours))
        kernel = ops.reshape(ops.cast(self.concat.kernel, values.dtype), (self.num_heads, width, self.dim))
        values = ops.einsum("...hd,hde->...he", values, kernel)
        bias = ops.cast(self.concat.bias, values.dtype) + ops.zeros_like(values[..., :1, :])
        return ops.concatenate([values, bias], axis=-2)

    def _split(self, values: tf.Tensor) -> tf.Tensor:
        return ops.reshape(values, (*ops.shape(values)[:-1], self.num_heads, self.dim // self.num_heads))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dim": self.dim, "num_heads": self.num_heads, "l2": self.l2}
