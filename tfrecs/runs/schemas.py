"""What the JSON files of a run directory hold, as `tfrecs.json_schema` describes it."""

import dataclasses
import typing
from typing import Any

from tfrecs.json_schema import ANY, Mapping, Number, Optional, Text
from tfrecs.models import MODELS, declarations
from tfrecs.runs.config import TrainConfig

DIGEST = Text("[0-9a-f]{64}")
SIZE, COUNT, SECONDS = Number(int, 1), Number(int, 0), Number(float, 0)

TRAIN = {
    field.name: Optional([int] if typing.get_origin(field.type) is tuple else field.type)
    for field in dataclasses.fields(TrainConfig)
}
CONFIG = {
    "model": Text("|".join(MODELS)),
    "model_arguments": Mapping(ANY),  # see `model_arguments`
    "train": TRAIN,
    "preset": Optional(str),
    "dataset": Optional(str),
    "data_dir": Optional(str),
    "data": Optional(
        {
            "num_users": SIZE,
            "num_items": SIZE,
            "num_interactions": SIZE,
            "vocabularies_sha256": DIGEST,
            "sequences_sha256": DIGEST,
        }
    ),
}
PHASE = {"epochs": SIZE, "decay_epochs": COUNT}  # of the second phase
PROGRESS = {
    "epoch": COUNT,
    "step": COUNT,
    "history": [Mapping(float)],
    "best": (None, {"name": Text(r"best-\d{4,}"), "epoch": SIZE, "value": float}),
    "train_seconds": SECONDS,
    "examples": COUNT,
    "eval_seconds": SECONDS,
    "index_sha256": DIGEST,  # of TensorFlow's `.index`, which has a checksum of every tensor
}


def model_arguments(model: str) -> dict[str, Any]:
    """The schema of a model's constructor arguments: the types of their defaults.

    Args:
        model: str, a key of `models.MODELS`.

    Returns:
        dict, a schema.

    Example:
        >>> model_arguments("attrec")["dropout"].schema
        <class 'float'>
    """
    data = {name: Optional(COUNT if name.startswith("num_") else ANY) for name in declarations.sizes(model)}
    return data | {name: Optional(_of_default(value)) for name, value in declarations.defaults(model).items()}


def _of_default(value: object) -> Any:
    if value is None:
        return (str, None)
    return [ANY] if isinstance(value, tuple) else type(value)
