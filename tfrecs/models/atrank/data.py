"""ATRank's side of the data: which columns and attributes it reads, and prefixes as examples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecs.data import kinds, windows
from tfrecs.data.manifest import Manifest, read_vocabulary
from tfrecs.data.negatives import Sampler
from tfrecs.data.records import Sequences
from tfrecs.data.schema import PAD
from tfrecs.errors import InputError, nearest, option
from tfrecs.models import item_attributes
from tfrecs.models.atrank.behaviours import time_buckets
from tfrecs.models.kinds import kind_id
from tfrecs.models.recommender import SequentialRecommender

FIRST = ("first",)


def missing_columns(manifest: Manifest, arguments: Mapping[str, Any]) -> list[str]:
    """Names of columns and attributes that the data lacks; see `SequentialRecommender.missing_columns`."""
    lacking = [] if arguments.get("time") == "none" or "timestamp" in manifest.fields else ["timestamp"]
    kind = arguments.get("object_type")
    lacking += [kind] if kind and kind not in manifest.attributes else []
    names = tuple(arguments.get("attributes", item_attributes.ALL))
    # Items without any attribute are told apart by their own vectors.
    return lacking + (item_attributes.missing(names, manifest) if names not in (item_attributes.ALL, FIRST) else [])


def require_inputs(model: SequentialRecommender, present: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuses what lacks a tensor that the model reads: zeros in its place would train without a word.

    Args:
        model: `ATRank`.
        present: dict of tensors by name.
        wanted: dict of name to whether the model reads it.

    Raises:
        InputError: naming the first that is absent.
    """
    for name, needed in wanted.items():
        if needed and name not in present:
            what = f"time={model.time!r}" if name in ("bucket", "timestamp") else f"num_actions={model.num_actions}"
            raise InputError(f"ATRank with {what} reads {name!r}, but is given {', '.join(sorted(present))}")


