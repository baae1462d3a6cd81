"""Counts the floating point operations of matrix products while they run, whatever their shapes depend on."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_callbacks


def of_products(call: Callable[[], Any]) -> int:
    """Operations of the matrix products of a call, gradients included; a multiplication and an addition are two.

    Args:
        call: `f()`; it runs once, operation by operation.

    Returns:
        int.

    Example:
        >>> of_products(lambda: tf.matmul(tf.zeros([2, 3]), tf.zeros([3, 4])))
        48
    """
    counted = 0

    def see(
        kind: bytes | str, inputs: Sequence[tf.Tensor], attributes: Sequence[Any], outputs: Sequence[tf.Tensor], *_: Any
    ) -> None:
        nonlocal counted
        kind = kind.decode() if isinstance(kind, bytes) else kind
        named = dict(zip(attributes[::2], attributes[1::2], strict=True)) if attributes else {}
        counted += 2 * math.prod(outputs[0].shape) * _contracted(kind, inputs, named) if outputs else 0

    eagerly = tf.config.functions_run_eagerly()
    op_callbacks.add_op_callback(see)
    tf.config.run_functions_eagerly(True)
    try:
        call()
    finally:
        tf.config.run_functions_eagerly(eagerly)
        op_callbacks.remove_op_callback(see)
    return counted


def _contracted(kind: str, inputs: Sequence[tf.Tensor], attributes: dict[str, Any]) -> int:
    """How many products are added up for an entry of the result; 0 for what is no matrix product."""
    if kind == "MatMul":
        return int(inputs[0].shape[0 if attributes["transpose_a"] else 1])
    if kind.startswith("BatchMatMul"):
        return int(inputs[0].shape[-2 if attributes["adj_x"] else -1])
    if kind != "Einsum":
        return 0
    equation = attributes["equation"]
    terms, _, result = (equation.decode() if isinstance(equation, bytes) else equation).partition("->")
    sizes: dict[str, int] = {}
    for term, value in zip(terms.split(","), inputs, strict=True):
        before, _, after = term.partition("...")
        sizes |= dict(zip(before, value.shape, strict=False))
        sizes |= dict(zip(reversed(after), reversed(value.shape), strict=False))
    return math.prod(size for label, size in sizes.items() if label not in result) if len(inputs) > 1 else 0
