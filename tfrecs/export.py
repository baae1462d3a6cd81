"""A trained model as a SavedModel for TensorFlow Serving: strings in, strings and scores out, nothing else needed.

Each export is a numbered version folder, `EXPORT_DIR/1`, `EXPORT_DIR/2`, ..., that appears whole or not at all:

| signature         | inputs                                                              | outputs           |
|-------------------|---------------------------------------------------------------------|-------------------|
| `serving_default` | `user` string `[batch]`, `history` string `[batch, time]`           | `items`, `scores` |
| `score`           | the same and `candidates` string `[batch, count]`                   | `scores`          |
| `serialized`      | `examples` string `[batch]`, records as in `tfrecs.data.schema`     | `items`, `scores` |

`history` is oldest first. `''` is padding, anywhere; items that the vocabulary lacks are dropped; a user whom it lacks,
`''` too, is user 0, whom the models answer from the history alone. `items` `[batch, k]` are the best that the history
does not hold, best first, filled up with `''` at score -inf; a candidate that the vocabulary lacks scores -inf.
"""

import contextlib
import os
import re
import shutil
import tempfile

import keras
import tensorflow as tf

from tfrecs import files
from tfrecs.data import records
from tfrecs.data.manifest import digest
from tfrecs.errors import InputError

VOCABULARIES = ("user", "item")
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
        "vocabulary_sizes": {name: manifest.vocabularies[name].size for name in VOCABULARIES},
    }
    with _staging(export_dir) as staging, tempfile.TemporaryDirectory() as vocabularies:
        service = _Service(model, manifest, _copy_vocabularies(data_dir, manifest, vocabularies), k)
        folder = os.path.join(staging, "saved_model")
        service.archive().write_out(folder, verbose=False)
        path = os.path.join(folder, DESCRIPTION)
        os.makedirs(os.path.dirname(path))
        files.write_json(path, description)
        return _publish(folder, export_dir)


class _Service:
    """The signatures of one model, as functions of tensors.

    Args:
        model: a `SequentialRecommender`.
        manifest: the `Manifest` of its data.
        paths: dict of `user` and `item` to the path of a vocabulary file.
        k: int, items in an answer.
    """

    def __init__(self, model, manifest, paths, k):
        self.model, self.fields, self.k = model, manifest.fields, k
        line, text = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE

        def ids(name):
            size = manifest.vocabularies[name].size
            # Files, not constants: they have no 2 GB bound, and whoever has the export can read them.
            lines = tf.lookup.TextFileInitializer(
                paths[name], tf.string, text, tf.int64, line, vocab_size=size, value_index_offset=1
            )
            return tf.lookup.StaticHashTable(lines, 0)

        self.user_ids, self.item_ids = ids("user"), ids("item")
        tokens = tf.lookup.TextFileInitializer(
            paths["item"], tf.int64, line, tf.string, text, vocab_size=manifest.vocabularies["item"].size
        )
        self.item_tokens = tf.lookup.StaticHashTable(tokens, "")

    def archive(self):
        """Tables tracked, signatures added; they bring their variables, and `track(model)` would store each twice."""
        archive = keras.export.ExportArchive()
        for table in (self.user_ids, self.item_ids, self.item_tokens):
            archive.track(table)
        user, examples = (tf.TensorSpec([None], tf.string, name) for name in ("user", "examples"))
        history, candidates = (tf.TensorSpec([None, None], tf.string, name) for name in ("history", "candidates"))
        archive.add_endpoint("serving_default", self.recommend, [user, history])
        archive.add_endpoint("score", self.score, [user, history, candidates])
        archive.add_endpoint("serialized", self.recommend_serialized, [examples])
        return archive

    def recommend(self, user, history):
        """Signature `serving_default`."""
        return self._best(*self._look_up(user, history))

    def recommend_serialized(self, examples):
        """Signature `serialized`; ids beyond the vocabularies count as unknown."""
        sequences = records.parse(examples, self.fields)
        user, items = sequences["user"], sequences["item"]
        user = tf.where(_within(user, self.model.num_users), user, 0)
        return self._best(user, tf.ragged.boolean_mask(items, _within(items, self.model.num_items)))

    def score(self, user, history, candidates):
        """Signature `score`."""
        user, items = self._look_up(user, history)
        _check_rows(candidates, user, "candidates")
        ids = self.item_ids.lookup(candidates)
        scores = tf.cast(self.model.score(self._inputs(user, items), ids), tf.float32)
        return {"scores": tf.where(ids > 0, scores, -float("inf"))}

    def _look_up(self, user, history):
        """User ids `[batch]` and the known items of each history, ragged `[batch, (time)]`."""
        _check_rows(history, user, "history")
        ids = self.item_ids.lookup(history)
        return self.user_ids.lookup(user), tf.ragged.boolean_mask(ids, ids > 0)

    def _inputs(self, user, items):
        return self.model.history_inputs({"user": user, "item": items})

    def _best(self, user, items):
        ids, scores = self.model.recommend(self._inputs(user, items), self.k, excluded=items.to_tensor())
        tokens, scores = self.item_tokens.lookup(ids - 1), tf.cast(scores, tf.float32)
        missing = [[0, 0], [0, max(0, self.k - self.model.num_items)]]
        return {
            "items": tf.pad(tokens, missing, constant_values=""),
            "scores": tf.pad(scores, missing, constant_values=-float("inf")),
        }


def _within(ids, count):
    return tf.logical_and(ids >= 1, ids <= count)


def _check_rows(tensor, user, name):
    # Without it, a single row would be broadcast over the others' users.
    tf.debugging.assert_equal(tf.shape(tensor)[0], tf.shape(user)[0], f"{name} and user differ in their batch size")


def _check_sizes(model, data_dir, manifest):
    for name, ours in (("user", model.num_users), ("item", model.num_items)):
        size = manifest.vocabularies[name].size
        if ours != size:
            raise InputError(f"{data_dir}: {size} {name}s, but the model has {ours}: it was trained on other data")


def _copy_vocabularies(data_dir, manifest, directory):
    """Copies; tables name themselves after their file's path, so that paths of their own keep exports apart."""
    copies = {}
    for name in VOCABULARIES:
        vocabulary = manifest.vocabularies[name]
        path, copies[name] = os.path.join(data_dir, vocabulary.path), os.path.join(directory, f"{name}.txt")
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
