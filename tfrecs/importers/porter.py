"""The strict porter: copies arrays into variables by a name table; nothing may be left over or missing."""

import re
from collections.abc import Callable, Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfrecs.errors import InputError, option


class Part:
    """Where an array of an original is in our variables: in some of the rows, transposed, or with another shape.

    Args:
        variable: Keras variable.
        theirs: `f(array) -> array`, from the variable's value to the original's array by slicing, indexing,
            transposing and reshaping only.

    Example:
        >>> import keras
        >>> variable = keras.Variable([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
        >>> part = Part(variable, lambda value: value[1:].T)
        >>> part.assign(part.theirs(variable.numpy()) * 10)
        >>> variable.numpy().tolist()
        [[0.0, 0.0], [10.0, 20.0], [30.0, 40.0]]
    """

    def __init__(
        self, variable: keras.Variable, theirs: Callable[[np.ndarray], np.ndarray] = lambda value: value
    ) -> None:
        self.variable, self.theirs = variable, theirs

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the original's array."""
        return self.theirs(np.broadcast_to(np.int8(0), self.variable.shape)).shape

    def numpy(self) -> np.ndarray:
        """The original's array."""
        return self.theirs(self.variable.numpy())

    def assign(self, array: np.ndarray) -> None:
        """Writes the original's array; the rest of the variable stays."""
        value = self.variable.numpy()
        where = self.theirs(np.arange(value.size).reshape(value.shape))
        value = value.reshape(-1).copy()
        value[where.reshape(-1)] = np.reshape(array, -1)
        self.variable.assign(value.reshape(self.variable.shape))


# Original variable name to the variable, or to the part of one, that stands for it.
NameTable = Mapping[str, keras.Variable | Part]


def parts(table: NameTable) -> dict[str, Part]:
    """A name table with a `Part` for every name; a variable that stands alone is taken as it is."""
    return {name: entry if isinstance(entry, Part) else Part(entry) for name, entry in table.items()}


def port(arrays: Mapping[str, ArrayLike], table: NameTable, source: str, ignore: Iterable[str] = ()) -> None:
    """Assigns every array to the variable of its name.

    Args:
        arrays: dict of original name to array.
        table: dict of original name to Keras variable, or to a `Part` of one.
        source: str, where the arrays come from, for error messages.
        ignore: regular expressions of names that are no weights (optimizer slots, step counters).

    Raises:
        InputError: a name is left over on either side, or a shape differs; both sides are listed.

    Example:
        >>> import keras
        >>> variable = keras.Variable([0.0, 0.0])
        >>> port({"w": [1.0, 2.0]}, {"w": variable}, "toy")
        >>> variable.numpy().tolist()
        [1.0, 2.0]
    """
    weights = {
        name: np.asarray(value)
        for name, value in arrays.items()
        if not any(re.search(pattern, name) for pattern in ignore)
    }
    left_over, missing = sorted(set(weights) - set(table)), sorted(set(table) - set(weights))
    if left_over or missing:
        raise InputError(
            f"{source}: weights do not match the model: not known to it: "
            f"{left_over or 'none'}; missing here: {missing or 'none'}"
        )
    table = parts(table)
    for name, part in table.items():
        if weights[name].shape != part.shape:
            raise InputError(f"{source}: {name} has shape {weights[name].shape}, the model expects {part.shape}")
    for name, part in table.items():
        part.assign(weights[name])


def read_checkpoint(checkpoint: str) -> dict[str, np.ndarray]:
    """The arrays of a TensorFlow checkpoint by their names.

    Args:
        checkpoint: str, the prefix given to `tf.train.Saver`, or its directory.

    Raises:
        InputError: there is none, or it is damaged.
    """
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (ValueError, LookupError, RuntimeError, OSError, tf.errors.OpError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise InputError(f"{option('checkpoint')} {checkpoint}: cannot be read: {reason}") from None
