"""What PyTorch writes and how it steps, for originals written in it."""

import keras
import tensorflow as tf

from tfrecs.errors import InputError

PARTS = ("config", "state_dict", "other_parameter")


def load(path):
    """Reads a RecBole checkpoint; no code that it may hold is run.

    Args:
        path: str, a `.pth` file.

    Returns:
        dict of `PARTS`; the last two hold tensors by name.

    Raises:
        InputError: PyTorch is not installed, or the file is something else.

    Example:
        >>> load("absent.pth")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: --checkpoint absent.pth: ...
    """
    try:
        import torch
    except ImportError:
        raise InputError(f"--checkpoint {path}: reading it takes PyTorch: pip install tfrecs[torch]") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise InputError(
                f"--checkpoint {path}: holds pickled objects, which could run code and are not read. Where the "
                "original is installed, save a dict of config, state_dict and other_parameter, tensors by name"
            ) from None
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise InputError(f"--checkpoint {path}: cannot be read: {reason}") from None
    lacking = [part for part in PARTS if not isinstance(content, dict) or not isinstance(content.get(part), dict)]
    if lacking:
        raise InputError(f"--checkpoint {path}: it has no {lacking}")
    for part in PARTS[1:]:
        for name, tensor in content[part].items():
            if not isinstance(tensor, torch.Tensor):
                raise InputError(f"--checkpoint {path}: {part} {name!r} is no tensor")
    return content


class TorchAdam(keras.optimizers.Adam):
    """`torch.optim.Adam`: epsilon is added to the root of the corrected second moment, not of the raw one.

    Args:
        learning_rate: float.
        epsilon: float.
    """

    def __init__(self, learning_rate, epsilon=1e-8, **kwargs):
        super().__init__(learning_rate, epsilon=epsilon, **kwargs)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its moments."""
        index, gradient = self._get_variable_index(variable), tf.convert_to_tensor(gradient)
        first, second = self._momentums[index], self._velocities[index]
        step = tf.cast(self.iterations.value + 1, tf.float64)
        first.assign(first + (gradient - first) * (1 - self.beta_1))
        second.assign(second * self.beta_2 + tf.square(gradient) * (1 - self.beta_2))
        corrections = [
            tf.cast(1 - tf.pow(tf.constant(b, tf.float64), step), tf.float32) for b in (self.beta_1, self.beta_2)
        ]
        root = tf.sqrt(second) / tf.sqrt(corrections[1]) + self.epsilon
        variable.assign_sub(tf.cast(learning_rate, tf.float32) / corrections[0] * first / root)