def attribute_names(manifest: Manifest, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The attributes that are features, a tuple of str."""
    names = tuple(arguments.get("attributes", item_attributes.ALL))
    kind = arguments.get("object_type")
    if kind in names:
        raise InputError(
            f"{option('attributes')} {','.join(names)}: {kind!r} is the {option('object_type')}, which is no feature"
        )
    known = [name for name in manifest.attributes if name != kind]
    if names == FIRST:
        return ("category",) if "category" in known else tuple(known[:1])
    return tuple(name for name in item_attributes.attribute_names(names, manifest) if name != kind)


def sizes(data_dir: str, manifest: Manifest, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes that the data decides, except for the numbers of users and items."""
    kind = arguments.get("object_type")
    num_actions = manifest.vocabularies["action"].size if "action" in manifest.fields else 0
    num_groups = manifest.vocabularies[kind].size if kind else max(1, num_actions)
    if kind:
        _check_kinds(data_dir, manifest, arguments)
    sizes = item_attributes.sizes(attribute_names(manifest, arguments), data_dir, manifest)
    return sizes | {"num_actions": num_actions, "num_groups": num_groups}


def _check_kinds(data_dir: str, manifest: Manifest, arguments: Mapping[str, Any]) -> None:
    """Refuses kinds that the data lacks, and items without one: they would have no group, and vectors of zeros."""
    attribute = arguments["object_type"]
    found = kinds.read(data_dir, manifest, attribute)
    for name in ("history_kind", "target_kind"):
        if arguments.get(name) and arguments[name] not in found.names:
            raise InputError(
                f"{option(name)}: {data_dir} has no {arguments[name]!r}; {nearest(arguments[name], found.names)}"
            )
    without = np.flatnonzero(found.of_item[1:] == 0)
    if len(without):
        example = read_vocabulary(data_dir, manifest, "item")[without[0]]
        raise InputError(
            f"{option('object_type')} {attribute}: {len(without)} of the {manifest.num_items} items of {data_dir} have "
            f"no {attribute}, {example[:80]!r} for one; prepare the data with one for each"
        )


def fill_tables(model: SequentialRecommender, data_dir: str, manifest: Manifest) -> None:
    """Assigns the tables of attributes and kinds."""
    arguments = {"attributes": model.attributes, "object_type": model.object_type}
    tables = dict(zip(attribute_names(manifest, arguments), model.objects.tables, strict=True))
    if model.object_type:
        tables[model.object_type] = model.kinds
        model.kind_names = kinds.read(data_dir, manifest, model.object_type).names
    for name, table in tables.items():
        longest = most_values(data_dir, manifest, name)
        values = item_attributes.table(data_dir, manifest, name, longest, keep_repeats=False)
        table.values.assign(values[:, : table.values.shape[1]])


def most_values(data_dir: str, manifest: Manifest, name: str) -> int:
    """int, values of an item at most, at least 1."""
    return max(1, item_attributes.sizes((name,), data_dir, manifest)["attribute_lengths"][0])


def training_examples(model: SequentialRecommender, sequences: Sequences, draw: Sampler) -> dict[str, tf.Tensor]:
    """Prefixes as examples; see `ATRank`.

    Args:
        model: `ATRank`.
        sequences: dict of `user` int64 `[users]` and ragged fields.
        draw: `f(rows, count, like)`, negatives.

    Returns:
        dict of tensors, a row per prefix, or with `split_pairs` a row per prefix and candidate.
    """
    items = sequences["item"]
    positions = windows.target_positions(items.row_lengths(), 1, 1)
    rows, ends = positions.value_rowids(), positions.flat_values
    examples = behaviours_before(model, sequences, rows, ends, target_times(sequences, rows, ends), model.max_history)
    positive = windows.items_from(items, rows, ends, 1)
    negatives = draw(rows, model.num_negatives, positive[:, 0])
    examples["targets"] = tf.concat([positive, negatives], axis=1)
    if model.object_type:  # a user who has met everything of a kind leaves nothing to compare it with
        comparable = negatives[:, 0] != PAD
        if model.target_kind:
            comparable = tf.logical_and(comparable, _is_of_kind(model, positive[:, 0], model.target_kind))
        examples = {name: tf.boolean_mask(value, comparable) for name, value in examples.items()}
    examples["labels"] = tf.cast(tf.range(1 + model.num_negatives) < 1, tf.float32) * tf.ones_like(
        examples["targets"], tf.float32
    )
    if model.split_pairs:
        candidates = {name: tf.reshape(examples.pop(name), [-1, 1]) for name in ("targets", "labels")}
        examples = {name: tf.repeat(value, 1 + model.num_negatives, axis=0) for name, value in examples.items()}
        examples |= candidates
    return examples


def count_examples(model: SequentialRecommender, lengths: np.ndarray) -> tuple[int, int]:
    """How many examples those are and how many ids each has; see `SequentialRecommender.count_examples`."""
    prefixes, candidates = int(np.maximum(lengths - 1, 0).sum()), 1 + model.num_negatives
    rows, columns = (prefixes * candidates, 1) if model.split_pairs else (prefixes, candidates)
    return rows, len(model.padded_fields) * model.max_history + columns


def _is_of_kind(model: SequentialRecommender, items: tf.Tensor, kind: str) -> tf.Tensor:
    return tf.equal(model.kinds(items)[..., 0], kind_id(model, kind))


def target_times(sequences: Sequences, rows: tf.Tensor, ends: tf.Tensor) -> tf.Tensor | None:
    """The times of the interactions at `ends`, int64 `[windows]`, or None where the data has none."""
    if "timestamp" not in sequences:
        return None
    return windows.items_from(sequences["timestamp"], rows, ends, 1)[:, 0]


def history_inputs(model: SequentialRecommender, sequences: Sequences) -> dict[str, tf.Tensor]:
    """What is read of each history; without `now`, the time of its last behaviour is taken for it."""
    ends = sequences["item"].row_lengths()
    rows = tf.range(tf.size(ends, tf.int64))
    now = sequences.get("now")
    if now is None:
        now = target_times(sequences, rows, tf.maximum(ends - 1, 0))
    width = windows.width_of(sequences["item"], model.max_history)
    return {"user": sequences["user"]} | behaviours_before(model, sequences, rows, ends, now, width)


def behaviours_before(
    model: SequentialRecommender,
    sequences: Sequences,
    rows: tf.Tensor,
    ends: tf.Tensor,
    now: tf.Tensor | None,
    width: int | tf.Tensor,
) -> dict[str, tf.Tensor]:
    """The last behaviours before a position: items, time buckets seen from `now`, actions.

    Args:
        model: `ATRank`.
        sequences: dict of ragged fields.
        rows, ends: int64 `[windows]`, see `windows.history_before`.
        now: int64 `[windows]`, seconds, or None where times are not known.
        width: int, behaviours to read.

    Returns:
        dict of int64 `[windows, width]`.
    """
    require_inputs(model, sequences, {"timestamp": model.time != "none", "action": model.num_actions})
    history = windows.history_before(sequences["item"], rows, ends, width)
    if model.history_kind:
        history = tf.where(_is_of_kind(model, history, model.history_kind), history, PAD)
    found = {"history": history}
    if model.time != "none":
        times = windows.history_before(sequences["timestamp"], rows, ends, width)
        buckets = time_buckets(times, now, model.num_buckets, model.time_unit, model.bucket_rule)
        found["bucket"] = tf.where(history == PAD, tf.zeros_like(buckets), buckets)
    if model.num_actions:
        found["action"] = windows.history_before(sequences["action"], rows, ends, width)
    return found
