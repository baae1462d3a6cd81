"""A directory that appears whole or not at all."""

import contextlib
import os
import shutil
import tempfile

from tfrecs.data.manifest import FILE_NAME
from tfrecs.errors import InputError


@contextlib.contextmanager
def staged_directory(path, overwrite=False):
    """Gives a temporary sibling of `path` to write into, renamed to `path` at the end.

    Upon any failure, Ctrl-C included, the sibling is removed and what was at `path` stays.

    Args:
        path: str, the directory to make.
        overwrite: bool, replace prepared data that is there already.

    Yields:
        str, the temporary directory.

    Raises:
        InputError: `path` exists and may not be replaced, or cannot be written.

    Example:
        >>> import tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "data")
        >>> with staged_directory(path) as directory:
        ...     open(os.path.join(directory, "file"), "w").close()
        >>> os.listdir(path)
        ['file']
    """
    path = os.path.abspath(path)
    _check(path, overwrite)
    parent, base = os.path.split(path)
    try:
        os.makedirs(parent, exist_ok=True)
        directory = tempfile.mkdtemp(prefix=f".{base}.", suffix=".tmp", dir=parent)
    except OSError as error:
        raise InputError(f"--out_dir {path}: cannot be written: {error.strerror}") from None
    try:
        yield directory
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(directory, 0o777 & ~umask)
        _replace(directory, path)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _check(path, overwrite):
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise InputError(f"--out_dir {path}: exists already; --overwrite 1 replaces it")
    if not os.path.isdir(path) or os.path.islink(path):
        raise InputError(f"--out_dir {path}: not a directory, so --overwrite leaves it alone")
    if os.listdir(path) and not os.path.exists(os.path.join(path, FILE_NAME)):
        raise InputError(f"--out_dir {path}: holds other files but no {FILE_NAME}; --overwrite leaves it alone")


def _replace(directory, path):
    if os.path.isdir(path):
        old = tempfile.mkdtemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path))
        os.rename(path, os.path.join(old, "old"))
        os.rename(directory, path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(directory, path)
