"""Files that are written in one step, and files that are read only where they are files."""

import io
import json
import os
import stat
from typing import Any

from tfrecs.errors import InputError


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes to a temporary name, flushes to disk, then renames.

    Args:
        path: str.
        content: bytes.

    Raises:
        InputError: naming the file, where the disk is full or the directory cannot be written; what was at `path`
            stays and no other file is left.
    """
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if os.path.exists(temporary):
            os.remove(temporary)
        if isinstance(error, OSError):
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """`write_bytes` of UTF-8 text, line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """`write_bytes` of indented JSON."""
    write_text(path, json.dumps(content, indent=2, allow_nan=True) + "\n")


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Opens a file to read bytes; what is no regular file is refused at once, where a named pipe would wait.

    Args:
        path: str.

    Returns:
        a binary file.

    Raises:
        InputError: naming the file: it cannot be opened, or it is a directory, a pipe or a device.

    Example:
        >>> open_regular("/dev/null")
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: /dev/null: not a regular file
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{path}: not a regular file")
    return open(descriptor, "rb")


def check_writable(flag: str, path: str | os.PathLike[str]) -> None:
    """Finds out, before anything is written, whether a directory can be made or written.

    Args:
        flag: str, what the message names, `--run_dir` on a command line.
        path: str, a directory that may be absent.

    Raises:
        InputError: `path`, or its directory, is a file or may not be written.

    Example:
        >>> check_writable("--run_dir", __file__ + "/run")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: --run_dir ...files.py/run: ...files.py is not a directory
    """
    there = os.path.abspath(path)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise InputError(f"{flag} {path}: {there} is not a directory")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{flag} {path}: {there} cannot be written")
