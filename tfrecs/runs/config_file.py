"""Reads the `config.json` of a run without importing TensorFlow: `--help` shows what `--config` brings."""

from typing import Any

from tfrecs import json_files, json_schema
from tfrecs.runs import schemas


def read(path: str) -> dict[str, Any]:
    """The content of a run's `config.json`.

    Raises:
        InputError: it is not a run's, or damaged.
    """
    config = json_files.read(path, schemas.CONFIG, "a run's configuration", "restore it, or start a new run")
    json_schema.check(config["model_arguments"], schemas.model_arguments(config["model"]), path, "model_arguments")
    return config
