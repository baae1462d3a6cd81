"""The signatures of a served model, as functions of tensors: strings in, strings and scores out.

| signature         | inputs                                                              | outputs           |
|-------------------|---------------------------------------------------------------------|-------------------|
| `serving_default` | `user` string `[batch]`, `history` string `[batch, time]`           | `items`, `scores` |
| `score`           | the same and, last, `candidates` string `[batch, count]`            | `scores`          |
| `by_kind`         | the same as the first and, last, `kind` string `[batch]`            | `items`, `scores` |
| `serialized`      | `examples` string `[batch]`, records as in `tfrecs.data.schema`     | `items`, `scores` |

`history` is oldest first. `''` is padding, anywhere; items that the vocabulary lacks are dropped; a user whom it lacks,
`''` too, is user 0, whom the models answer from the history alone. `items` `[batch, k]` are the best that the history
does not hold, best first, filled up with `''` at score -inf; a candidate that the vocabulary lacks scores -inf.

A model that reads times or kinds of behaviour (its `request_fields`) takes, after `history` and aligned with it,
`timestamp` int64 `[batch, time]` in seconds and `now` int64 `[batch]`, and `action` string `[batch, time]`. A tensor
narrower than the history, `[batch, 0]` too, leaves the rest unknown: a time of 0 counts as `now`, a `now` of 0 as the
latest time of its row, an action that the vocabulary lacks as none; an empty `now` is 0 for every row. Tensors of
another number of rows, or wider than the history, are refused.
"""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tfrecs import metrics
from tfrecs.data import records
from tfrecs.data.manifest import Manifest
from tfrecs.data.records import Sequences
from tfrecs.errors import NotFiniteError
from tfrecs.models import catalogue
from tfrecs.models.catalogue import Catalogue
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.models.scoring import require_sound

VOCABULARIES = ("user", "item")
PROBED_USERS = 15  # known users whose answers are checked before an export is written
# Further inputs of a request, after user and history, and their types.
REQUEST_FIELDS = {"timestamp": tf.int64, "action": tf.string}


