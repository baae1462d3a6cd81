"""The strict porter: copies arrays into variables by a name table; nothing may be left over or missing."""

import re

import numpy as np

from tfrecs.errors import InputError


def port(arrays, table, source, ignore=()):
    """Assigns every array to the variable of its name.

    Args:
        arrays: dict of original name to array.
        table: dict of original name to Keras variable.
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
    for name, variable in table.items():
        if weights[name].shape != tuple(variable.shape):
            raise InputError(
                f"{source}: {name} has shape {weights[name].shape}, the model expects {tuple(variable.shape)}"
            )
    for name, variable in table.items():
        variable.assign(weights[name])
