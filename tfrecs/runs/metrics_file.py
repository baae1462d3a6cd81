"""The content of `metrics.json`, flat, and the same as tables to read."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from tfrecs.data import kinds
from tfrecs.data.manifest import Manifest
from tfrecs.evaluation import intervals
from tfrecs.evaluation.evaluator import Evaluator
from tfrecs.evaluation.protocols import PROTOCOLS
from tfrecs.progress import note
from tfrecs.runs import history
from tfrecs.runs.config import TrainConfig
from tfrecs.runs.listing import Progress

# Said with every figure: which item is the last one depends on it.
ORDER_RULE = "equal timestamps in input order"


class Evaluated(Protocol):
    """What is evaluated: a `training.experiment.Experiment`, or what has these attributes of one."""

    evaluator: Evaluator
    config: TrainConfig
    data_dir: str
    manifest: Manifest
    trained_on: str


def of_training(progress: Progress, retrained: Progress | None = None) -> dict[str, Any]:
    """Entries about training and the epoch it chose.

    Args:
        progress: the `Progress` of the phase that chose the epoch, or that of a checkpoint at an epoch's end.
        retrained: the `Progress` of the second phase, or None.

    Returns:
        dict: `epochs_run`, `best_epoch`, the `valid_*` metrics and `loss` of that epoch, times and rates.

    Example:
        >>> from tfrecs.runs.listing import Progress
        >>> rows = [{"epoch": 1, "loss": 2.0, "valid_mrr": 0.5}, {"epoch": 2, "loss": 1.0, "valid_mrr": 0.4}]
        >>> of_training(Progress(epoch=2, history=rows, best={"name": "best-0001", "epoch": 1}))["valid_mrr"]
        0.5
    """
    epoch = progress.best["epoch"] if progress.best else progress.epoch
    seconds, examples = progress.train_seconds, progress.examples
    if retrained:
        seconds, examples = seconds + retrained.train_seconds, examples + retrained.examples
    return of_epoch(progress, epoch) | {
        "epochs_run": progress.epoch,
        "best_epoch": epoch,
        "train_seconds": seconds,
        "train_examples": examples,
        "train_examples_per_second": examples / seconds if seconds else 0.0,
        "valid_eval_seconds": progress.eval_seconds,
    }


def of_epoch(progress: Progress, epoch: int) -> dict[str, float]:
    """The loss and the validation metrics of one epoch; empty for an epoch that is not whole."""
    rows = [row for row in progress.history if row["epoch"] == epoch]
    return {name: value for row in rows for name, value in row.items() if name != "epoch"}


def of_test(experiment: Evaluated) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray] | None]:
    """Evaluates the test split once: the model and the baselines, on the same users.

    Args:
        experiment: `Experiment` with the weights to evaluate.

    Returns:
        `(metrics, ranks)`. Metrics are a dict of `test_*`, `popularity_*`, `transitions_*`, `oracle_*` and
        `share_of_oracle_*`, with `test_users`, `eval_seconds`, and for each test metric that is a mean over users
        `test_*_low` and `test_*_high`, its 95 % bootstrap interval over users. Ranks as from `Evaluator.measure_users`.
    """
    test, of_users, ranks, seconds = experiment.evaluator.measure_users("test")
    if not test["users"]:
        note(f"no user of {experiment.data_dir} has a test item: there is nothing to judge the model by")
    baselines = experiment.evaluator.evaluate_baselines("test", experiment.trained_on)
    groups = {"test": test, **baselines, "oracle": _oracle(experiment, test)}
    metrics: dict[str, Any] = {"test_users": test["users"], "eval_seconds": seconds}
    for group, values in groups.items():
        metrics |= {f"{group}_{name}": value for name, value in values.items() if name not in ("users", "num_users")}
    if experiment.evaluator.protocol.kinds:
        metrics["unseen_items_share"] = experiment.evaluator.protocol.kinds.attribute
    for name, value in groups["oracle"].items():
        if f"test_{name}" in metrics and value:
            metrics[f"share_of_oracle_{name}"] = metrics[f"test_{name}"] / value
    for name, values_of_users in of_users.items() if test["users"] else ():
        low, high = intervals.bootstrap_interval(values_of_users)
        metrics |= {f"test_{name}_low": low, f"test_{name}_high": high}
    return metrics, ranks


def _oracle(experiment: Evaluated, test: Mapping[str, float]) -> dict[str, float]:
    """The best reachable values of the metrics there are, where they hold for the protocol.

    The oracle ranks the whole catalogue, or within the attribute `kind`; of a user's own items, or of other kinds,
    another ranking may be better.
    """
    within = experiment.evaluator.kinds.attribute if experiment.evaluator.kinds else None
    holds = PROTOCOLS[experiment.config.protocol].oracle
    if holds == "never" or (holds == "within_kind" and within != kinds.ATTRIBUTE):
        return {}
    return {name: value for name, value in (experiment.manifest.oracle or {}).items() if name in test}


def title(metrics: Mapping[str, Any], split: str) -> str:
    """One line that says what a figure holds for.

    Args:
        metrics: dict, the content of `metrics.json`.
        split: str.

    Example:
        >>> title({"model": "attrec", "preset": "recommended", "dataset": "sample", "protocol": "full_ranking",
        ...        "exclude_seen": True, "seed": 0, "best_epoch": 2, "epochs_run": 3}, "test").split("; ")
        ['sample, test split, full_ranking, seen items excluded', 'equal timestamps in input order', \
'attrec, preset recommended, seed 0, epoch 2 of 3']
    """
    ranked = "seen items excluded" if metrics["exclude_seen"] else "seen items included"
    same = f" of the same {metrics['unseen_items_share']}" if "unseen_items_share" in metrics else ""
    candidates = PROTOCOLS[metrics["protocol"]].candidates
    ranked = f"{candidates}{same}" if candidates else ranked
    users = f", {metrics[f'{split}_users']} users" if f"{split}_users" in metrics else ""
    epochs = f", epoch {metrics['best_epoch']} of {metrics['epochs_run']}" if "best_epoch" in metrics else ""
    again = ", retrained on validation" if metrics.get("retrained_on_validation") else ""
    return (
        f"{metrics['dataset']}, {split} split{users}, {metrics['protocol']}, {ranked}; {ORDER_RULE}; "
        f"{metrics['model']}, preset {metrics['preset']}, seed {metrics['seed']}{epochs}{again}"
    )


def tables(metrics: Mapping[str, Any]) -> str:
    """The test metrics with their interval over users, and the baselines', under a title.

    Args:
        metrics: dict, the content of `metrics.json` after `of_test`.

    Returns:
        str.
    """
    protocol = PROTOCOLS[metrics["protocol"]]
    labels = {"test": metrics["model"]} | {name: name.replace("_", " ") for name in protocol.baselines}
    labels["oracle"] = "best reachable"
    rows = {
        label: {
            name.removeprefix(f"{group}_"): value for name, value in metrics.items() if name.startswith(f"{group}_")
        }
        for group, label in labels.items()
    }
    rows = {label: values for label, values in rows.items() if values}
    by_kind = [name for name in rows.get("popularity", {}) if name.startswith("auc_")]
    shown = (*protocol.shown, *by_kind)
    ends = {
        f"95 % {end}": {name: metrics[key] for name in shown if (key := f"test_{name}_{end}") in metrics}
        for end in ("low", "high")
    }
    if any(ends.values()):
        rows = {metrics["model"]: rows.pop(metrics["model"]), **ends, **rows}
    text = f"{title(metrics, 'test')}\n{history.table(rows, shown)}"
    if any(ends.values()):
        text += "\n95 %: bootstrap interval over users, of this one training seed"
    share = metrics.get("share_of_oracle_hr@10")
    return text if share is None else f"{text}\n{metrics['model']} reaches {share:.1%} of the best reachable HR@10"


def plot(run_dir: str, progress: Progress, metrics: Mapping[str, Any], split: str) -> None:
    """Draws `curves.png`: see `history.plot_history`.

    Args:
        run_dir: str.
        progress: `Progress`, whose history is drawn.
        metrics: dict, the content of `metrics.json`.
        split: str, what was trained on, for the title.
    """
    protocol = PROTOCOLS[metrics["protocol"]]
    first = protocol.followed[0]
    keys = {f"{name}, test {first}": f"{name}_{first}" for name in protocol.baselines}
    levels = {label: metrics[key] for label, key in keys.items() if key in metrics}
    history.plot_history(run_dir, progress.history, title(metrics, split), metrics["protocol"], levels)
