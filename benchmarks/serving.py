"""Latency of an exported model next to the least that must be done: a product with the catalogue, and its best items.

`run.py serving` calls it. For each number of items a model is exported and loaded; it is not trained, which changes
nothing of its speed. Requests of strings go to its signature; the bare call multiplies a vector per user with a table
of vectors of the model's width and takes `tf.math.top_k`. Both take turns, request by request, in one process.
"""

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flags
import reports
from sides import note

from tfrecs.errors import InputError
from tfrecs.options import Option

HERE = os.path.dirname(os.path.abspath(__file__))
# Arguments of the models that score by a product with a table, 64 wide. AttRec's product is of two vectors of 64.
MODELS = {
    "attrec": {"embedding_dim": 64},
    "dif_sr": {"dim": 64, "inner_dim": 128},
    "sasrec": {"dim": 64, "inner_dim": 128},
}
WIDTHS = {"attrec": 128, "dif_sr": 64, "sasrec": 64}
USERS, HISTORY, TOP, DISTINCT = 1000, 50, 10, 8
BATCHES = (1, 8)
OPTIONS = {
    "model": Option(str, None, "the model", choices=tuple(MODELS), required=True),
    "num_items": Option(tuple, ("1000", "100000", "1000000"), "sizes of the catalogue", words=True),
    "calls": Option(int, 60, "requests of each kind", 1),
    "results": Option(str, os.path.join(HERE, "results"), "the directory for the table and the plot"),
}
Times = dict[tuple[int, int, str], list[float]]


def measure(model: str, sizes: Sequence[int], calls: int) -> Times:
    """Times requests.

    Args:
        model: str, a key of `MODELS`.
        sizes: list of int, items in the catalogue.
        calls: int.

    Returns:
        dict of `(items, requests in a batch, "export" or "bare")` to milliseconds, one per call.
    """
    times: Times = {}
    for items in sizes:
        with tempfile.TemporaryDirectory() as folder:
            answer = _exported(model, items, folder)
            for batch in BATCHES:
                sides = {"export": answer(batch), "bare": _bare(WIDTHS[model], items, batch)}
                for side in sides.values():
                    side(0), side(1)
                for number in range(calls):
                    for name, side in sides.items():
                        started = time.perf_counter()
                        side(number)
                        taken = 1e3 * (time.perf_counter() - started)
                        times.setdefault((items, batch, name), []).append(taken)
                middle = {name: statistics.median(times[items, batch, name]) for name in sides}
                note(f"{items} items, {batch} at once: {middle['export']:.2f} ms, bare {middle['bare']:.2f} ms")
    return times


def _exported(model: str, items: int, folder: str) -> Callable[[int], Callable[[int], object]]:
    """`f(batch)` gives `g(number)`, which sends a request to the loaded export."""
    import numpy as np
    import tensorflow as tf

    from data_prep import vocab
    from tfrecs.data.manifest import Manifest
    from tfrecs.models import MODELS as CLASSES
    from tfrecs.serving.export import export

    width = len(str(items))
    tokens = [f"{number:0{width}}" for number in range(1, items + 1)]
    users = [f"{number:04}" for number in range(1, USERS + 1)]
    vocabularies = {name: vocab.write(folder, name, [of]) for name, of in (("user", users), ("item", tokens))}
    rule = {"kind": "leave_one_out"}
    manifest = Manifest("synthetic", ("item",), USERS, items, 0, rule, (), vocabularies, {}, None, {}, {})
    sizes = {**CLASSES[model].minimal_sizes, "num_users": USERS, "num_items": items}
    path = export(CLASSES[model](**{**sizes, **MODELS[model]}), folder, manifest, os.path.join(folder, "export"), k=TOP)
    signature = tf.saved_model.load(path).signatures["serving_default"]
    random = np.random.default_rng(0)

    def requests(batch: int) -> Callable[[int], object]:
        histories = random.integers(0, items, [DISTINCT, batch, HISTORY])
        made = [
            {
                "user": tf.constant([users[user] for user in random.integers(0, USERS, batch)]),
                "history": tf.constant([[tokens[item] for item in row] for row in rows]),
            }
            for rows in histories
        ]
        return lambda number: _numpy(signature(**made[number % DISTINCT]))

    return requests


