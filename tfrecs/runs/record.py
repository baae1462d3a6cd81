"""`run.json` marks a directory as a run directory, and lists the checkpoints in it that tfrecs wrote.

Nothing else in it is ever removed. Checkpoints are listed before they are written, so that what a killed process left
is known too. The other names that a run writes (`OWN`) are tfrecs's own in every marked directory, because a directory
that has one of them already is not marked.
"""

import contextlib
import os
import re
from collections.abc import Collection, Sequence

from tfrecs import json_files
from tfrecs.errors import InputError, option
from tfrecs.json_schema import Text
from tfrecs.runs import lock, pointer

FILE_NAME = "run.json"
CONFIG = "config.json"
RETRAIN = "retrain"  # the folder of the second phase, a run directory of its own
TENSORBOARD = "tensorboard"
EVENTS_END = ".tfrecs"  # of the names of our event files: others may write into the folder, too
OWN = (CONFIG, pointer.FILE_NAME, "history.csv", "metrics.json", "ranks.parquet", "curves.png")
TEMPORARY = tuple(f"{name}.tmp" for name in (*OWN, FILE_NAME))
NAME = re.compile(r"(cp-\d{4,}(-\d{6,})?|best-\d{4,})")
CHECKPOINT_FILE = re.compile(
    rf"(?P<name>{NAME.pattern})"
    r"(_temp|\.json(\.tmp)?|\.index(\.tempstate\d+)?|\.data-\d{5}-of-\d{5}(\.tempstate\d+)?)"
)
SCHEMA = {"checkpoints": [Text(NAME.pattern)]}
PART = re.compile(r"part-\d{5}-of-\d{5}\.(index|data-\d{5}-of-\d{5})(\.tempstate\d+)?")  # in a `_temp` folder


def is_marked(directory: str) -> bool:
    """Whether a directory is a run directory."""
    return os.path.lexists(os.path.join(directory, FILE_NAME))


def written(directory: str) -> list[str]:
    """The names of the checkpoints that tfrecs wrote, or was about to write, into a run directory.

    Raises:
        InputError: the record is damaged.
    """
    return _read(directory) if is_marked(directory) else []


def conflicts(directory: str) -> list[str]:
    """Entries of a directory that is not marked which a run would write over; sorted names."""
    if not os.path.isdir(directory) or is_marked(directory):
        return []
    own = {*OWN, *TEMPORARY, RETRAIN}
    found = [name for name in os.listdir(directory) if name in own or CHECKPOINT_FILE.fullmatch(name)]
    found += [lock.FILE_NAME] if lock.is_foreign(directory) else []
    events = os.path.join(directory, TENSORBOARD)
    found += [TENSORBOARD] if os.path.lexists(events) and not os.path.isdir(events) else []
    return sorted(found)


def check(directory: str) -> None:
    """Refuses a directory that is no run directory but holds names that a run writes.

    Raises:
        InputError: naming them.
    """
    names = conflicts(directory)
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise InputError(
            f"{option('run_dir')} {directory}: not a run directory of this version (it has no {FILE_NAME}), but it "
            f"holds {shown}, which a run would write over; move that away, or name another {option('run_dir')}"
        )


def check_links(directory: str, fresh: bool) -> None:
    """Refuses links in place of a run directory's own folders: what is behind them may be another run's.

    Args:
        directory: str.
        fresh: bool, the run starts from nothing, so that files in either folder would be removed.

    Raises:
        InputError: naming the link.
    """
    for name in (RETRAIN, TENSORBOARD) if fresh else (RETRAIN,):
        path = os.path.join(directory, name)
        if os.path.islink(path):
            raise InputError(f"{path}: a link, and a run removes files in that folder; move it away")


def is_used(directory: str) -> bool:
    """Whether a run directory holds anything of a run."""
    if not is_marked(directory):
        return False
    own = any(os.path.lexists(os.path.join(directory, name)) for name in OWN)
    return own or bool(_files(directory)) or is_marked(os.path.join(directory, RETRAIN))


