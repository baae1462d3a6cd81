"""What PyTorch writes and how it steps, for originals written in it; PyTorch itself is not needed."""

from typing import Any

import keras
import tensorflow as tf

from tfrecs.errors import InputError, option
from tfrecs.importers import torch_pickle
from tfrecs.importers.torch_archive import Archive, BadArchive

PICKLE = "data.pkl"


def load(path: str) -> Any:
    """Reads what `torch.save` wrote; nothing that the file names is called.

    Args:
        path: str, a `.pth` file.

    Returns:
        what was saved, its tensors as arrays; objects of classes that are not PyTorch's own are `torch_pickle.Inert`.

    Raises:
        InputError: the file is something else, is damaged, or could be read in two ways.

    Example:
        >>> load("absent.pth")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: checkpoint absent.pth: No such file or directory
    """
    try:
        return _load(path)
    except InputError as error:
        raise InputError(f"{option('checkpoint')} {error}") from None
    except (BadArchive, torch_pickle.BadPickle) as error:
        raise InputError(f"{option('checkpoint')} {path}: cannot be read: {error}") from None


def _load(path: str) -> Any:
    archive = Archive(path)
    folders = {name.partition("/")[0] for name in archive.names}
    if len(folders) != 1:
        raise BadArchive(f"{len(folders)} folders, but torch.save writes one")
    (folder,) = folders
    if any(name.endswith("constants.pkl") or name.startswith(f"{folder}/code/") for name in archive.names):
        raise BadArchive("a TorchScript program, not weights")
    name = f"{folder}/byteorder"
    if name in archive.names and archive.read(name) != b"little":
        raise BadArchive("its numbers are not little-endian")
    return torch_pickle.read(archive.read(f"{folder}/{PICKLE}"), lambda key: archive.read(f"{folder}/data/{key}"))


class TorchAdam(keras.optimizers.Adam):
    """`torch.optim.Adam`: epsilon is added to the root of the corrected second moment, not of the raw one.

    Args:
        learning_rate: float.
        epsilon: float.
    """

    def __init__(self, learning_rate: float, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(learning_rate, epsilon=epsilon, **kwargs)

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
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
