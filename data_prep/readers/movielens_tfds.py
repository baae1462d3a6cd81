"""MovieLens through tensorflow-datasets, which downloads it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from data_prep.readers.log import Log
from tfrecs.errors import InputError, option

ROWS_PER_BATCH = 1 << 16
NO_GENRES = "(no genres listed)"


def open_log(name: str) -> Log:
    """Downloads a MovieLens dataset, unless that has been done, and opens it.

    Args:
        name: str, `ml-100k`; tensorflow-datasets calls it `movielens/100k-ratings`.

    Returns:
        a `data_prep.readers.log.Log`.

    Raises:
        InputError: tensorflow-datasets is not installed, or cannot download it.
    """
    size = name.removeprefix("ml-")
    builder = _builder(name, f"movielens/{size}-ratings")
    provenance = {"tensorflow_datasets": builder.info.full_name}
    log = Log(
        name,
        ("timestamp", "rating"),
        lambda: _chunks(builder),
        provenance,
        attributes={"genres": "list"},
        attribute_chunks=lambda: _genres(_builder(name, f"movielens/{size}-movies")),
    )
    log.add_first("genres", "category")
    return log


def _builder(name: str, full_name: str) -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        remedy = f"give {option('raw_dir')}, or install tensorflow-datasets to download it"
        raise InputError(f"{option('dataset')} {name}: {remedy}") from None
    try:
        builder = tfds.builder(full_name)
        builder.download_and_prepare()
    except Exception as error:
        raise InputError(
            f"{option('dataset')} {name}: tensorflow-datasets cannot download it; give {option('raw_dir')} with the "
            f"GroupLens files: {error}"
        ) from error
    return builder


def _batches(builder: Any) -> tf.data.Dataset:
    import tensorflow_datasets as tfds

    # One file at a time, so that the order of rows with equal timestamps is always the same.
    read_config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    dataset = builder.as_dataset(split="train", shuffle_files=False, read_config=read_config)
    return dataset.ragged_batch(ROWS_PER_BATCH)


def _strings(tensor: tf.Tensor) -> pa.Array:
    return pa.array(tensor.numpy(), pa.binary()).cast(pa.string())


def _chunks(builder: Any) -> Iterator[tuple[pa.Table, float]]:
    total = max(1, builder.info.splits["train"].num_examples)
    rows = 0
    for batch in _batches(builder):
        rows += len(batch["user_id"])
        columns = {
            "user": _strings(batch["user_id"]),
            "item": _strings(batch["movie_id"]),
            "timestamp": batch["timestamp"].numpy().astype(np.int64),
            "rating": batch["user_rating"].numpy().astype(np.float64),
        }
        yield pa.table(columns), min(1.0, rows / total)


def _genres(builder: Any) -> Iterator[tuple[str, pa.Table]]:
    labels = builder.info.features["movie_genres"].feature
    names = np.array(labels.names, object)
    for batch in _batches(builder):
        genres = batch["movie_genres"]
        items = batch["movie_id"].numpy()[genres.value_rowids().numpy()]
        values = names[genres.values.numpy()]
        known = values != NO_GENRES
        items = pa.array(items[known], pa.binary()).cast(pa.string())
        yield "genres", pa.table({"item": items, "value": pa.array(values[known], pa.string())})
