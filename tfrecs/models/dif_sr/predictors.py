"""Heads that predict the attributes of the next item."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

PREDICTORS = ("linear", "mlp", "none")


@keras.saving.register_keras_serializable("tfrecs")
class AttributePredictor(keras.layers.Layer):
    """Logits of each value of an attribute.

    Args:
        dim: int, width of the input.
        classes: int, values, padding included.
        kind: `linear`, or `mlp`: one hidden layer of width `dim` with layer normalisation and ReLU.
        kernel_initializer: as for `keras.layers.Dense`.

    Call arguments:
        hidden: float `[..., dim]`. Returns float `[..., classes]`.

    Example:
        >>> from keras import ops
        >>> AttributePredictor(4, 7, "mlp")(ops.ones((2, 4))).shape
        TensorShape([2, 7])

    Source: DIF-SR (2022), section 3.4, equation 10.
    """

    def __init__(
        self,
        dim: int,
        classes: Sequence[float],
        kind: str = "linear",
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dim, self.classes, self.kind = dim, classes, kind
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        policy, initializer = self.dtype_policy, self.kernel_initializer
        self.steps = []
        if kind == "mlp":
            self.steps = [
                keras.layers.Dense(dim, kernel_initializer=initializer.clone(), name="hidden", dtype=policy),
                keras.layers.LayerNormalization(name="norm", dtype=policy),
                keras.layers.ReLU(dtype=policy),
            ]
        self.steps.append(keras.layers.Dense(classes, kernel_initializer=initializer, name="logits", dtype=policy))
        for step in self.steps:
            step.build((None, dim))
        self.built = True

    def call(self, hidden: tf.Tensor) -> tf.Tensor:
        for step in self.steps:
            hidden = step(hidden)
        return hidden

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "dim": self.dim,
            "classes": self.classes,
            "kind": self.kind,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
