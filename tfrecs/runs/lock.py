"""One process at a time writes into a run directory: a lock that the operating system drops with its process."""

import contextlib
import errno
import os
import re
import socket
import threading
from collections.abc import Iterator

from tfrecs.errors import InputError, option
from tfrecs.progress import note

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FILE_NAME = "run.lock"
HOLDER = re.compile(r"(pid \d+ on [^\n]{1,255}\n)?")
LOCKED = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_BEYOND_THE_TEXT = 2**20  # Windows locks bytes, and no process can read those that another one locked

_held: dict[tuple[str, int], int] = {}  # (directory, thread): how often it is locked


@contextlib.contextmanager
def exclusive(directory: str) -> Iterator[None]:
    """Locks a run directory while the block runs; made if absent. The thread that has the lock may lock again.

    `flock` where there is one, else `msvcrt.locking`: either ends with the process, however that ends, so the file
    `run.lock` stays and means nothing by itself. On a file system without locks the run goes on, with a note.

    Args:
        directory: str.

    Raises:
        InputError: another process has the lock (the message names it), `run.lock` is not a file that tfrecs wrote, or
            the directory cannot be written.

    Example:
        >>> import tempfile
        >>> directory = tempfile.mkdtemp()
        >>> with exclusive(directory):
        ...     os.listdir(directory)
        ['run.lock']
    """
    key = os.path.realpath(directory), threading.get_ident()
    with contextlib.ExitStack() as stack:
        if not _held.get(key):
            stack.callback(os.close, _acquire(directory))
        _held[key] = _held.get(key, 0) + 1
        try:
            yield
        finally:
            _held[key] -= 1


def is_foreign(directory: str) -> bool:
    """Whether `run.lock` is there and something else than a lock of tfrecs."""
    path = os.path.join(directory, FILE_NAME)
    if not os.path.lexists(path):
        return False
    if os.path.islink(path) or not os.path.isfile(path):
        return True
    with open(path, "rb") as file:
        return HOLDER.fullmatch(file.read(300).decode("utf-8", "replace")) is None


def _acquire(directory: str) -> int:
    path = os.path.join(directory, FILE_NAME)
    try:
        os.makedirs(directory, exist_ok=True)
        if is_foreign(directory):
            raise InputError(f"{path}: not a lock of tfrecs; move it away, or name another {option('run_dir')}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno in LOCKED:
            holder = os.read(descriptor, 300).decode("utf-8", "replace").strip() or "unknown"
            os.close(descriptor)
            raise InputError(
                f"{directory}: another process is writing there ({holder}); wait for it, or name another "
                f"{option('run_dir')}"
            ) from None
        note(f"{directory}: cannot be locked here ({error.strerror}); run nothing else in it at the same time")
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n".encode())
    return descriptor


def _lock(descriptor: int) -> None:
    if fcntl:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        os.lseek(descriptor, _BEYOND_THE_TEXT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
