"""What a run leaves to read: `history.csv`, `metrics.json` and the plot of its curves."""

import contextlib
import csv
import importlib.metadata
import io
import json
import os
import platform
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas
import pyarrow
import tensorflow as tf
from pyarrow import parquet

import tfrecs
from tfrecs import files
from tfrecs.errors import InputError
from tfrecs.evaluation.protocols import PROTOCOLS
from tfrecs.runs import record
from tfrecs.runs.listing import Progress

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

METRICS_FILE, RANKS_FILE = "metrics.json", "ranks.parquet"


class History:
    """Writes `history.csv`, and scalars for TensorBoard, when an epoch is whole.

    Args:
        run_dir: str.
        tensorboard: bool, write event files below `run_dir/tensorboard` too.

    Call arguments:
        progress: a `Progress`; its last row is new.
    """

    def __init__(self, run_dir: str, tensorboard: bool = False) -> None:
        self.run_dir = run_dir
        folder = os.path.join(run_dir, record.TENSORBOARD)
        self.writer = tf.summary.create_file_writer(folder, filename_suffix=record.EVENTS_END) if tensorboard else None

    def __call__(self, progress: Progress) -> None:
        write_history(self.run_dir, progress.history)
        if self.writer and progress.history:
            row = progress.history[-1]
            # `tf.summary.scalar` needs the package tensorboard; what it writes is this.
            plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
            metadata = tf.compat.v1.SummaryMetadata(plugin_data=plugin)
            with self.writer.as_default(step=row["epoch"]):
                for name in row.keys() - {"epoch"}:
                    tf.summary.write(name, tf.constant(row[name], tf.float32), metadata=metadata)
            self.writer.flush()


def write_history(run_dir: str, history: Sequence[Mapping[str, Any]]) -> None:
    """Writes `history.csv`, a row per epoch with every float as `repr`, so that equal runs give equal bytes.

    Args:
        run_dir: str.
        history: list of dict; no clock times, which no two runs share. Without a row there is no file.
    """
    if not history:
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(run_dir, "history.csv"))
        return
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in history for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    files.write_text(os.path.join(run_dir, "history.csv"), text.getvalue())


def read_history(run_dir: str) -> pandas.DataFrame:
    """The content of `history.csv`, a DataFrame with a row for each epoch, indexed by `epoch`.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    path = os.path.join(run_dir, "history.csv")
    with files.open_regular(path) as file:
        rows = list(csv.DictReader(io.TextIOWrapper(file, "utf-8", newline="")))
    try:
        values = [{name: float(text or "nan") for name, text in row.items()} for row in rows]
        return pandas.DataFrame(values).astype({"epoch": int}).set_index("epoch")
    except (ValueError, TypeError, LookupError) as error:
        raise InputError(f"{path}: not a history: {error}") from None


def read_metrics(run_dir: str) -> dict[str, Any]:
    """The content of `metrics.json`, a dict.

    Raises:
        InputError: there is none, or it is no JSON object.
    """
    path = os.path.join(run_dir, METRICS_FILE)
    try:
        with files.open_regular(path) as file:
            content = json.loads(file.read())
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, InputError) else InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not the metrics of a run")
    return content


def write_ranks(run_dir: str, tokens: Sequence[str], ranks: tuple[np.ndarray, np.ndarray] | None) -> None:
    """Writes `ranks.parquet`, a row per user with a test item: `user`, the token, and `rank`, int64 from 1.

    Args:
        run_dir: str.
        tokens: list of str, `tokens[id - 1]` for a user's id; not read where there are no ranks.
        ranks: `(user ids, ranks)`, both int64 `[users]`; None removes the file, which would be another evaluation's.
    """
    path = os.path.join(run_dir, RANKS_FILE)
    if ranks is None:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        return
    order = np.argsort(ranks[0], kind="stable")
    users = pyarrow.array([tokens[user - 1] for user in ranks[0][order]], pyarrow.string())
    content = io.BytesIO()
    table = pyarrow.table({"user": users, "rank": pyarrow.array(ranks[1][order], pyarrow.int64())})
    parquet.write_table(table, content)
    files.write_bytes(path, content.getvalue())


def environment() -> dict[str, Any]:
    """Versions and peak memory, as flat entries of `metrics.json`."""
    versions = {f"version_{name.replace('-', '_')}": _version(name) for name in ("keras", "numpy", "tensorflow")}
    return {
        "version_tfrecs": tfrecs.__version__,
        "version_python": platform.python_version(),
        **versions,
        **_peak_memory(),
    }


def _peak_memory() -> dict[str, float]:
    if resource is None:
        return {}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bytes_per_unit = 1 if sys.platform == "darwin" else 1024
    return {"peak_memory_mb": round(peak * bytes_per_unit / 2**20, 1)}


def plot_history(
    run_dir: str, history: Sequence[Mapping[str, Any]], title: str, protocol: str, baselines: Mapping[str, float]
) -> None:
    """Plots losses and validation metrics, with the baselines' level, to `curves.png`.

    Args:
        run_dir: str.
        history: list of dict, as for `write_history`; nothing is drawn without a row.
        title: str, what the run is.
        protocol: str; of its metrics those are drawn that `protocols.PROTOCOLS` has it follow.
        baselines: dict of label to a metric on the test split, drawn as lines.
    """
    if not history:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    figure.suptitle(textwrap.fill(title, 120), fontsize="small")
    loss_axes, metric_axes = figure.subplots(1, 2)
    for name in dict.fromkeys(name for row in history for name in row):
        prefix, _, metric = name.partition("_")
        axes, label = loss_axes, f"{prefix} loss" if metric else "training loss"
        if name != "loss" and metric != "loss":
            axes, label = metric_axes, name
            if not PROTOCOLS[protocol].follows(metric):
                continue
        rows = [row for row in history if name in row]  # an epoch without validation has none of its metrics
        axes.plot([row["epoch"] for row in rows], [row[name] for row in rows], label=label)
    loss_axes.legend(fontsize="small")
    loss_axes.set(xlabel="epoch", ylabel="loss")
    for (name, value), style in zip(baselines.items(), (":", "--", "-."), strict=False):
        metric_axes.axhline(value, linestyle=style, color="tab:gray", label=name)
    if metric_axes.has_data():
        metric_axes.legend(fontsize="small")
    metric_axes.set(xlabel="epoch", ylabel="metric")
    image = io.BytesIO()
    FigureCanvasAgg(figure).print_png(image)
    files.write_bytes(os.path.join(run_dir, "curves.png"), image.getvalue())


def table(rows: Mapping[str, Mapping[str, float]], names: Iterable[str]) -> str:
    """A plain-text table of metrics.

    Args:
        rows: dict of label to dict of metrics; a missing metric is left blank.
        names: metrics to show, the columns.

    Returns:
        str.

    Example:
        >>> print(table({"popularity": {"mrr": 0.5}}, ["mrr"]))
                       mrr
        popularity  0.5000
    """
    width = max(len(label) for label in rows)
    lines = [" " * width + "".join(f"  {name:>6}" for name in names)]
    for label, metrics in rows.items():
        cells = "".join(
            f"  {metrics[name]:{max(6, len(name))}.4f}" if name in metrics else "  " + " " * max(6, len(name))
            for name in names
        )
        lines.append(f"{label:<{width}}{cells}")
    return "\n".join(lines)


def _version(name: str) -> str:
    for candidate in (name, f"{name}-cpu"):
        try:
            return importlib.metadata.version(candidate)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"
