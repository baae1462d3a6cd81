"""Behaviours as vectors: what was acted on, how, and how long ago, projected to one width group by group."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

BUCKET_RULES = ("doubling", "calendar")
TIMES = ("embedding", "one_hot", "tanh", "none")
DAY = 86400  # seconds


def time_buckets(
    times: tf.Tensor, now: tf.Tensor, num_buckets: int, time_unit: float = DAY, rule: str = "doubling"
) -> tf.Tensor:
    """Buckets of the time between behaviours and a moment.

    Args:
        times: int64 `[batch, time]`, seconds.
        now: int64 `[batch]`, seconds.
        num_buckets: int.
        time_unit: float, seconds; the end of the first bucket.
        rule: `doubling`, gaps in units: [0, 1), [1, 2), [2, 4), [4, 8), ..., the last one without an end (paper); or
            `calendar`, g the difference of day numbers: [0, 1), [1, 3), [3, 7), ..., and from `2^num_buckets - 1`
            days on bucket `num_buckets`, which has no feature. NOTE: `build_dataset.py:14-22`, with 12 boundaries.

    Returns:
        int64 `[batch, time]`; a behaviour after `now` counts as at `now`.

    Example:
        >>> times = ops.convert_to_tensor([[0, DAY, 2 * DAY, 3 * DAY]])
        >>> time_buckets(times, ops.convert_to_tensor([3 * DAY]), 3).numpy().tolist()
        [[2, 2, 1, 0]]
    """
    if rule == "calendar":
        gap, bounds = now[:, None] // DAY - times // DAY + 1, 2.0 ** np.arange(1, num_buckets + 1)
    else:
        gap, bounds = now[:, None] - times, time_unit * 2.0 ** np.arange(num_buckets - 1)
    return ops.cast(ops.digitize(gap, bounds), "int64")


@keras.saving.register_keras_serializable("tfrecs")
class GroupProjection(keras.layers.Layer):
    """A linear projection of its own for each group of behaviours, to one width.

    Args:
        num_groups: int, groups are 1 to `num_groups`.
        input_dim, dim: ints.
        kernel_initializer: as for `keras.layers.Dense`.

    Call arguments:
        features: float `[..., input_dim]`.
        groups: int, the shape of `features` without its last axis.
        Returns float `[..., dim]`; a group that does not exist gives zeros.

    Example:
        >>> layer = GroupProjection(2, 3, 4)
        >>> layer(ops.ones((1, 2, 3)), ops.convert_to_tensor([[1, 2]])).shape
        TensorShape([1, 2, 4])

    Source: ATRank (2018), section "Behavior Embedding Spaces"; `multi/model.py:100-102`.
    """

    def __init__(
        self,
        num_groups: int,
        input_dim: int,
        dim: int,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_groups, self.input_dim, self.dim = num_groups, input_dim, dim
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.layers = [
            keras.layers.Dense(
                dim,
                name=f"group_{group}",
                dtype=self.dtype_policy,
                kernel_initializer=self.kernel_initializer.clone(),
            )
            for group in range(1, num_groups + 1)
        ]
        for layer in self.layers:
            layer.build((None, input_dim))
        self.built = True

    def call(self, features: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
        if self.num_groups == 1:
            return self.layers[0](features)
        return sum(
            layer(features) * ops.cast(ops.equal(groups, group), self.compute_dtype)[..., None]
            for group, layer in enumerate(self.layers, 1)
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_groups": self.num_groups,
            "input_dim": self.input_dim,
            "dim": self.dim,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("tfrecs")
class BehaviourEmbedding(keras.layers.Layer):
    """What was acted on, the action and the time bucket, joined and projected group by group.

    Args:
        object_dim: int, width of the objects' vectors.
        dim: int, width of the result.
        num_groups: int, groups are 1 to `num_groups`.
        num_actions: int, actions are 1 to `num_actions`; 0 is none.
        action_dim: int, width of an action's vector, shared by all groups; 0 for no such feature.
        time: `embedding`, a vector for each bucket and group; `one_hot`; `tanh`, the bucket's number through a dense
            layer, added to the objects instead of the projection; or `none`.
        time_dim: int, width of a time bucket's vector.
        num_buckets: int, buckets are 0 to `num_buckets - 1`; later ones count as the last in `embedding` and have no
            feature in `one_hot`; below 0 there is no feature.
        initializer: as for `keras.layers.Embedding` and `Dense`.

    Call arguments:
        objects: float `[..., object_dim]`.
        groups, actions, buckets: int `[...]`.
        Returns float `[..., dim]`.

    Example:
        >>> layer = BehaviourEmbedding(4, 8, num_groups=2)
        >>> ids = ops.ones((1, 3), "int64")
        >>> layer(ops.ones((1, 3, 4)), ids, ids, ids).shape
        TensorShape([1, 3, 8])

    Source: ATRank (2018), sections "Raw Feature Spaces" and "Behavior Embedding Spaces"; `model.py:70-78`,
    `multi/model.py:138-163`.
    """

    def __init__(
        self,
        object_dim: int,
        dim: int,
        num_groups: int = 1,
        num_actions: int = 0,
        action_dim: int = 0,
        time: str = "embedding",
        time_dim: int = 16,
        num_buckets: int = 12,
        initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_dim, self.dim, self.num_groups, self.num_actions = object_dim, dim, num_groups, num_actions
        self.action_dim, self.time, self.time_dim, self.num_buckets = action_dim, time, time_dim, num_buckets
        self.initializer = keras.initializers.get(initializer)
        if action_dim:
            self.actions = self._table("actions", num_actions + 1, action_dim)
        if time == "embedding":
            self.buckets = self._table("buckets", num_groups * num_buckets, time_dim)
        if time == "tanh":
            self.projection = keras.layers.Dense(
                dim, "tanh", name="time", dtype=self.dtype_policy, kernel_initializer=self.initializer.clone()
            )
            self.projection.build((None, 1))
        else:
            width = object_dim + action_dim + {"embedding": time_dim, "one_hot": num_buckets, "none": 0}[time]
            self.projection = GroupProjection(
                num_groups, width, dim, self.initializer, name="projection", dtype=self.dtype_policy
            )
        self.built = True

    def _table(self, name: str, rows: int, dim: int) -> keras.Variable:
        return self.add_weight(name=name, shape=(rows, dim), initializer=self.initializer.clone())

    def call(self, objects: tf.Tensor, groups: tf.Tensor, actions: tf.Tensor, buckets: tf.Tensor) -> tf.Tensor:
        known = ops.cast(buckets >= 0, self.compute_dtype)[..., None]
        if self.time == "tanh":
            return objects + self.projection(ops.cast(buckets, self.compute_dtype)[..., None]) * known
        features = [objects]
        if self.action_dim:
            known_action = ops.cast(actions > 0, self.compute_dtype)[..., None]
            features.append(ops.take(self.actions, actions, axis=0) * known_action)
        if self.time == "one_hot":
            features.append(ops.one_hot(buckets, self.num_buckets, dtype=self.compute_dtype))
        elif self.time == "embedding":
            rows = ops.clip(buckets, 0, self.num_buckets - 1) + self.num_buckets * (ops.maximum(groups, 1) - 1)
            features.append(ops.take(self.buckets, rows, axis=0) * known)
        return self.projection(ops.concatenate(features, axis=-1), groups)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "object_dim": self.object_dim,
            "dim": self.dim,
            "num_groups": self.num_groups,
            "num_actions": self.num_actions,
            "action_dim": self.action_dim,
            "time": self.time,
            "time_dim": self.time_dim,
            "num_buckets": self.num_buckets,
            "initializer": keras.initializers.serialize(self.initializer),
        }
