"""What a run leaves to read: `history.csv`, `metrics.json` and the plot of its curves."""

import csv
import importlib.metadata
import io
import os
import platform
import resource
import sys

import tfrecs
from tfrecs import files


def write_history(run_dir, history):
    """Writes `history.csv`, a row per epoch with every float as `repr`, so that equal runs give equal bytes.

    Args:
        run_dir: str.
        history: list of dict; no clock times, which no two runs share.
    """
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in history for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    files.write_text(os.path.join(run_dir, "history.csv"), text.getvalue())


def environment():
    """Versions and peak memory, as flat entries of `metrics.json`."""
    versions = {f"version_{name.replace('-', '_')}": _version(name) for name in ("keras", "numpy", "tensorflow")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bytes_per_unit = 1 if sys.platform == "darwin" else 1024
    return {"version_tfrecs": tfrecs.__version__, "version_python": platform.python_version(), **versions,
            "peak_memory_mb": round(peak * bytes_per_unit / 2**20, 1)}


def plot_history(run_dir, history, baselines):
    """Plots the loss and the validation metrics, with the baselines' level, to `curves.png`.

    Args:
        run_dir: str.
        history: list of dict, as for `write_history`; nothing is drawn without a row.
        baselines: dict of name to NDCG@10 on validation users, drawn as lines.
    """
    if not history:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    loss_axes, metric_axes = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    loss_axes.plot(epochs, [row["loss"] for row in history], color="tab:gray")
    loss_axes.set(xlabel="epoch", ylabel="training loss")
    for name, color in (("valid_hr@10", "tab:blue"), ("valid_ndcg@10", "tab:orange"), ("valid_mrr", "tab:green")):
        if name in history[0]:
            metric_axes.plot(epochs, [row[name] for row in history], label=name, color=color)
    for (name, value), style in zip(baselines.items(), (":", "--", "-."), strict=False):
        metric_axes.axhline(value, linestyle=style, color="tab:orange", label=f"{name} ndcg@10")
    if metric_axes.has_data():
        metric_axes.legend(fontsize="small")
    metric_axes.set(xlabel="epoch", ylabel="validation")
    path = os.path.join(run_dir, "curves.png")
    FigureCanvasAgg(figure).print_png(f"{path}.tmp")
    os.replace(f"{path}.tmp", path)


def table(rows, names=("hr@5", "hr@10", "hr@20", "hr@50", "ndcg@10", "mrr")):
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
            for name in names)
        lines.append(f"{label:<{width}}{cells}")
    return "\n".join(lines)


def _version(name):
    for candidate in (name, f"{name}-cpu"):
        try:
            return importlib.metadata.version(candidate)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"
