"""Prepared data as one object: its counts and vocabularies, and batches for a model."""

import functools
import numbers
import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfrecs.arguments import checked
from tfrecs.data import evaluation_batches, kinds, statistics, training_batches
from tfrecs.data import manifest as manifests
from tfrecs.data.manifest import Manifest
from tfrecs.data.verification import verify
from tfrecs.errors import InputError, nearest, option

# Users whose examples are shuffled together; rows of like length need more of them.
BLOCK, TOKEN_BLOCK = 1024, 16384


class Recommender(Protocol):
    """What data are read for: a `SequentialRecommender`, or what has these attributes of one."""

    num_users: int
    num_items: int
    fields: tuple[str, ...]
    padded_fields: tuple[str, ...]
    kind_attribute: str
    max_history: int
    draws_negatives: bool
    negatives_include_pad: bool
    negatives_exclude_held_out: bool
    training_examples: Callable[..., dict[str, tf.Tensor]]
    history_inputs: Callable[..., dict[str, tf.Tensor]]


class Dataset:
    """A prepared data directory, verified when it is opened.

    Args:
        data_dir: str or path, a directory that `data_prep` wrote.

    Attributes:
        data_dir: str.
        manifest: `data.manifest.Manifest`.
        fields: tuple of str, the columns of an interaction: `item`, and `timestamp`, `rating`, `action` if there.
        attributes: tuple of str, names of the item attributes.
        users, items: lists of str, the vocabularies; the token of id i is `items[i - 1]`.

    Raises:
        InputError: no prepared data there, data of another schema version, or a file that was altered; the message
            names the file.
    """

    @checked
    def __init__(self, data_dir: str | os.PathLike[str]) -> None:
        self.data_dir = os.fspath(data_dir)
        self.manifest = manifests.load(self.data_dir)
        verify(self.data_dir, self.manifest)
        self.fields, self.attributes = self.manifest.fields, tuple(self.manifest.attributes)

    @functools.cached_property
    def users(self) -> list[str]:
        return manifests.read_vocabulary(self.data_dir, self.manifest, "user")

    @functools.cached_property
    def items(self) -> list[str]:
        return manifests.read_vocabulary(self.data_dir, self.manifest, "item")

    @functools.cached_property
    def ids(self) -> dict[str, dict[str, int]]:
        """Token to id: `ids["user"]`, `ids["item"]` and, where there are actions, `ids["action"]`, dicts."""
        vocabularies = {"user": self.users, "item": self.items}
        if "action" in self.fields:
            vocabularies["action"] = manifests.read_vocabulary(self.data_dir, self.manifest, "action")
        return {
            name: {token: number for number, token in enumerate(tokens, 1)} for name, tokens in vocabularies.items()
        }

    def __repr__(self) -> str:
        m = self.manifest
        counts = f"{m.num_users:,} users, {m.num_items:,} items, {m.num_interactions:,} interactions"
        attributes = f"; item attributes {', '.join(self.attributes)}" if self.attributes else ""
        return f"Dataset({self.data_dir!r}: {counts}; fields {', '.join(self.fields)}{attributes}; {m.split['kind']})"

    def training_batches(
        self, model: Recommender, *, batch_size: int = 256, seed: int = 0, split: str = "train", **options: Any
    ) -> training_batches.TrainingBatches:
        """Batches to train a model on, for `model.fit`.

        Args:
            model: a model for this data, as from `from_preset`.
            batch_size: int, examples per step, unless `batch_tokens` is given.
            seed: int, of the order and of negatives: equal seeds give equal batches, epoch by epoch.
            split: `train`; `train_valid` to train on the validation items as well; or `all`.
            **options: see `training_batches_of`.

        Returns:
            `data.training_batches.TrainingBatches`.

        Raises:
            InputError: the model is of other data, or an argument is out of its range.
        """
        return training_batches_of(
            model, self.data_dir, self.manifest, batch_size=batch_size, seed=seed, split=split, **options
        )

    def evaluation_batches(
        self,
        model: Recommender,
        split: str,
        *,
        batch_size: int = 512,
        max_users: int | None = None,
        num_negatives: int = 0,
    ) -> evaluation_batches.EvaluationBatches:
        """Each user with a held-out item, for `model.evaluate` and as `validation_data`.

        Args:
            model: a model for this data.
            split: `valid` or `test`.
            batch_size: int, users per batch.
            max_users: int or None, only the first so many users.
            num_negatives: int, unseen items to draw for each user; 0 is off.

        Returns:
            `data.evaluation_batches.EvaluationBatches`.

        Raises:
            InputError: as for `training_batches`.
        """
        _check_model(model, self.data_dir, self.manifest)
        _check_count("batch_size", batch_size, 1)
        _check_count("num_negatives", num_negatives, 0)
        if max_users is not None:
            _check_count("max_users", max_users, 1)
        if split not in evaluation_batches.HELD_OUT_SPLITS:
            raise InputError(f"split: unknown value {split!r}; {nearest(split, evaluation_batches.HELD_OUT_SPLITS)}")
        return evaluation_batches.EvaluationBatches(
            self.data_dir,
            self.manifest,
            model.history_inputs,
            batch_size,
            split,
            max_users=max_users,
            fields=model.fields,
            num_negatives=num_negatives,
            kinds=_kinds(model, self.data_dir, self.manifest) if num_negatives else None,
            max_history=model.max_history,
        )


