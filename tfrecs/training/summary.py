"""What a run says of its data, of its model, and of the epoch it chose, in words."""

import math
from typing import Any

from tfrecs.data.manifest import Manifest
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.runs.config import TrainConfig


def of_data(manifest: Manifest) -> str:
    """Average length and sparsity, after the counts.

    Args:
        manifest: `Manifest`.

    Returns:
        str.
    """
    average = manifest.num_interactions / manifest.num_users
    sparsity = 1 - manifest.num_interactions / (manifest.num_users * manifest.num_items)
    return f"{average:.2f} per user on average, sparsity {sparsity:.2%}"


def of_model(model: SequentialRecommender) -> str:
    """The model's parts with their numbers of parameters, and the sum.

    Args:
        model: a built `SequentialRecommender`.

    Returns:
        str, a line per part.
    """
    counts: dict[str, tuple[int, int]] = {}
    trained = {id(variable) for variable in model.trainable_variables}
    for variable in model.weights:
        part = _part(variable.path, model.name)
        number = math.prod(variable.shape)
        total, learned = counts.get(part, (0, 0))
        counts[part] = total + number, learned + (number if id(variable) in trained else 0)
    total, learned = (sum(column) for column in zip(*counts.values()))
    width = max(len("parameters"), *map(len, counts))
    lines = [
        f"  {part:<{width}}  {number:>13,}{'' if number == trains else f'  ({trains:,} trained)'}"
        for part, (number, trains) in counts.items()
    ]
    end = f"  {'parameters':<{width}}  {total:>13,}  ({learned:,} trained, {total - learned:,} fixed)"
    return "\n".join([f"model: {type(model).__name__}", *lines, end])


def of_validation(metrics: dict[str, Any], config: TrainConfig) -> str:
    """The validation metrics of the epoch that was chosen, and by which of them; empty where there are none.

    Args:
        metrics: dict, the content of `metrics.json`.
        config: `TrainConfig`.

    Returns:
        str, a line.
    """
    prefix = f"{config.validation_split}_"
    chosen = f"{prefix}{config.select_metric}"
    if config.validation_split != "valid" or chosen not in metrics or "best_epoch" not in metrics:
        return ""
    shown = [name for name in metrics if name.startswith(prefix) and isinstance(metrics[name], float)]
    shown = [name for name in shown if not name.endswith("_seconds")]
    values = ", ".join(f"{name.removeprefix(prefix)} {metrics[name]:.4f}" for name in shown)
    return f"validation, epoch {metrics['best_epoch']}, chosen by {config.select_metric}: {values}"


def _part(path: str, model_name: str) -> str:
    """The first component of a variable's path below the model."""
    parts = [part for part in path.split("/") if part != model_name]
    return parts[0]
