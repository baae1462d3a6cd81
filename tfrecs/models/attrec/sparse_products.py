"""Rows of a table and products with them, whose gradient adds up many repeated rows fast."""

import tensorflow as tf


def are_fast() -> bool:
    """Whether these functions are faster than TensorFlow's own gradients: on CPUs, whose scatters are slow."""
    return not tf.config.list_logical_devices("GPU")


def rows_at(table: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """`tf.gather`, whose gradient is dense.

    Args:
        table: float `[rows, dim]`.
        ids: int `[...]`.

    Returns:
        float `[..., dim]`.

    Example:
        >>> table = tf.constant([[1.0], [2.0]])
        >>> with tf.GradientTape() as tape:
        ...     tape.watch(table)
        ...     rows = rows_at(table, tf.constant([1, 1], tf.int64))
        >>> tape.gradient(rows, table).numpy().tolist()
        [[0.0], [2.0]]
    """

    @tf.custom_gradient
    def gathered(table: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            flat = tf.reshape(ids, [-1])
            count = tf.size(flat, tf.int64)
            picks = _sparse(tf.range(count), flat, tf.ones_like(flat, table.dtype), [count, table.shape[0]])
            return _product(_transposed(picks), tf.reshape(upstream, [-1, table.shape[1]]))

        return tf.gather(table, ids), gradient

    return gathered(table)


def products_at(left: tf.Tensor, right: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Products of each row of one matrix with some rows of another.

    Args:
        left: float `[batch, dim]`.
        right: float `[rows, dim]`.
        ids: int `[batch, count]`, rows of `right`.

    Returns:
        float `[batch, count]`.

    Example:
        >>> products_at(tf.constant([[2.0]]), tf.constant([[1.0], [5.0]]), tf.constant([[1, 0]], tf.int64)).numpy()
        array([[10.,  2.]], dtype=float32)
    """

    @tf.custom_gradient
    def products(left: tf.Tensor, right: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch, count = tf.unstack(tf.shape(ids, tf.int64))
            rows = tf.repeat(tf.range(batch), count)
            weights = _sparse(rows, tf.reshape(ids, [-1]), tf.reshape(upstream, [-1]), [batch, right.shape[0]])
            return _product(weights, right), _product(_transposed(weights), left)

        return tf.matmul(tf.gather(right, ids), left[:, :, tf.newaxis])[:, :, 0], gradient

    return products(left, right)


def _sparse(rows: tf.Tensor, columns: tf.Tensor, values: tf.Tensor, shape: list[tf.Tensor | int]) -> tf.Tensor:
    """A matrix in compressed rows; `rows` are in order, and a repeated cell counts as the sum of its values."""
    return tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.stack([rows, tf.cast(columns, rows.dtype)], axis=1), values=values, dense_shape=tf.stack(shape)
    )


def _transposed(matrix: tf.Tensor) -> tf.Tensor:
    # Not by `transpose_a` of the product, which adds up in an order that depends on the threads.
    return tf.raw_ops.SparseMatrixTranspose(input=matrix, type=tf.float32)


def _product(matrix: tf.Tensor, dense: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=dense)
