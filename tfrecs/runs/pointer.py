"""The file `checkpoint`, which lists the checkpoints of a run directory: TensorFlow's own format, and a checksum.

A comment holds the checksum, so `tf.train.latest_checkpoint` reads the file too. Without it, one damaged character
could name an older checkpoint.
"""

import hashlib
import os
import re
from collections.abc import Sequence

from tfrecs import files
from tfrecs.errors import InputError

FILE_NAME = "checkpoint"
LINE = re.compile(r'all_model_checkpoint_paths: "([^"\n]+)"\n')


def write(directory: str, names: Sequence[str]) -> None:
    """Lists checkpoints.

    Args:
        directory: str.
        names: list of str, oldest first.

    Raises:
        InputError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> directory = tempfile.mkdtemp()
        >>> write(directory, ["cp-0001", "cp-0002"])
        >>> read(directory)
        ['cp-0001', 'cp-0002']
    """
    lines = [f'model_checkpoint_path: "{names[-1]}"', *(f'all_model_checkpoint_paths: "{name}"' for name in names)]
    files.write_text(_path(directory), _with_checksum("\n".join(lines) + "\n"))


def read(directory: str) -> list[str] | None:
    """The names that the file lists, oldest first; None where it is missing or damaged."""
    try:
        with files.open_regular(_path(directory)) as file:
            text = file.read().decode("utf-8")
    except (InputError, OSError, ValueError):
        return None
    body, _, _ = text.rpartition("# sha256 ")
    return LINE.findall(body) if text == _with_checksum(body) else None


def exists(directory: str) -> bool:
    """Whether the file is there, readable or not."""
    return os.path.lexists(_path(directory))


def _path(directory: str) -> str:
    return os.path.join(directory, FILE_NAME)


def _with_checksum(body: str) -> str:
    return f"{body}# sha256 {hashlib.sha256(body.encode()).hexdigest()}\n"
