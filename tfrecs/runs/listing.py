"""Which checkpoints a run directory holds, and where each of them stands."""

import dataclasses
import glob
import hashlib
import os
from typing import Any

import tensorflow as tf

from tfrecs import files, json_files
from tfrecs.errors import InputError, option
from tfrecs.runs import pointer, record, schemas

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
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best: dict[str, Any] | None = None
    train_seconds: float = 0.0
    examples: int = 0
    eval_seconds: float = 0.0

    @property
    def name(self) -> str:
        """The name of a checkpoint taken here.

        Example:
            >>> Progress(epoch=2, step=50).name
            'cp-0002-000050'
        """
        return f"cp-{self.epoch:04d}" + (f"-{self.step:06d}" if self.step else "")


def listed(directory: str) -> list[str]:
    """The names of a run directory's complete checkpoints, oldest first.

    The file `checkpoint` lists them; where it is missing or damaged, the files themselves do, and the best by
    validation counts where there is no other.
    """
    names = pointer.read(directory)
    if names is None:
        own = record.written(directory) if record.is_marked(directory) else on_disk(directory)
        names = sorted((name for name in own if name.startswith("cp-")), key=position)
        complete = [name for name in names if _is_complete(directory, name)]
        return complete or [name for name in sorted(own, key=position) if _is_complete(directory, name)]
    return [name for name in names if _is_complete(directory, name)]


def check_directory(directory: str) -> None:
    """Refuses a run directory whose checkpoints could be written but never read.

    Raises:
        InputError: TensorFlow takes the name for a pattern.

    Example:
        >>> check_directory("runs/attrec [1]")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: run_dir runs/attrec [1]: TensorFlow reads no checkpoints where a name holds [
    """
    for character in "[*?\\":
        if character in str(directory):
            reason = f"TensorFlow reads no checkpoints where a name holds {character}"
            raise InputError(f"{option('run_dir')} {directory}: {reason}")


def newest(directory: str) -> str | None:
    """The name of the newest checkpoint of a run directory, or None where nothing was saved yet.

    Raises:
        InputError: there are checkpoints, but the newest is not complete; the message names the others.
    """
    named, names = pointer.read(directory), listed(directory)
    if named and not _is_complete(directory, named[-1]):
        missing = f"a file of it is missing; {others(directory, named[-1])}"
        raise InputError(f"{os.path.join(directory, named[-1])}: damaged: {missing}")
    # What others named like checkpoints is no reason not to start.
    own = record.written(directory) if record.is_marked(directory) else on_disk(directory)
    unfinished = [name for name in on_disk(directory) if name in own]
    # A process killed while it saved for the first time leaves one that is not complete, and no list.
    if not names and (pointer.exists(directory) or len(unfinished) > 1):
        there = ", ".join(unfinished) or "none"
        raise InputError(f"{directory}: no checkpoint there is complete ({there}): they are left as they are")
    return names[-1] if names else None


def best(directory: str, name: str | None = None) -> str | None:
    """The name of the best checkpoint by validation that a checkpoint (default the newest) knows of, or None."""
    name = name or newest(directory)
    entry = read_progress(directory, name).best if name else None
    return entry["name"] if entry else None


def read_progress(directory: str, name: str) -> Progress:
    """The `Progress` that a checkpoint holds besides its tensors.

    Args:
        directory: str.
        name: str, a whole name.

    Raises:
        InputError: naming the file, which is missing or damaged.
    """
    prefix = os.path.join(directory, name)
    try:
        content = json_files.read(f"{prefix}.json", schemas.PROGRESS, "a checkpoint's progress", "")
        index_sha256 = content.pop("index_sha256")
        progress = Progress(**content)
        if not all(row.keys() >= {"epoch", "loss"} for row in progress.history):
            raise InputError("history: a row without epoch or loss")
        if position(name)[1] != (progress.epoch, progress.step):
            raise InputError(f"it belongs to {progress.name}")
    except InputError as error:
        path = f"{prefix}.json"
        reason = str(error).removeprefix(f"{path}: ").removesuffix("; ")
        raise InputError(f"{path}: damaged: {reason}; {others(directory, name)}") from None
    try:
        sound = digest(f"{prefix}.index") == index_sha256
    except (InputError, OSError):
        sound = False
    if not sound:
        raise InputError(f"{prefix}: damaged: {name}.index is not the file that was saved; {others(directory, name)}")
    return progress


def write_progress(directory: str, name: str, progress: Progress) -> None:
    """Writes what `read_progress` reads, after the checkpoint's tensors.

    Raises:
        InputError: the file cannot be written.
    """
    prefix = os.path.join(directory, name)
    json_files.write(f"{prefix}.json", dataclasses.asdict(progress) | {"index_sha256": digest(f"{prefix}.index")})


def digest(path: str) -> str:
    """The sha256 of a file, in hexadecimal."""
    with files.open_regular(path) as file:
        return hashlib.sha256(file.read()).hexdigest()


def find(directory: str, name: str) -> str:
    """Resolves a checkpoint's name, with or without leading zeros and the ending `.ckpt`.

    Raises:
        InputError: there is none of that name; those there are, are listed.
    """
    wanted = position(name.removesuffix(".ckpt"))  # as the originals spell it
    there = [name for name in on_disk(directory) if _is_complete(directory, name)]
    for candidate in there:
        if position(candidate) == wanted:
            return candidate
    raise InputError(f"{os.path.join(directory, name)}: no such checkpoint; there are: {', '.join(there) or 'none'}")


def others(directory: str, name: str) -> str:
    """The rest of an error message about a damaged checkpoint: what else there is to go on from."""
    names = [other for other in listed(directory) if other != name]
    hint = f" ({option('load_weight_path', 'checkpoint')} {names[-1]} goes on from it)" if names else ""
    return f"other checkpoints there: {', '.join(names) or 'none'}{hint}"


def on_disk(directory: str) -> list[str]:
    """The names of all checkpoints that have any file, sorted."""
    if not os.path.isdir(directory):
        return []
    matches = map(record.CHECKPOINT_FILE.fullmatch, os.listdir(directory))
    return sorted({match["name"] for match in matches if match and not match[0].endswith(("_temp", ".tmp"))})


def _is_complete(directory: str, name: str) -> bool:
    prefix = os.path.join(directory, name)
    data = glob.glob(f"{glob.escape(prefix)}.data-*-of-*")
    # Regular files: opening a named pipe would wait for a writer.
    return bool(data) and all(map(os.path.isfile, [f"{prefix}.index", f"{prefix}.json", *data]))


def position(name: str) -> tuple[str, tuple[int, ...]]:
    """A name's kind and where it stands, comparable whatever the zeros.

    Example:
        >>> position("cp-2"), position("cp-0002-000050")
        (('cp', (2, 0)), ('cp', (2, 50)))
    """
    kind, *numbers = name.removesuffix(".index").split("-")
    if not numbers or len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        return name, (0, 0)
    return kind, (*map(int, numbers), 0)[:2]


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [repr(error)])[0]