def training_batches_of(
    model: Recommender,
    data_dir: str,
    manifest: Manifest,
    *,
    batch_size: int,
    seed: int,
    split: str,
    batch_tokens: int = 0,
    negative_sampling: str = "uniform",
) -> training_batches.TrainingBatches:
    """Training batches with all that a model says about how it reads data.

    Args:
        model: a `SequentialRecommender`, or what has its attributes.
        data_dir: str.
        manifest: its `Manifest`.
        batch_size, seed, split: see `Dataset.training_batches`.
        batch_tokens: int, items of histories per step instead of `batch_size`: rows of like length share a batch.
        negative_sampling: `uniform` or `popularity`.

    Returns:
        `data.training_batches.TrainingBatches`.
    """
    _check_model(model, data_dir, manifest)
    _check_count("batch_size", batch_size, 1)
    _check_count("batch_tokens", batch_tokens, 0)
    _check_count("seed", seed, 0)
    weights = None
    if model.draws_negatives:
        weights = statistics.sampling_weights(
            data_dir, manifest, negative_sampling, split, model.negatives_include_pad, argument="negative_sampling"
        )
    return training_batches.TrainingBatches(
        data_dir,
        manifest,
        model.training_examples,
        weights=weights,
        batch_size=batch_size,
        seed=seed,
        split=split,
        fields=model.fields,
        users_per_block=TOKEN_BLOCK if batch_tokens else BLOCK,
        exclude_held_out=model.negatives_exclude_held_out,
        batch_tokens=batch_tokens,
        padded_fields=model.padded_fields,
        kinds=_kinds(model, data_dir, manifest) if model.kind_attribute else None,
    )


def _kinds(model: Recommender, data_dir: str, manifest: Manifest) -> np.ndarray | None:
    found = kinds.load(data_dir, manifest, model.kind_attribute)
    return None if found is None else found.of_item


def _check_model(model: Recommender, data_dir: str, manifest: Manifest) -> None:
    """Refuses a model of other sizes, or one that reads what the data lacks."""
    name = type(model).__name__
    for size in ("num_users", "num_items"):
        if getattr(model, size) != getattr(manifest, size):
            raise InputError(
                f"model: this {name} was made for {size}={getattr(model, size)}, but {data_dir} has "
                f"{size}={getattr(manifest, size)}; make it with {name}.from_preset(preset, data)"
            )
    if getattr(model, "made_for", None) not in (None, manifest.digests):
        raise InputError(f"model: this {name} was made for other users and items than {data_dir} has, of equal number")
    missing = [field for field in model.fields if field not in manifest.fields]
    if missing:
        raise InputError(f"model: this {name} reads {', '.join(missing)}, which {data_dir} ({manifest.name}) lacks")


def _check_count(name: str, value: Any, least: int) -> None:
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or not least <= int(value) < 2**63:
        raise InputError(f"{option(name)}: expected an integer of at least {least}, got {value!r}")
