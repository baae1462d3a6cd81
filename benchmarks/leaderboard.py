"""All models and the baselines on one data set under one protocol: a table, a plot, and how each row was made."""

import csv
import io
import os
import platform
import shlex

SASREC = ("--model", "dif_sr", "--attributes", "none")
# Row to the flags that make it; `sasrec` is DIF-SR's causal attention without any attribute.
ROWS = {
    "attrec": ("--model", "attrec"),
    "atrank": ("--model", "atrank"),
    "arerec": ("--model", "arerec"),
    "dif_sr": ("--model", "dif_sr"),
    "sasrec": SASREC,
}
BASELINES = ("popularity", "transitions", "constant", "item_mean", "matrix_factorisation")
COLUMNS = {
    "full_ranking": ("hr@10", "ndcg@10", "hr@50", "mrr"),
    "recbole": ("recall@20", "ndcg@20", "recall@10", "ndcg@10"),
    "pair_auc": ("auc", "gauc"),
    "rated_list": ("hr@10", "ndcg@10", "hr@3", "ndcg@3"),
}


def records(runs, protocol):
    """One dict per row of the table: the models, best first by the protocol's first metric, and the baselines.

    Args:
        runs: dict of row to `(command, metrics)`, metrics being a `metrics.json` or a str that says why there is none.
        protocol: str.

    Returns:
        list of dict: `row`, the protocol's metrics, `share_of_best_reachable`, `epochs`, `train_seconds`, `recipe`.
    """
    columns, found, failed = COLUMNS[protocol], [], []
    for row, (command, metrics) in runs.items():
        if isinstance(metrics, str):
            failed.append({"row": row, "recipe": metrics})
            continue
        record = {"row": row} | {name: metrics[f"test_{name}"] for name in columns}
        record["share_of_best_reachable"] = metrics.get("share_of_oracle_hr@10")
        record |= {"epochs": metrics["best_epoch"], "train_seconds": metrics["train_seconds"], "recipe": command}
        found.append(record)
        for baseline in BASELINES:
            if f"{baseline}_{columns[0]}" in metrics and baseline not in [record["row"] for record in found]:
                values = {name: metrics[f"{baseline}_{name}"] for name in columns}
                oracle = metrics.get("oracle_hr@10")
                share = values["hr@10"] / oracle if oracle and "hr@10" in values else None
                found.append({"row": baseline, **values, "share_of_best_reachable": share, "recipe": "counts"})
    return sorted(found, key=lambda record: -record[columns[0]]) + failed


def markdown(title, rows, protocol, split, runs):
    """The report: what was measured on what, the table, the recipes."""
    columns = list(COLUMNS[protocol])
    shares = any(row.get("share_of_best_reachable") for row in rows)
    heads = ["ranking", *columns, *(["of best reachable HR@10"] if shares else []), "epoch", "training"]
    metrics = next(metrics for _, metrics in runs.values() if not isinstance(metrics, str))
    lines = [
        f"# {title}",
        "",
        f"- data: {metrics['num_users']} users, {metrics['num_items']} items, "
        f"{metrics['num_interactions']} interactions; {split}; {metrics['test_users']} test users",
        f"- protocol: {protocol}, {'seen items excluded' if metrics['exclude_seen'] else 'seen items kept'}; the epoch "
        "is chosen on validation, the test split looked at once",
        f"- one seed ({metrics['seed']}) each; machine: {platform.machine()}, {os.cpu_count()} cores; TensorFlow "
        f"{metrics['version_tensorflow']}, Keras {metrics['version_keras']}",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for row in rows:
        cells = [f"{row[name]:.4f}" if name in row else "" for name in columns]
        if shares:
            cells.append(f"{row['share_of_best_reachable']:.1%}" if row.get("share_of_best_reachable") else "")
        cells.append(str(row.get("epochs", "")))
        cells.append(f"{row['train_seconds']:.0f} s" if "train_seconds" in row else "")
        lines.append(f"| {row['row']} | {' | '.join(cells)} |")
    lines += ["", "Recipes:", ""]
    lines += [f"- {row['row']}: {row['recipe']}" for row in rows]
    return "\n".join(lines) + "\n"


def comma_separated(rows):
    """The table as CSV, every float as `repr`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def plot(title, rows, protocol):
    """Bars of the first two metrics, as the bytes of a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names, rows = COLUMNS[protocol][:2], [row for row in rows if COLUMNS[protocol][0] in row]
    figure = Figure(figsize=(8, 0.45 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(names):
        heights = [index + 0.4 * place - 0.2 for index in range(len(rows))]
        bars = axes.barh(heights, [row[name] for row in rows], 0.38, label=name)
        axes.bar_label(bars, fmt="%.3f", fontsize="small", padding=2)
    axes.set_yticks(range(len(rows)), [row["row"] for row in rows])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_title(title, fontsize="medium")
    axes.legend(loc="lower right")
    image = io.BytesIO()
    FigureCanvasAgg(figure).print_png(image)
    return image.getvalue()


def command_line(flags, seed):
    """How a figure is made again."""
    return f"`python examples/run.py {shlex.join(flags)} --data_dir DIR --seed {seed}`"
