"""Directories that appear in one step: written under another name, then renamed.

What is being written is in `.NAME.tfrecs-staging` in the same parent: `content`, the directory to be, and `lock`, a
file that is locked while its process lives. A process that was killed leaves such a directory without a live lock;
the next one in that parent finishes or undoes what was begun and removes it.
"""

import contextlib
import ctypes
import errno
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tfrecs.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: leftovers are removed, but two processes at once are not told from each other
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".tfrecs-staging"
LOCK, CONTENT, OLD = "lock", "content", "old"
NO_REPLACE, EXCHANGE = 1, 2  # flags of Linux' renameat2
AT_FDCWD = -100


class Stage:
    """A directory that is being written.

    Args:
        root: str, the staging directory, locked by this process.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.directory = os.path.join(root, CONTENT)

    def publish(self, path: str) -> None:
        """Renames the directory to `path`.

        Raises:
            FileExistsError: there is something, which stays as it is.
        """
        rename_to_new(self.directory, path)

    def replace(self, path: str, own_files: Sequence[str]) -> None:
        """Puts the directory in the place of another one, and removes that one's files.

        Args:
            path: str, a directory.
            own_files: list of str, the files of the other one that may be removed, relative to it. Any other file
                stays, and the error says where.

        Raises:
            InputError: the other one holds other files.
        """
        found = os.stat(self.directory)
        # Written first, so that whoever cleans up knows which of two directories is the new one.
        with open(os.path.join(self.root, LOCK), "r+", encoding="utf-8") as file:
            json.dump({"new": [found.st_dev, found.st_ino], "own_files": own_files}, file)
        if not _rename(self.directory, path, EXCHANGE):
            os.rename(path, os.path.join(self.root, OLD))
            rename_to_new(self.directory, path)


@contextlib.contextmanager
def stage(parent: str, name: str, flag: str) -> Iterator[Stage]:
    """Makes a staging directory in `parent`; nothing is left of it at the end, whatever happens.

    Args:
        parent: str, made if absent.
        name: str; a second process that stages the same name in the same parent is refused.
        flag: str, what messages begin with, `--out_dir data`.

    Yields:
        a `Stage`; its `directory` is empty.

    Raises:
        InputError: another process is writing there, or something cannot be written.

    Example:
        >>> import tempfile
        >>> parent = tempfile.mkdtemp()
        >>> with stage(parent, "data", "--out_dir") as staged:
        ...     open(os.path.join(staged.directory, "file"), "w").close()
        ...     staged.publish(os.path.join(parent, "data"))
        >>> os.listdir(parent), os.listdir(os.path.join(parent, "data"))
        (['data'], ['file'])
    """
    try:
        os.makedirs(parent, exist_ok=True)
        remove_leftovers(parent)
        root = os.path.join(parent, f".{name}{SUFFIX}")
        descriptor = _create(root, flag)
    except OSError as error:
        raise InputError(f"{flag}: cannot be written: {error.strerror}") from None
    try:
        os.mkdir(os.path.join(root, CONTENT))
        yield Stage(root)
    except OSError as error:
        raise InputError(f"{flag}: cannot be written: {error.strerror or error}") from error
    finally:
        try:
            _clean_up(root)
        finally:
            os.close(descriptor)


def remove_leftovers(parent: str) -> None:
    """Removes what killed processes left in a directory; what live ones are writing stays.

    Args:
        parent: str.
    """
    for name in os.listdir(parent):
        if name.startswith(".") and name.endswith(SUFFIX):
            _remove_dead(os.path.join(parent, name))


def rename_to_new(source: str, target: str) -> None:
    """Renames where nothing is; `FileExistsError` where something is, were it an empty directory."""
    if not _rename(source, target, NO_REPLACE):
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        os.rename(source, target)


def _rename(source: str, target: str, flags: int) -> bool:
    """Linux' renameat2, which knows exchange and no replacement; False where there is no such thing."""
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    if library.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):  # an old kernel, or a file system without it
        return False
    raise OSError(number, os.strerror(number), source, None, target)


def _create(root: str, flag: str) -> int:
    """Makes and locks a staging directory; the lock's descriptor."""
    path = os.path.join(root, LOCK)
    while True:
        try:
            os.mkdir(root)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileNotFoundError:  # another process took the empty directory for a leftover
            continue
        except FileExistsError:
            if not _remove_dead(root):
                raise InputError(f"{flag}: another process is writing there; {root} is its") from None
            continue
        if _is_locked_by(descriptor) and _is_same(descriptor, path):
            return descriptor
        os.close(descriptor)


def _is_locked_by(descriptor: int) -> bool:
    """Whether this process has the lock now."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)  # else a file system without locks
    return True


def _is_same(descriptor: int, path: str) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def _remove_dead(root: str) -> bool:
    """Removes a staging directory whose process is gone; whether it is removed."""
    if os.path.islink(root):
        return False
    try:
        descriptor = os.open(os.path.join(root, LOCK), os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        with contextlib.suppress(OSError):
            os.rmdir(root)  # killed before it had a lock: then it is empty
        return not os.path.lexists(root)
    try:
        if not _is_locked_by(descriptor):
            return False
        with contextlib.suppress(InputError):  # files that tfrecs did not write stay there
            _clean_up(root)
        return not os.path.lexists(root)
    finally:
        os.close(descriptor)


def _clean_up(root: str) -> None:
    """Finishes or undoes what was begun in a staging directory, and removes it."""
    content, old = os.path.join(root, CONTENT), os.path.join(root, OLD)
    record = _read_record(root)
    if record is None:
        shutil.rmtree(content, ignore_errors=True)
    else:
        path = _target(root)
        if os.path.isdir(old) and os.path.isdir(content) and not os.path.lexists(path):
            rename_to_new(old, path)  # between two renames: undone
        for replaced in (content, old):
            if os.path.isdir(replaced) and not os.path.islink(replaced):
                found = os.stat(replaced)
                if [found.st_dev, found.st_ino] == record["new"]:
                    shutil.rmtree(replaced, ignore_errors=True)
                elif not _remove_files(replaced, record["own_files"]):
                    raise InputError(f"{path}: replaced, but {replaced} holds files that tfrecs did not write")
    with contextlib.suppress(OSError):
        if set(os.listdir(root)) <= {LOCK}:
            os.remove(os.path.join(root, LOCK))
            os.rmdir(root)


def _target(root: str) -> str:
    """The directory that a staging directory is for."""
    parent, name = os.path.split(root)
    return os.path.join(parent, name[1:].removesuffix(SUFFIX))


def _read_record(root: str) -> dict[str, Any] | None:
    """What `Stage.replace` noted, or None; a file that another program wrote counts for nothing."""
    try:
        with open(os.path.join(root, LOCK), encoding="utf-8") as file:
            record = json.load(file)
        names = record["own_files"]
        if isinstance(names, list) and all(isinstance(name, str) for name in names) and "new" in record:
            return record
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        pass
    return None


def _remove_files(directory: str, names: Iterable[str]) -> bool:
    """Removes the files named that are in it, and the directories that are empty then; whether nothing is left."""
    inside = os.path.join(os.path.realpath(directory), "")
    for name in names:
        path = os.path.join(directory, name)
        if os.path.join(os.path.realpath(os.path.dirname(path)), "").startswith(inside):
            with contextlib.suppress(OSError):
                os.remove(path)
    for folder, _, _ in os.walk(directory, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not os.path.lexists(directory)
