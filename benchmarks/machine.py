"""What this machine can do, as the bound that steps are compared with: a large product of matrices, and copies."""

import time
from collections.abc import Callable

import tensorflow as tf

SIZE = 2048  # of the matrices
ROWS = 1 << 20  # of the table that is copied, 64 wide


def measure() -> dict[str, float]:
    """Measures, within a second or two.

    Returns:
        dict: `matmul`, float32 GFLOP/s of products of two matrices; `copy`, GB/s read and written by multiplying a
        table by a number. The fastest of several, since a bound is asked for.
    """
    a, b = tf.random.normal([SIZE, SIZE]), tf.random.normal([SIZE, SIZE])
    table = tf.Variable(tf.zeros([ROWS, 64]))
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(a, b)))
    doubled = tf.function(lambda: table.read_value() * 2.0)
    return {
        "matmul": 2 * SIZE**3 / _fastest(product) / 1e9,
        "copy": 2 * 4 * 64 * ROWS / _fastest(doubled) / 1e9,
    }


def _fastest(call: Callable[[], tf.Tensor], seconds: float = 0.5) -> float:
    """Seconds of the fastest call."""
    call()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < end:
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return min(taken)