class Service:
    """The signatures of one model, as functions of tensors.

    Args:
        model: a `SequentialRecommender`.
        manifest: the `Manifest` of its data.
        paths: dict of the names that `vocabularies` gives to the paths of their files.
        k: int, items in an answer.
    """

    def __init__(self, model: SequentialRecommender, manifest: Manifest, paths: Mapping[str, str], k: int) -> None:
        self.model, self.fields, self.k = model, manifest.fields, k
        line, text = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE

        def ids(name: str) -> tf.lookup.StaticHashTable:
            size = manifest.vocabularies[name].size
            # Files, not constants: they have no 2 GB bound, and whoever has the export can read them.
            lines = tf.lookup.TextFileInitializer(
                paths[name], tf.string, text, tf.int64, line, vocab_size=size, value_index_offset=1
            )
            return tf.lookup.StaticHashTable(lines, 0)

        self.ids = {name: ids(name) for name in paths}
        self.kind_names = []  # from the file: a model that was loaded without its data does not know them
        if model.kind_attribute:
            with open(paths[model.kind_attribute], encoding="utf-8", newline="\n") as file:
                self.kind_names = file.read().split("\n")[:-1]
        tokens = tf.lookup.TextFileInitializer(
            paths["item"], tf.int64, line, tf.string, text, vocab_size=manifest.vocabularies["item"].size
        )
        self.item_tokens = tf.lookup.StaticHashTable(tokens, "")
        self.catalogue = _stored_catalogue(model)

    def archive(self) -> keras.export.ExportArchive:
        """Tables tracked, signatures added; they bring their variables, and `track(model)` would store each twice."""
        archive = keras.export.ExportArchive()
        for resource in (*self.ids.values(), self.item_tokens, *(self.catalogue or ())):
            archive.track(resource)
        request = [tf.TensorSpec([None], tf.string, "user"), tf.TensorSpec([None, None], tf.string, "history")]
        for name in self.model.request_fields:
            request.append(tf.TensorSpec([None, None], REQUEST_FIELDS[name], name))
            request += [tf.TensorSpec([None], tf.int64, "now")] if name == "timestamp" else []
        candidates = tf.TensorSpec([None, None], tf.string, "candidates")
        archive.add_endpoint("serving_default", self.recommend, request)
        archive.add_endpoint("score", self.score, [*request, candidates])
        if self.model.kind_attribute:
            kind = tf.TensorSpec([None], tf.string, "kind")
            archive.add_endpoint("by_kind", self.recommend_by_kind, [*request, kind])
        archive.add_endpoint("serialized", self.recommend_serialized, [tf.TensorSpec([None], tf.string, "examples")])
        return archive

    def recommend(self, user: tf.Tensor, history: tf.Tensor, *more: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `serving_default`."""
        return self._best(self._look_up(user, history, more))

    def recommend_by_kind(self, user: tf.Tensor, history: tf.Tensor, *more: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `by_kind`."""
        *fields, kind = more
        kind = _checked(kind, user, "kind")
        ids = self.ids[self.model.kind_attribute].lookup(kind)
        message = f"kind: expected one of {', '.join(self.kind_names)}, or an empty text for any"
        known = tf.reduce_all(tf.logical_or(ids > 0, tf.equal(kind, "")))
        with tf.control_dependencies([tf.debugging.Assert(known, [message, kind])]):
            return self._best(self._look_up(user, history, fields), tf.identity(ids))

    def recommend_serialized(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `serialized`; ids beyond the vocabularies count as unknown."""
        sequences = records.parse(examples, self.fields)
        user, items = sequences["user"], sequences["item"]
        known = _within(items, self.model.num_items)
        found = {"user": tf.where(_within(user, self.model.num_users), user, 0)}
        for name in ("item", *self.model.request_fields):
            found[name] = tf.ragged.boolean_mask(sequences[name], known)
            if name in self.ids and name != "item":
                inside = _within(found[name].values, self.ids[name].size())
                found[name] = found[name].with_values(tf.where(inside, found[name].values, 0))
        if "timestamp" in found:
            found["now"] = _latest(sequences["timestamp"].to_tensor())
        return self._best(found)

    def score(self, user: tf.Tensor, history: tf.Tensor, *more: tf.Tensor) -> dict[str, tf.Tensor]:
        """Signature `score`."""
        *fields, candidates = more
        sequences = self._look_up(user, history, fields)
        candidates = _checked(candidates, user, "candidates")
        ids = self.ids["item"].lookup(candidates)
        scores = tf.cast(self.model.score(self.model.history_inputs(sequences), ids), tf.float32)
        sound = tf.reduce_all(tf.logical_or(metrics.is_score(scores), ids <= 0), axis=1)
        require_sound(sound, type(self.model).__name__)
        return {"scores": tf.where(ids > 0, scores, -float("inf"))}

    def verify(self) -> None:
        """Checks that the model's answers can be ranked, for an unknown user and the first known ones.

        Every item is scored, with its own vector, for each of these users.

        Raises:
            NotFiniteError: weights or scores are NaN or infinite.
        """
        model = self.model
        for variable in model.trainable_variables:
            if not bool(tf.reduce_all(tf.math.is_finite(variable.value))):
                raise NotFiniteError(f"{type(model).__name__}: NaN or infinite weights in {variable.path}")
        user = tf.range(min(model.num_users, PROBED_USERS) + 1, dtype=tf.int64)
        item = tf.RaggedTensor.from_row_lengths(user[1:] % model.num_items + 1, tf.minimum(user, 1))
        model.recommend(model.history_inputs(items_alone(model, user, item)), self.k, table=self.catalogue)

    def _look_up(self, user: tf.Tensor, history: tf.Tensor, more: Sequence[tf.Tensor]) -> Sequences:
        """What `history_inputs` reads: ids of users, ragged `[batch, (time)]` fields of the known items."""
        history = _checked(history, user, "history")
        ids = self.ids["item"].lookup(history)
        found, left = {"user": self.ids["user"].lookup(user), "item": ids}, list(more)
        for name in self.model.request_fields:
            values = left.pop(0)
            values = _checked(values, user, name)
            values = _aligned(values, history, f"{name} is wider than history")
            if name == "timestamp":
                now = _now(left.pop(0), user)
                found["now"] = tf.where(now > 0, now, _latest(values))
                found[name] = tf.where(values > 0, values, found["now"][:, tf.newaxis])
            else:
                found[name] = self.ids[name].lookup(values)
        return {k: tf.ragged.boolean_mask(v, ids > 0) if v.shape.rank == 2 else v for k, v in found.items()}

    def _best(self, sequences: Sequences, kind: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        inputs, seen = self.model.history_inputs(sequences), sequences["item"].to_tensor()
        ids, scores = self.model.recommend(inputs, self.k, excluded=seen, kind=kind, table=self.catalogue)
        tokens, scores = self.item_tokens.lookup(ids - 1), tf.cast(scores, tf.float32)
        missing = [[0, 0], [0, max(0, self.k - self.model.num_items)]]
        return {
            "items": tf.pad(tokens, missing, constant_values=""),
            "scores": tf.pad(scores, missing, constant_values=-float("inf")),
        }


def _stored_catalogue(model: SequentialRecommender) -> Catalogue | None:
    """The model's catalogue as variables, so that no request makes it; None where the model has none.

    A table that is one of the model's own variables is stored once.
    """
    made = model.catalogue()
    if made is None:
        return None
    same = (v.value for v in model.variables if v.shape == made.vectors.shape and v.dtype == made.vectors.dtype.name)
    own = next((variable for variable in same if bool(tf.reduce_all(variable == made.vectors))), None)
    vectors = tf.Variable(made.vectors, trainable=False) if own is None else own
    return catalogue.Catalogue(vectors, tf.Variable(made.bound, trainable=False))


def items_alone(model: SequentialRecommender, user: tf.Tensor, item: tf.RaggedTensor) -> Sequences:
    """What `history_inputs` reads where only the items of histories are known: times count as now, actions as unknown.

    Args:
        model: a `SequentialRecommender`.
        user: int64 `[batch]`.
        item: ragged int64 `[batch, (time)]`.

    Returns:
        dict of tensors.
    """
    unknown = {name: item.with_values(tf.zeros_like(item.values)) for name in model.request_fields}
    now = {"now": tf.zeros_like(user)} if "timestamp" in unknown else {}
    return {"user": user, "item": item} | unknown | now


def _within(ids: tf.Tensor, count: int) -> tf.Tensor:
    return tf.logical_and(ids >= 1, ids <= count)


def _latest(timestamps: tf.Tensor) -> tf.Tensor:
    """The latest time of each row, 0 of an empty one."""
    return tf.reduce_max(tf.pad(timestamps, [[0, 0], [0, 1]]), axis=1)


def _aligned(values: tf.Tensor, like: tf.Tensor, message: str) -> tf.Tensor:
    """`values` `[batch, any]` padded to the width of `like`; what has no item is not cut off in silence."""
    width = tf.shape(like)[1]
    with tf.control_dependencies([tf.debugging.assert_less_equal(tf.shape(values)[1], width, message)]):
        filler = tf.zeros([tf.shape(values)[0], width - tf.shape(values)[1]], values.dtype)
    return tf.concat([values, filler], axis=1)


def _now(now: tf.Tensor, user: tf.Tensor) -> tf.Tensor:
    """`now` `[batch]`, or 0 for each row where it is empty; another length would leave rows without a time."""
    length, batch = tf.shape(now)[0], tf.shape(user)[0]
    expected = tf.where(length == 0, 0, batch)
    with tf.control_dependencies(
        [tf.debugging.assert_equal(length, expected, "now and user differ in their batch size")]
    ):
        return tf.concat([now, tf.zeros([batch - length], tf.int64)], axis=0)


def vocabularies(model: SequentialRecommender) -> list[str]:
    """Names of the vocabularies that serving a model takes."""
    actions = ["action"] if "action" in model.request_fields else []
    return [*VOCABULARIES, *actions, *([model.kind_attribute] if model.kind_attribute else [])]


def _checked(tensor: tf.Tensor, user: tf.Tensor, name: str) -> tf.Tensor:
    """The tensor, once it is known to have a row per user; else a single row would be broadcast over the others'."""
    check = tf.debugging.assert_equal(
        tf.shape(tensor)[0], tf.shape(user)[0], f"{name} and user differ in their batch size"
    )
    with tf.control_dependencies([check]):
        return tf.identity(tensor)
