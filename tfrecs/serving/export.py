"""A trained model as a SavedModel for TensorFlow Serving: strings in, strings and scores out, nothing else needed.

Each export is a numbered version folder, `EXPORT_DIR/1`, `EXPORT_DIR/2`, ..., written atomically.

What the signatures take and give is said in `tfrecs.serving.signatures`.
"""

import contextlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfrecs import files, staging
from tfrecs.data.manifest import Manifest, digest, file_path
from tfrecs.errors import InputError, option
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.serving.signatures import Service, vocabularies
from tfrecs.serving.tokens import check_count

DESCRIPTION = os.path.join("assets.extra", "export.json")  # the folder that TensorFlow Serving leaves to exporters


def export(model: SequentialRecommender, data_dir: str, manifest: Manifest, export_dir: str, k: int = 10) -> str:
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
        NotFiniteError: weights or scores of the model are NaN or infinite; nothing is written.

    Example:
        >>> export(None, "data/sample", None, "export/attrec", k=0)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: k: expected an integer of at least 1, got 0
    """
    k = check_count(k)
    _check_sizes(model, data_dir, manifest)
    description = {
        "model": type(model).__name__,
        "arguments": model.get_config(),
        "k": k,
        "dataset": manifest.name,
        "request_fields": list(model.request_fields),
        "vocabulary_sizes": {name: manifest.vocabularies[name].size for name in vocabularies(model)},
    }
    with tempfile.TemporaryDirectory() as copies:
        service = Service(model, manifest, _copy_vocabularies(model, data_dir, manifest, copies), k)
        service.verify()
        return _write(service, description, export_dir)


def _write(service: Service, description: Mapping[str, Any], export_dir: str) -> str:
    flag = f"{option('export_dir')} {export_dir}"
    # TensorFlow Serving takes a name that begins with a dot for no version.
    with staging.stage(export_dir, f"export-{secrets.token_hex(4)}", flag) as stage:
        try:
            service.archive().write_out(stage.directory, verbose=False)
        except tf.errors.OpError as error:
            raise InputError(f"{flag}: cannot be written: {error.message}") from error
        path = os.path.join(stage.directory, DESCRIPTION)
        os.makedirs(os.path.dirname(path))
        files.write_json(path, description)
        return _publish(stage, export_dir)


def _check_sizes(model: SequentialRecommender, data_dir: str, manifest: Manifest) -> None:
    for name, ours in (("user", model.num_users), ("item", model.num_items)):
        size = manifest.vocabularies[name].size
        if ours != size:
            raise InputError(f"{data_dir}: {size} {name}s, but the model has {ours}: it was trained on other data")


def _copy_vocabularies(
    model: SequentialRecommender, data_dir: str, manifest: Manifest, directory: str
) -> dict[str, str]:
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


def _publish(stage: staging.Stage, export_dir: str) -> str:
    """Renames to the next version, to a later one where another export is faster."""
    while True:
        taken = [int(name) for name in os.listdir(export_dir) if re.fullmatch("[0-9]+", name)]
        path = os.path.join(export_dir, str(max(taken, default=0) + 1))
        with contextlib.suppress(FileExistsError):
            stage.publish(path)
            return path