def _bare(width: int, items: int, batch: int) -> Callable[[int], object]:
    """`f(number)`: the product and the best items, of random vectors."""
    import tensorflow as tf

    table = tf.Variable(tf.random.normal([items, width]))
    queries = tf.random.normal([DISTINCT, batch, width])

    @tf.function(input_signature=[tf.TensorSpec([None, width])])
    def best(query: Any) -> Any:
        return tf.math.top_k(tf.matmul(query, table, transpose_b=True), TOP)

    return lambda number: _numpy(best(queries[number % DISTINCT]))


def _numpy(answer: object) -> object:
    """What a caller waits for: the numbers themselves."""
    import tensorflow as tf

    return tf.nest.map_structure(lambda value: value.numpy(), answer)


def report(model: str, times: Mapping[tuple[int, int, str], Sequence[float]], load: float) -> str:
    """The Markdown table.

    Args:
        model: str.
        times: what `measure` returned.
        load: float, the machine's load average before.

    Returns:
        str.
    """
    calls = len(next(iter(times.values())))
    sizes = list(dict.fromkeys(items for items, _, _ in times))
    lines = [
        f"# {model} as a SavedModel",
        "",
        f"- command: `python benchmarks/run.py serving --model {model} --num_items {' '.join(map(str, sizes))} --calls "
        f"{calls}`; a width of 64, histories of {HISTORY} items, of which none is recommended, the best {TOP}",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores; load average before {load:.1f}",
        f"- bare: a product with a table of {WIDTHS[model]} columns and `tf.math.top_k`, in turns with the export",
        "",
        "| items | requests at once | export, ms: median | 99 % | bare, ms: median | 99 % | ratio of medians |",
        "|---" * 7 + "|",
    ]
    for items in sizes:
        for batch in BATCHES:
            export, bare = times[items, batch, "export"], times[items, batch, "bare"]
            ratio = statistics.median(export) / statistics.median(bare)
            cells = [f"{items:,}", str(batch), *_middle_and_worst(export), *_middle_and_worst(bare), f"{ratio:.2f}x"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _middle_and_worst(values: Sequence[float]) -> tuple[str, str]:
    ordered = sorted(values)
    return f"{statistics.median(values):.2f}", f"{ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]:.2f}"


def plot(model: str, times: Mapping[tuple[int, int, str], Sequence[float]], path: str) -> None:
    """Median milliseconds over the size of the catalogue.

    Args:
        model: str.
        times: what `measure` returned.
        path: str, the PNG to write.
    """
    from matplotlib.figure import Figure

    sizes = list(dict.fromkeys(items for items, _, _ in times))
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, batch in zip(figure.subplots(1, len(BATCHES)), BATCHES, strict=True):
        for name, style in (("export", "o-"), ("bare", "s--")):
            axes.plot(sizes, [statistics.median(times[items, batch, name]) for items in sizes], style, label=name)
        at_once = "1 request" if batch == 1 else f"{batch} requests at once"
        axes.set(xlabel="items", ylabel="ms", xscale="log", yscale="log", title=at_once)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(f"{model} as a SavedModel, {platform.machine()}, {os.cpu_count()} cores")
    figure.savefig(path, dpi=120)


@flags.program
def main(argv: Sequence[str]) -> int:
    """Measures; writes the table and the plot, prints the table; gives the exit code."""
    options = flags.parse(argv, OPTIONS, __doc__)
    sizes = []
    for value in options.num_items:
        if not value.isdecimal() or int(value) < TOP:
            raise InputError(f"--num_items: expected integers of at least {TOP}, got {value!r}")
        sizes.append(int(value))
    if len(set(sizes)) < len(sizes):
        raise InputError(f"--num_items: expected different sizes, got {' '.join(options.num_items)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    load = os.getloadavg()[0]
    times = measure(options.model, sizes, options.calls)
    path = reports.save(options.results, f"serving-{options.model}", report(options.model, times, load))
    plot(options.model, times, f"{path}.png")
    return 0
