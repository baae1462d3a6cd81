"""What PyTorch writes and how it steps, for originals written in it."""

import pickle
import types
import zipfile

import keras
import tensorflow as tf

from tfrecs.errors import InputError

# All that a file may call: tensors and the dictionaries that modules keep them in.
TRUSTED = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_tensor_v2"),
}


class Inert:
    """Stands for an object of any other class, and for what any other function gives: its attributes, no behaviour."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        for part in state if isinstance(state, tuple) else (state,):
            vars(self).update(part if isinstance(part, dict) else {})

    def __call__(self, *args, **kwargs):
        return Inert()

    def ignore(self, *args):
        """What a pickle fills lists, sets and dicts by."""

    append = extend = add = __setitem__ = ignore


class InertUnpickler(pickle.Unpickler):
    """Reads a pickle of `TRUSTED` tensors within anything, and runs nothing that the file names.

    Example:
        >>> import fractions, io
        >>> content = pickle.dumps({"weights": [0.5], "object": fractions.Fraction(1, 2)})
        >>> found = InertUnpickler(io.BytesIO(content)).load()
        >>> found["weights"], type(found["object"]).__name__
        ([0.5], 'Inert')
    """

    def find_class(self, module, name):
        """The class or function that a file asks for, if it is trusted."""
        return super().find_class(module, name) if (module, name) in TRUSTED else Inert


# What `torch.load` asks of a pickle module.
INERT_PICKLE = types.SimpleNamespace(
    __name__="inert_pickle",
    Unpickler=InertUnpickler,
    load=lambda file, **options: InertUnpickler(file, **options).load(),
)


def load(path):
    """Reads what `torch.save` wrote; no code that it may hold is run.

    Args:
        path: str, a `.pth` file.

    Returns:
        what was saved, its tensors on the CPU; objects of classes that are not PyTorch's own are `Inert`.

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
        if _is_program(path):
            raise InputError("a TorchScript program, not weights")
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=INERT_PICKLE)
    except Exception as error:  # a damaged pickle may raise anything
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise InputError(f"--checkpoint {path}: cannot be read: {reason}") from None


def _is_program(path):
    """Whether a file holds TorchScript, which `torch.load` would hand to an interpreter."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        return any(name.endswith("constants.pkl") for name in file.namelist())


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
