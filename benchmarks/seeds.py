"""The table of one model over training seeds: the spread over seeds, and the interval over users."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import leaderboard

from tfrecs.evaluation.protocols import PROTOCOLS

FULL_RANKING = ("hr@10", "hr@50", "ndcg@10", "mrr")


def columns(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """The metrics to show of a run."""
    return FULL_RANKING if metrics["protocol"] == "full_ranking" else PROTOCOLS[metrics["protocol"]].compared


def summary(name: str, arguments: Sequence[str], split: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """The Markdown report.

    Args:
        name: str.
        arguments: list of str, as given to `examples/run.py`.
        split: str, how the data is split, in words.
        runs: list of dict, a `metrics.json` each.

    Returns:
        str.
    """
    first = runs[0]
    epochs = ", ".join(str(run["best_epoch"]) for run in runs)
    lines = [
        f"# {name}",
        "",
        f"- command: {leaderboard.command_line(arguments, 'S')}",
        f"- data: {first['dataset']}, {first['num_users']} users, {first['num_items']} items, "
        f"{first['num_interactions']} interactions; {split}; {leaderboard.ORDER_RULE}",
        f"- protocol: {first['protocol']}, {leaderboard.seen_rule(first)}, "
        f"{first['test_users']} test users; preset {first['preset']}"
        + ("; retrained on train + validation" if first["retrained_on_validation"] else ""),
        f"- seeds: {', '.join(str(run['seed']) for run in runs)}; chosen epochs: {epochs}",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores; "
        f"{sum(run['train_seconds'] for run in runs):.0f} s of training in all; "
        f"TensorFlow {first['version_tensorflow']}, Keras {first['version_keras']}",
        "- ±: standard deviation over training seeds, all on the same data, split and test users; 95 % interval over "
        "users: bootstrap over the test users for one trained model, its ends averaged over the seeds",
        "",
        "| ranking | " + " | ".join(columns(first)) + " |",
        "|---" * (len(columns(first)) + 1) + "|",
    ]
    lines += _rows(first, runs)
    lines += ["", "Each seed:", "", "| seed | " + " | ".join(columns(first)) + " |"]
    lines.append("|---" * (len(columns(first)) + 1) + "|")
    for run in runs:
        lines.append(f"| {run['seed']} | {' | '.join(_cell(run, f'test_{metric}') for metric in columns(run))} |")
    return "\n".join(lines) + "\n"


def _rows(first: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The model over seeds, its interval over users, and the baselines, as lines of the table."""
    names = columns(first)
    rows = {f"{first['model']}, test, mean over seeds": [_mean_and_spread(runs, f"test_{name}") for name in names]}
    if all(f"test_{name}_low" in run for run in runs for name in names):
        ends = [
            [statistics.mean(run[f"test_{name}_{end}"] for run in runs) for end in ("low", "high")] for name in names
        ]
        rows["95 % interval over users"] = [f"[{low:.4f}, {high:.4f}]" for low, high in ends]
    for baseline in PROTOCOLS[first["protocol"]].baselines:
        if f"{baseline}_{names[0]}" in first:
            rows[baseline] = [f"{statistics.mean(run[f'{baseline}_{name}'] for run in runs):.4f}" for name in names]
    return [f"| {label} | {' | '.join(cells)} |" for label, cells in rows.items()]


def _mean_and_spread(runs: Sequence[Mapping[str, Any]], name: str) -> str:
    values = [run[name] for run in runs]
    return f"{statistics.mean(values):.4f}" + (f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else "")


def _cell(run: Mapping[str, Any], name: str) -> str:
    interval = f" [{run[f'{name}_low']:.4f}, {run[f'{name}_high']:.4f}]" if f"{name}_low" in run else ""
    return f"{run[name]:.4f}{interval}"


def below_expectation(expected: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Metrics whose mean is below what is expected by more than the tolerance, as text.

    Args:
        expected: dict, the entry of `expected.json`, or empty.
        runs: list of dict, a `metrics.json` each.

    Returns:
        list of str.
    """
    wrong = []
    for metric, figure in expected.get("metrics", {}).items():
        mean = statistics.mean(run[metric] for run in runs)
        if mean < figure["mean"] - figure["tolerance"]:
            wrong.append(f"{metric} {mean:.4f}, expected {figure['mean']} - {figure['tolerance']}")
    return wrong