def mark(directory: str, names: Sequence[str] = ()) -> None:
    """Makes a directory a run directory, which it may be already.

    Args:
        directory: str, made if absent.
        names: list of str, checkpoints in it that are known to be tfrecs's own.

    Raises:
        InputError: it holds names that a run writes, or cannot be written.
    """
    os.makedirs(directory, exist_ok=True)
    if not is_marked(directory):
        if not names:
            check(directory)
        _write(directory, names)


def claim(directory: str, name: str) -> None:
    """Lists a checkpoint that is about to be written; marks the directory where it is not.

    Raises:
        InputError: the directory holds a file of that name which tfrecs did not write.

    Example:
        >>> import tempfile
        >>> directory = tempfile.mkdtemp()
        >>> claim(directory, "cp-0001")
        >>> written(directory)
        ['cp-0001']
    """
    mark(directory)
    names = _read(directory)
    if name in names:
        return
    foreign = _files(directory, [name])
    if foreign:
        raise InputError(f"{foreign[0]}: not written by tfrecs; move it away")
    _write(directory, [*names, name])


def remove(directory: str, names: Collection[str]) -> None:
    """Removes checkpoints that are listed, whatever of them there is, then takes them off the list.

    Args:
        directory: str.
        names: list of str; those that are not listed stay.
    """
    kept = written(directory)
    gone = [name for name in kept if name in names]
    if gone:
        for path in _files(directory, gone):
            _remove(path)
        _write(directory, [name for name in kept if name not in gone])


def remove_stale(directory: str) -> None:
    """Removes the temporary files that a killed process left."""
    for name in TEMPORARY if is_marked(directory) else ():
        _remove(os.path.join(directory, name))
    for path in _files(directory, written(directory)):
        if path.endswith(("_temp", ".tmp")) or ".tempstate" in path:
            _remove(path)


def clear(directory: str) -> None:
    """Removes everything that tfrecs wrote into a run directory but its marker; foreign files stay.

    The configuration goes first: what a kill leaves is no run that could be resumed.
    """
    if not is_marked(directory):
        return
    for name in (*OWN, *TEMPORARY):
        _remove(os.path.join(directory, name))
    remove(directory, written(directory))
    events = os.path.join(directory, TENSORBOARD)
    for name in os.listdir(events) if os.path.isdir(events) else ():
        if name.startswith("events.out.tfevents.") and name.endswith(EVENTS_END):
            os.remove(os.path.join(events, name))
    folder = os.path.join(directory, RETRAIN)
    if is_marked(folder):
        clear(folder)
        os.remove(os.path.join(folder, FILE_NAME))
    for path in (events, folder):
        with contextlib.suppress(OSError):  # it is not there, or holds what others wrote
            os.rmdir(path)


def _files(directory: str, names: Collection[str] | None = None) -> list[str]:
    """The paths of checkpoints' files, temporary ones too, of these names or of any that is listed."""
    names = written(directory) if names is None else names
    if not os.path.isdir(directory):
        return []
    matches = map(CHECKPOINT_FILE.fullmatch, sorted(os.listdir(directory)))
    return [os.path.join(directory, match[0]) for match in matches if match and match["name"] in names]


def _remove(path: str) -> None:
    """Removes a file, or of a folder of TensorFlow's what TensorFlow writes there."""
    if os.path.islink(path) or not os.path.isdir(path):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        return
    for name in os.listdir(path):
        if PART.fullmatch(name):
            os.remove(os.path.join(path, name))
    with contextlib.suppress(OSError):  # others' files are in it
        os.rmdir(path)


def _read(directory: str) -> list[str]:
    remedy = f"without the file, {option('load_model 1', 'resume=True')} lists again what has a checksum of tfrecs"
    return json_files.read(os.path.join(directory, FILE_NAME), SCHEMA, "a record of a run", remedy)["checkpoints"]


def _write(directory: str, names: Sequence[str]) -> None:
    json_files.write(os.path.join(directory, FILE_NAME), {"checkpoints": sorted(names)})
