"""All models and the baselines on one data set: a block per protocol, a plot, and how each row was made."""

import csv
import dataclasses
import io
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tfrecs.evaluation.protocols import PROTOCOLS
from tfrecs.models import MODELS

ORDER_RULE = "equal timestamps in input order"  # said with every figure: it decides which item is the last one
ROWS: dict[str, Sequence[str]] = {name: ("--model", name) for name in MODELS}  # row to the flags that make it


@dataclasses.dataclass
class Block:
    """The rows under one protocol.

    Args:
        runs: dict of row to `(command, metrics)`, metrics being a `metrics.json` or a str that says why there is none;
            at least one row has metrics.
    """

    runs: dict[str, tuple[str, dict[str, Any] | str]]

    @property
    def metrics(self) -> dict[str, Any]:
        """The `metrics.json` of the first row that has one."""
        return next(metrics for _, metrics in self.runs.values() if not isinstance(metrics, str))

    @property
    def columns(self) -> tuple[str, ...]:
        """The metrics shown, the first of which orders the rows."""
        return PROTOCOLS[self.metrics["protocol"]].compared

    def records(self) -> list[dict[str, Any]]:
        """The models and the baselines, best first, then what could not run.

        Returns:
            list of dict: `protocol`, `row`, the metrics with their ends `_low` and `_high` where there are any,
            `share_of_best_reachable`, `epochs`, `train_seconds`, `recipe`.
        """
        found: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        baselines: dict[str, dict[str, Any]] = {}
        for row, (command, metrics) in self.runs.items():
            if isinstance(metrics, str):
                failed.append({"row": row, "recipe": metrics})
                continue
            ends = [f"{name}{end}" for name in self.columns for end in ("", "_low", "_high")]
            record: dict[str, Any] = {"row": row} | {
                name: metrics[f"test_{name}"] for name in ends if f"test_{name}" in metrics
            }
            record["share_of_best_reachable"] = metrics.get("share_of_oracle_hr@10")
            record |= {"epochs": metrics["best_epoch"], "train_seconds": metrics["train_seconds"], "recipe": command}
            found.append(record)
            for baseline in PROTOCOLS[self.metrics["protocol"]].baselines:
                if f"{baseline}_{self.columns[0]}" in metrics and baseline not in baselines:
                    baselines[baseline] = self._baseline(baseline, metrics)
        ranked = sorted([*found, *baselines.values()], key=lambda record: -record[self.columns[0]])
        return [{"protocol": self.metrics["protocol"]} | record for record in ranked + failed]

    def _baseline(self, name: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
        values = {column: metrics[f"{name}_{column}"] for column in self.columns}
        oracle = metrics.get("oracle_hr@10")
        share = values["hr@10"] / oracle if oracle and "hr@10" in values else None
        return {"row": name, **values, "share_of_best_reachable": share, "recipe": "no training"}


def seen_rule(metrics: Mapping[str, Any]) -> str:
    """What happens to the items of the history, in words."""
    return "seen items excluded" if metrics["exclude_seen"] else "seen items kept"


def markdown(title: str, split: str, blocks: Sequence[Block]) -> str:
    """The report: what was measured on what, then a table and the recipes of each block.

    Args:
        title: str.
        split: str, how the data is split, in words.
        blocks: list of `Block`.

    Returns:
        str.
    """
    first = blocks[0].metrics
    lines = [
        f"# {title}",
        "",
        f"- data: {first['num_users']} users, {first['num_items']} items, {first['num_interactions']} interactions; "
        f"{split}; {ORDER_RULE}; {first['test_users']} test users",
        "- the epoch is chosen on validation, the test split evaluated once",
        f"- one training seed ({first['seed']}) each; in brackets the 95 % bootstrap interval over users, which does "
        "not hold the spread over training seeds",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores; TensorFlow {first['version_tensorflow']}, Keras "
        f"{first['version_keras']}",
    ]
    for block in blocks:
        lines += ["", f"## `{block.metrics['protocol']}`: {seen_rule(block.metrics)}", "", *_table(block)]
    if len(blocks) > 1:
        lines += ["", "Rows of different blocks answer different questions: do not compare them."]
    return "\n".join(lines) + "\n"


def _table(block: Block) -> list[str]:
    rows = block.records()
    shares = any(row.get("share_of_best_reachable") for row in rows)
    heads = ["ranking", *block.columns, *(["of best reachable HR@10"] if shares else []), "epoch", "training"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [_cell(row, name) for name in block.columns]
        if shares:
            cells.append(f"{row['share_of_best_reachable']:.1%}" if row.get("share_of_best_reachable") else "")
        cells.append(str(row.get("epochs", "")))
        cells.append(f"{row['train_seconds']:.0f} s" if "train_seconds" in row else "")
        lines.append(f"| {row['row']} | {' | '.join(cells)} |")
    return [*lines, "", "Recipes:", "", *(f"- {row['row']}: {row['recipe']}" for row in rows)]


def _cell(row: Mapping[str, Any], name: str) -> str:
    if name not in row:
        return ""
    return f"{row[name]:.4f}" + (
        f" [{row[f'{name}_low']:.4f}, {row[f'{name}_high']:.4f}]" if f"{name}_low" in row else ""
    )


def comma_separated(blocks: Sequence[Block]) -> str:
    """The tables as one CSV with a column `protocol`, every float as `repr`."""
    rows = [row for block in blocks for row in block.records()]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def plot(title: str, blocks: Sequence[Block]) -> bytes:
    """Bars of each block's first two metrics, as the bytes of a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    most = max(len(block.records()) for block in blocks)
    figure = Figure(figsize=(8, (0.45 * most + 1.4) * len(blocks)), layout="constrained")
    figure.suptitle(f"{title}; {ORDER_RULE}", fontsize="medium")
    for axes, block in zip(figure.subplots(len(blocks), squeeze=False)[:, 0], blocks, strict=True):
        _bars(axes, block)
    image = io.BytesIO()
    FigureCanvasAgg(figure).print_png(image)
    return image.getvalue()


def _bars(axes: Any, block: Block) -> None:
    rows = [row for row in block.records() if block.columns[0] in row]
    for place, name in enumerate(block.columns[:2]):
        heights = [index + 0.4 * place - 0.2 for index in range(len(rows))]
        bars = axes.barh(heights, [row[name] for row in rows], 0.38, label=name)
        axes.bar_label(bars, fmt="%.3f", fontsize="small", padding=2)
    axes.set_yticks(range(len(rows)), [row["row"] for row in rows])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_title(f"{block.metrics['protocol']}, {seen_rule(block.metrics)}", fontsize="small")
    axes.legend(loc="lower right")


def command_line(flags: Sequence[str], seed: int | str) -> str:
    """How a figure is made again."""
    return f"`python examples/run.py {shlex.join(flags)} --data_dir DIR --seed {seed}`"
