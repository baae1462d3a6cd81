"""Each item's neighbours as tables that are saved with the model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrecs.errors import InputError


@keras.saving.register_keras_serializable("tfrecs")
class NeighbourLists(keras.layers.Layer):
    """The first users who rated each item, in order of time, and the local context unit each of them owns.

    The lists of all items are stored one after another, so that memory grows with their total length. Unit u belongs to
    user `users[u]` at `times[u]`; item i's list is the units `starts[i]` to `starts[i + 1]`, the latter exclusive. Unit
    0 is padding. All three are weights that are not trained. Before `fill`, all of `starts` is 0, and checkpoints and
    `.keras` files keep that state.

    Args:
        num_items: int, ids are 1 to `num_items`.
        num_units: int, units, padding included.
        width: int, the longest list.

    Call arguments:
        items: int64 `[...]`.
        Returns `units`, `users` and `times`, int64 `[..., width]`, padded with 0.

    Example:
        >>> lists = NeighbourLists(num_items=2, num_units=5, width=2)
        >>> lists.fill(users=[7, 8, 7], times=[30, 40, 50], starts=[0, 0, 2, 3])
        >>> [found.numpy().tolist() for found in lists(tf.constant([2, 1], tf.int64))]
        [[[3, 0], [1, 2]], [[7, 0], [7, 8]], [[50, 0], [30, 40]]]
    """

    def __init__(self, num_items: int, num_units: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_units, self.width = num_units, width
        self.users, self.times, self.starts = (
            self.add_weight(name=name, shape=(size,), dtype="int64", initializer="zeros", trainable=False)
            for name, size in (("users", num_units), ("times", num_units), ("starts", num_items + 2))
        )
        self.built = True

    contents = "neighbours"

    @property
    def is_filled(self) -> bool:
        """Whether the lists were given; read eagerly."""
        return int(self.starts[0]) > 0

    def fill(
        self, users: Sequence[int] | np.ndarray, times: Sequence[int] | np.ndarray, starts: Sequence[int] | np.ndarray
    ) -> None:
        """Writes the tables.

        Args:
            users, times: int64 `[places]`, as from `neighbours.first_raters`.
            starts: int64 `[items + 2]`.

        Raises:
            InputError: there are more places than units, or other items.
        """
        rest = self.num_units - 1 - len(users)
        if rest < 0 or len(starts) != self.starts.shape[0]:
            raise InputError(
                f"the data has {len(starts) - 2} items whose lists of up to {self.width} neighbours take "
                f"{len(users)} places; this model has {self.starts.shape[0] - 2} items and {self.num_units - 1} places"
            )
        self.users.assign(np.pad(users, (1, rest)))
        self.times.assign(np.pad(times, (1, rest)))
        self.starts.assign(np.asarray(starts) + 1)

    def call(self, items: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        first, end = tf.gather(self.starts.value, items), tf.gather(self.starts.value, items + 1)
        units = first[..., tf.newaxis] + tf.range(self.width, dtype=tf.int64)
        units = tf.where(units < end[..., tf.newaxis], units, 0)
        return units, tf.gather(self.users.value, units), tf.gather(self.times.value, units)
