"""Which checkpoints a run directory holds, and where each of them stands."""

import contextlib
import dataclasses
import glob
import json
import os

import tensorflow as tf

from tfrecs.errors import InputError

POINTER = "checkpoint"
READ_ERRORS = (AssertionError, ValueError, TypeError, LookupError, OSError, tf.errors.OpError)


@dataclasses.dataclass
class Progress:
    """Where a run stands; what a checkpoint holds besides tensors.

    Args:
        epoch: int, whole epochs done.
        step: int, steps done in the epoch after them.
        history: list of dict, a row per whole epoch.
        best: dict or None, `name`, `epoch` and `value` of the best checkpoint by validation.
        train_seconds: float, spent in training steps so far.
        examples: int, training examples seen so far.
        eval_seconds: float, spent in validation so far.
    """

    epoch: int = 0
    step: int = 0
    history: list = dataclasses.field(default_factory=list)
    best: dict | None = None
    train_seconds: float = 0.0
    examples: int = 0
    eval_seconds: float = 0.0

    @property
    def name(self):
        """The name of a checkpoint taken here.

        Example:
            >>> Progress(epoch=2, step=50).name
            'cp-0002-000050'
        """
        return f"cp-{self.epoch:04d}" + (f"-{self.step:06d}" if self.step else "")


def listed(directory):
    """The names of a run directory's whole checkpoints, oldest first.

    The file `checkpoint` lists them; where it is missing or damaged, the files themselves do.
    """
    state = None
    if os.path.isfile(os.path.join(directory, POINTER)):
        with contextlib.suppress(ValueError, tf.errors.OpError):
            state = tf.train.get_checkpoint_state(directory)
    if state is None:
        paths = glob.glob(os.path.join(glob.escape(directory), "cp-*.index"))
        names = sorted(map(stem, paths), key=position)
    else:
        names = [os.path.basename(path) for path in state.all_model_checkpoint_paths]
    return [name for name in names if _is_whole(os.path.join(directory, name))]


def check_directory(directory):
    """Refuses a run directory whose checkpoints could be written but never read.

    Raises:
        InputError: TensorFlow takes the name for a pattern.

    Example:
        >>> check_directory("runs/attrec [1]")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: --run_dir runs/attrec [1]: TensorFlow reads no checkpoints where a name holds [
    """
    for character in "[*?\\":
        if character in str(directory):
            reason = f"TensorFlow reads no checkpoints where a name holds {character}"
            raise InputError(f"--run_dir {directory}: {reason}")


def newest(directory):
    """The name of the newest whole checkpoint of a run directory, or None."""
    names = listed(directory)
    return names[-1] if names else None


def best(directory, name=None):
    """The name of the best checkpoint by validation that a checkpoint (default the newest) knows of, or None."""
    name = name or newest(directory)
    entry = read_progress(directory, name).best if name else None
    return entry["name"] if entry else None


def read_progress(directory, name):
    """The `Progress` beside a checkpoint's tensors.

    Args:
        directory: str.
        name: str, a whole name.

    Raises:
        InputError: naming the file, which is missing or damaged.
    """
    path = os.path.join(directory, f"{name}.json")
    try:
        with open(path, encoding="utf-8") as file:
            progress = Progress(**json.load(file))
        if not (isinstance(progress.epoch, int) and isinstance(progress.step, int) and progress.history is not None):
            raise ValueError("it does not say where the run stood")
        return progress
    except READ_ERRORS as error:
        others = [other for other in listed(directory) if other != name]
        raise InputError(
            f"{path}: damaged: {first_line(error)}; other checkpoints there: {', '.join(others) or 'none'}"
        ) from None


def find(directory, name):
    """Resolves a checkpoint's name, with or without leading zeros.

    Raises:
        InputError: there is none of that name; those there are, are listed.
    """
    wanted = position(name)
    paths = glob.glob(os.path.join(glob.escape(directory), "*.index"))
    there = sorted(stem(path) for path in paths if _is_whole(path.removesuffix(".index")))
    for candidate in there:
        if position(candidate) == wanted:
            return candidate
    raise InputError(f"{os.path.join(directory, name)}: no such checkpoint; there are: {', '.join(there) or 'none'}")


def _is_whole(prefix):
    return os.path.exists(f"{prefix}.index") and os.path.exists(f"{prefix}.json")


def stem(path):
    """The name of the checkpoint whose index file this is."""
    return os.path.basename(path).removesuffix(".index")


def position(name):
    """A name's kind and where it stands, comparable whatever the zeros.

    Example:
        >>> position("cp-2"), position("cp-0002-000050")
        (('cp', (2, 0)), ('cp', (2, 50)))
    """
    kind, *numbers = name.removesuffix(".index").split("-")
    if not numbers or len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        return name, (0, 0)
    return kind, (*map(int, numbers), 0)[:2]


def first_line(error):
    """What an error says, on one line."""
    if isinstance(error, OSError):
        return error.strerror
    return (str(error).splitlines() or [repr(error)])[0]
