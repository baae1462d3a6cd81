"""The directory of prepared data, written atomically."""

import contextlib
import json
import os
from collections.abc import Iterator

from tfrecs import files, staging
from tfrecs.data.manifest import ATTRIBUTES_FILE, FILE_NAME
from tfrecs.errors import InputError, option

LARGEST_MANIFEST = 16 << 20


@contextlib.contextmanager
def staged_directory(path: str, overwrite: bool = False) -> Iterator[str]:
    """Gives an empty directory to write into, renamed to `path` at the end.

    Upon any failure, Ctrl-C included, it is removed and what was at `path` stays; so does what appeared there
    meanwhile.

    Args:
        path: str, the directory to make.
        overwrite: bool, replace prepared data that is there already. A directory that holds any other file is not
            replaced.

    Yields:
        str, the directory to write into.

    Raises:
        InputError: `path` exists and may not be replaced, or cannot be written, or another process is writing it.

    Example:
        >>> import tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "data")
        >>> with staged_directory(path) as directory:
        ...     open(os.path.join(directory, "file"), "w").close()
        >>> os.listdir(path)
        ['file']
    """
    path = os.path.abspath(path)
    flag = f"{option('out_dir')} {path}"
    before = _replaceable(path, overwrite, flag)
    parent, base = os.path.split(path)
    with staging.stage(parent, base, flag) as stage:
        yield stage.directory
        if before is None:
            try:
                stage.publish(path)
            except FileExistsError:
                raise InputError(f"{flag}: appeared while the data were prepared, and was left as it is") from None
        else:
            if not os.path.lexists(path) or not os.path.samestat(before, os.lstat(path)):
                raise InputError(f"{flag}: replaced by another process while the data were prepared; left as it is")
            _replaceable(path, overwrite, flag)
            stage.replace(path, _own_files(path, flag))


def _replaceable(path: str, overwrite: bool, flag: str) -> os.stat_result | None:
    """The `os.stat_result` of a directory that may be replaced, or None where nothing is."""
    if not os.path.lexists(path):
        return None
    if not overwrite:
        raise InputError(f"{flag}: exists already; {option('overwrite 1', 'overwrite=True')} replaces it")
    if not os.path.isdir(path) or os.path.islink(path):
        raise InputError(f"{flag}: not a directory, so {option('overwrite')} leaves it alone")
    own = {os.path.normpath(name) for name in _own_files(path, flag)}
    folders = {os.path.dirname(name) for name in own}
    for folder, below, names in os.walk(path):
        for name in (*names, *below):
            relative = os.path.relpath(os.path.join(folder, name), path)
            is_folder = name in below and not os.path.islink(os.path.join(folder, name))
            if relative not in (folders if is_folder else own):
                raise InputError(
                    f"{flag}: holds {relative!r}, which is not part of the prepared data; {option('overwrite')} leaves "
                    "the directory alone: move the file away, or name another directory"
                )
    return os.lstat(path)


def _own_files(path: str, flag: str) -> list[str]:
    """The files that the manifest there names, whatever its version; none where the directory is empty."""
    if not os.listdir(path):
        return []
    manifest = os.path.join(path, FILE_NAME)
    if not os.path.lexists(manifest):
        raise InputError(f"{flag}: holds other files but no {FILE_NAME}; {option('overwrite')} leaves it alone")
    try:
        with files.open_regular(manifest) as file:
            content = json.loads(file.read(LARGEST_MANIFEST))
        entries = [*content["shards"], *content["vocabularies"].values()]
        names = [str(entry["path"]) for entry in entries]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"{flag}: {FILE_NAME} is damaged, so it is unknown which files are the data's; {option('overwrite')} "
            "leaves the directory alone: remove it, or name another one"
        ) from None
    return [FILE_NAME, ATTRIBUTES_FILE, *names]
