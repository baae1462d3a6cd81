"""Time and memory of data preparation as the log grows: generated interactions, one process a size.

    python benchmarks/data_prep_scale.py [--millions 1 2 5 10 20]

Prints rows, seconds, seconds of processor time, rows per second and peak memory (of the whole process, imports
included), and writes the table and its plot to `benchmarks/results/data_prep_scale.{md,png}`. The logs are the source
`sample` with 32 interactions a user; the catalogue grows with the log, from 20,000 to 100,000 items. Drawing the log is
part of all times; the column `drawing` says how much processor time it takes alone, measured afterwards.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import flags
import reports

from tfrecs.options import Option

HERE = os.path.dirname(os.path.abspath(__file__))
OPTIONS = {
    "millions": Option(tuple, (1.0, 2.0, 5.0, 10.0, 20.0), "millions of interactions of each log", 0.001, words=True),
    "results": Option(str, os.path.join(HERE, "results"), "the directory for table and plot"),
}


def prepare(millions: float) -> tuple[int, float, float, float, float]:
    """Prepares one log in its own process.

    Args:
        millions: float, interactions asked for.

    Returns:
        `(interactions, seconds, processor seconds, those of drawing the log, peak memory in MB)`.
    """
    users = int(millions * 1_000_000) // 32
    items = min(100_000, 20_000 + int(4_000 * millions))
    options = {"num_users": users, "num_items": items, "mean_length": 32, "seed": 7, "kinds": 0}
    with tempfile.TemporaryDirectory() as folder:
        data_dir = os.path.join(folder, "data")
        command = [sys.executable, "-m", "data_prep.prepare", "--dataset", "sample", "--out_dir", data_dir]
        command += [f"--{name}={value}" for name, value in options.items()]
        started = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - started
        if status:
            sys.exit(f"failed: {' '.join(command)}")
        from tfrecs.data.manifest import load

        processor = usage.ru_utime + usage.ru_stime
        return load(data_dir).num_interactions, seconds, processor, drawing(options), usage.ru_maxrss / 1024


def drawing(options: Mapping[str, Any]) -> float:
    """Processor seconds of drawing the log alone.

    Args:
        options: dict, those of the source `sample`.
    """
    from data_prep.sources import sample

    started = time.process_time()
    for _ in sample.open_log("sample", options).chunks():
        pass
    return time.process_time() - started


def plot(rows: Sequence[Sequence[float]], path: str) -> None:
    """Draws seconds and memory over millions of rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    for axes, column, label in zip(figure.subplots(1, 2), (1, 4), ("seconds", "peak memory, MB"), strict=True):
        axes.plot([row[0] / 1e6 for row in rows], [row[column] for row in rows], marker="o")
        axes.set(xlabel="million interactions", ylabel=label, ylim=(0, None))
    FigureCanvasAgg(figure).print_png(path)


@flags.program
def main(argv: Sequence[str]) -> int:
    """Prepares each size and reports."""
    options, rows = flags.parse(argv, OPTIONS, __doc__), []
    for millions in options.millions:
        rows.append(prepare(millions))
        count, seconds, processor, _, peak = rows[-1]
        done = f"{count:,} interactions: {seconds:.1f} s, {processor:.1f} s of processor time, {peak:.0f} MB"
        print(done, file=sys.stderr, flush=True)
    lines = ["| interactions | seconds | processor s | drawing | rows/s | peak MB |", "|---:|---:|---:|---:|---:|---:|"]
    lines += [
        f"| {count:,} | {seconds:.1f} | {processor:.1f} | {drawn:.1f} | {count / seconds:,.0f} | {peak:.0f} |"
        for count, seconds, processor, drawn, peak in rows
    ]
    text = "# Data preparation, time and memory\n\n" + "\n".join(lines) + "\n"
    path = reports.save(options.results, "data_prep_scale", text)
    plot(rows, f"{path}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
