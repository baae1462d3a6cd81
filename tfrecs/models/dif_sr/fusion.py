"""Fusing attention scores that were computed from several sources: items, positions, each attribute."""

import keras
from keras import ops

FUSIONS = ("sum", "concat", "gate")


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
            to 0 beforehand. NOTE: False repeats DIF-SR's `layers.py:495-504`, where the mask comes after the fusion:
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

    def __init__(self, kind, num_sources, max_length, causal=True, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.kind, self.num_sources, self.max_length, self.causal = kind, num_sources, max_length, causal
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

        def weight(name, *shape):
            initializer = self.kernel_initializer.clone() if len(shape) == 2 else "zeros"
            return self.add_weight(name=name, shape=shape, initializer=initializer)

        if kind == "concat":
            self.kernel = weight("kernel", num_sources * max_length, max_length)
            self.bias = weight("bias", max_length)
        elif kind == "gate":
            self.kernel, self.bias = weight("kernel", max_length, max_length), weight("bias", max_length)
            self.energy_kernel, self.energy_bias = weight("energy_kernel", max_length, 1), weight("energy_bias", 1)
        self.built = True

    def call(self, scores, mask):
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

    def _energy(self, score, kernel):
        hidden = ops.relu(ops.matmul(score, kernel) + self.bias)
        return ops.matmul(hidden, self.energy_kernel) + self.energy_bias

    def get_config(self):
        return super().get_config() | {
            "kind": self.kind,
            "num_sources": self.num_sources,
            "max_length": self.max_length,
            "causal": self.causal,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
