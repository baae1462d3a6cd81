"""A trained model as a SavedModel for TensorFlow Serving: strings in, strings and scores out, nothing else needed.

Each export is a numbered version folder, `EXPORT_DIR/1`, `EXPORT_DIR/2`, ..., that appears whole or not at all:

What the signatures take and give is said in `tfrecs.serving`.
"""

import contextlib
import os
import re
import shutil
import tempfile

import tensorflow as tf

from tfrecs import files
from tfrecs.data.manifest import digest, file_path
from tfrecs.errors import InputError
from tfrecs.serving import Service, vocabularies

DESCRIPTION = os.path.join("assets.extra", "export.json")  # the folder that TensorFlow Serving leaves to exporters


def export(model, data_dir, manifest, export_dir, k=10):
    """Writes the next version of a SavedModel, self-contained: the folder may be moved to another machine.

    Args:
        model: a `SequentialRecommender`.
        data_dir: str, the prepared data it was trained on.
        manifest: its `Manifest`.
        export_dir: str, the model's folder, made if absent; the version is 1 + the largest one there.
        k: int, items in an answer.

    Returns:
        str, the version folder, `EXPORT_DIR/VERSION`.

    Raises:
        InputError: `k` is below 1, `export_dir` cannot be written, or model, manifest and vocabulary files do not
            belong together. No version folder is left behind.

    Example:
        >>> export(None, "data/sample", None, "export/attrec", k=0)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: k: expected an integer of at least 1, got 0
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k: expected an integer of at least 1, got {k!r}")
    _check_sizes(model, data_dir, manifest)
    description = {
        "model": type(model).__name__,
        "arguments": model.get_config(),
        "k": k,
        "dataset": manifest.name,
        "request_fields": list(model.request_fields),
        "vocabulary_sizes": {name: manifest.vocabularies[name].size for name in vocabularies(model)},
    }
    with _staging(export_dir) as staging, tempfile.TemporaryDirectory() as copies:
        service = Service(model, manifest, _copy_vocabularies(model, data_dir, manifest, copies), k)
        folder = os.path.join(staging, "saved_model")
        service.archive().write_out(folder, verbose=False)
        path = os.path.join(folder, DESCRIPTION)
        os.makedirs(os.path.dirname(path))
        files.write_json(path, description)
        return _publish(folder, export_dir)


def _check_sizes(model, data_dir, manifest):
    for name, ours in (("user", model.num_users), ("item", model.num_items)):
        size = manifest.vocabularies[name].size
        if ours != size:
            raise InputError(f"{data_dir}: {size} {name}s, but the model has {ours}: it was trained on other data")


def _copy_vocabularies(model, data_dir, manifest, directory):
    """Copies; tables name themselves after their file's path, so that paths of their own keep exports apart."""
    copies = {}
    for name in vocabularies(model):
        vocabulary = manifest.vocabularies[name]
        path, copies[name] = file_path(data_dir, vocabulary.path), os.path.join(directory, f"{name}.txt")
        try:
            shutil.copyfile(path, copies[name])
        except OSError as error:
            raise InputError(f"{path}: listed in the manifest but {error.strerror}") from None
        if digest(copies[name])[0] != vocabulary.sha256:
            raise InputError(f"{path}: altered: its sha256 is not the manifest's; prepare the data again")
    return copies


@contextlib.contextmanager
def _staging(export_dir):
    """A temporary folder in `export_dir`, with a name that TensorFlow Serving takes for no version."""
    try:
        os.makedirs(export_dir, exist_ok=True)
        staging = tempfile.mkdtemp(prefix=".", suffix=".tmp", dir=export_dir)
    except OSError as error:
        raise InputError(f"--export_dir {export_dir}: cannot be written: {error.strerror}") from None
    try:
        yield staging
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", error)
        raise InputError(f"--export_dir {export_dir}: cannot be written: {reason}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _publish(folder, export_dir):
    """Renames to the next version, to a later one where another export is faster."""
    while True:
        taken = [int(name) for name in os.listdir(export_dir) if re.fullmatch("[0-9]+", name)]
        path = os.path.join(export_dir, str(max(taken, default=0) + 1))
        try:
            os.rename(folder, path)
        except OSError:
            if not os.path.lexists(path):
                raise
        else:
            return path
