"""How fast a model trains and is evaluated, over values of one flag or over sizes of the data; a table and a plot.

`run.py speed` calls it. Each value is a process; they take turns. `num_items`, `num_users` and `mean_length` are sizes
of the sample, which is made for each of them; any other flag of the model or of training is set on the data named.
Operations and memory are compared with what the machine does at best: a large product of matrices, and copies.
"""

import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence

import flags
import reports
from sides import Side, SideFailed, alternate, note, our_side, prepare, with_range

from tfrecs.errors import InputError, nearest
from tfrecs.models import MODELS, declarations
from tfrecs.options import Option
from tfrecs.training import recipe as recipes

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = ("num_items", "num_users", "mean_length")  # of the sample
OPTIONS = {
    "model": Option(str, None, "the model", choices=tuple(MODELS), required=True),
    "data_dir": Option(str, None, "a directory that data_prep made; default the sample"),
    "over": Option(str, "batch_size", "the flag, or the size of the sample, that varies"),
    "values": Option(tuple, ("256", "1024", "4096"), "its values", words=True),
    "steps": Option(int, 50, "training steps in a round", 1),
    "rounds": Option(int, 5, "how often each value is timed", 1),
    "results": Option(str, os.path.join(HERE, "results"), "the directory for the table and the plot"),
}


def measure(
    model: str, data_dir: str | None, over: str, values: Sequence[str], steps: int, rounds: int, more: Sequence[str]
) -> tuple[dict[str, list[dict[str, float]]], dict[str, dict[str, float]]]:
    """Times training and evaluation for each value, in turns.

    Args:
        model, data_dir, over, values, steps, rounds: as the options.
        more: list of str, further flags for `examples/run.py`.

    Returns:
        `(answers, costs)`: dict of value to its answers, one per round, with `evaluated`, users per second; and dict
        of value to what a step costs, with the machine's `matmul` and `copy` next to it.

    Raises:
        SideFailed: a side ended early or reported an error.
        InputError: data that cannot be made.
    """
    with tempfile.TemporaryDirectory() as folder:
        sides: dict[str, Side] = {}
        try:
            for number, value in enumerate(values):
                directory = data_dir or _sample(os.path.join(folder, f"data-{number}"), over, value)
                varied = () if over in SIZES else (f"--{over}", value)
                log = os.path.join(folder, f"{number}.log")
                sides[value] = our_side(directory, ("--model", model, *more, *varied), log)
                sides[value].ask("evaluate")  # traces what the rounds time
                note(f"{over} {value}: ready")
            answers = alternate({value: _timed(side, steps) for value, side in sides.items()}, rounds)
            return answers, {value: side.ask("cost") | side.ask("machine") for value, side in sides.items()}
        finally:
            for side in sides.values():
                side.close()


def _sample(directory: str, over: str, value: str) -> str:
    """Makes the sample, of another size where that is what varies."""
    size = [f"--{over}", value] if over in SIZES else []
    prepare(["--dataset", "sample", "--out_dir", directory, *size], f"--values {value}")
    return directory


def _timed(side: Side, steps: int) -> Callable[[], dict[str, float]]:
    def timed() -> dict[str, float]:
        more = {"read": side.ask("read", steps=steps)["ms"], "evaluated": side.ask("evaluate")["rate"]}
        return side.ask("train", steps=steps) | more

    return timed


def report(
    model: str,
    over: str,
    recipe: str,
    answers: Mapping[str, Sequence[Mapping[str, float]]],
    costs: Mapping[str, Mapping[str, float]],
    load: float,
) -> str:
    """The Markdown table.

    Args:
        model, over: str.
        recipe: str, the command.
        answers, costs: what `measure` returned.
        load: float, the machine's load average before the sides were started.

    Returns:
        str.
    """
    rounds = len(next(iter(answers.values())))
    best = {name: max(cost[name] for cost in costs.values()) for name in ("matmul", "copy")}
    lines = [
        f"# {model}'s speed over {over}",
        "",
        f"- command: `{recipe}`",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores; load average before {load:.1f}; at best "
        f"{best['matmul']:.0f} GFLOP/s in a product of matrices, {best['copy']:.0f} GB/s in copies",
        f"- medians of {rounds} rounds, the values taking turns, with the least and the greatest; reading counts, and "
        "goes on while steps are made; `reading` is what a batch takes by itself",
        "- GFLOP: floating point operations of a step's matrix products; share: of what the machine does in a product",
        "",
        f"| {over} | ms a step | s an epoch | targets/s | tokens/s | fill | reading, ms a batch | GFLOP a step | share "
        "| state, MB | peak, MB | evaluation, users/s |",
        "|---" * 12 + "|",
    ]
    for value, rounds_of in answers.items():
        middle = {name: statistics.median(answer[name] for answer in rounds_of) for name in rounds_of[0]}
        cost = costs[value]
        share = cost["gflop"] / (middle["ms"] / 1e3) / best["matmul"]
        cells = [
            value,
            with_range([answer["ms"] for answer in rounds_of], ",.1f"),
            f"{cost['batches'] * middle['ms'] / 1e3:,.1f}",
            with_range([answer["rate"] for answer in rounds_of], ",.0f"),
            f"{middle['tokens']:,.0f}",
            f"{middle['fill']:.2f}",
            f"{middle['read']:.2f}",
            f"{cost['gflop']:.2f}",
            f"{share:.0%}",
            f"{cost['mb']:,.0f}",
            f"{cost['peak_mb']:,.0f}",
            with_range([answer["evaluated"] for answer in rounds_of], ",.0f"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot(
    model: str,
    over: str,
    answers: Mapping[str, Sequence[Mapping[str, float]]],
    costs: Mapping[str, Mapping[str, float]],
    path: str,
) -> None:
    """Milliseconds a step and seconds an epoch over the values, medians with their range.

    Args:
        model, over: str.
        answers, costs: what `measure` returned.
        path: str, the PNG to write.
    """
    from matplotlib.figure import Figure

    numbers = [float(value) for value in answers]
    steps = [[answer["ms"] for answer in rounds] for rounds in answers.values()]
    seconds = [cost["batches"] / 1e3 for cost in costs.values()]  # an epoch's, for each millisecond of a step
    epochs = [[ms * each for ms in column] for column, each in zip(steps, seconds, strict=True)]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, columns, label in zip(figure.subplots(1, 2), (steps, epochs), ("ms a step", "s an epoch"), strict=True):
        middles = [statistics.median(column) for column in columns]
        lows = [middle - min(column) for middle, column in zip(middles, columns, strict=True)]
        highs = [max(column) - middle for middle, column in zip(middles, columns, strict=True)]
        axes.errorbar(numbers, middles, yerr=[lows, highs], marker="o", capsize=3)
        axes.set(xlabel=over, ylabel=label, xscale="log", ylim=(0, None))
        axes.set_xticks(numbers, [f"{number:,.0f}" for number in numbers])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.suptitle(f"{model}, {platform.machine()}, {os.cpu_count()} cores")
    figure.savefig(path, dpi=120)


@flags.program
def main(argv: Sequence[str]) -> int:
    """Measures; writes the table and the plot, prints the table; gives the exit code."""
    own, more = flags.split(argv)
    options = flags.parse(own, OPTIONS, __doc__)
    if options.over in SIZES and options.data_dir:
        raise InputError(f"--data_dir {options.data_dir}: --over {options.over} makes the sample of each size")
    arguments = [*SIZES, *recipes.training_arguments(), *declarations.defaults(options.model)]
    if options.over not in arguments:
        raise InputError(f"--over: unknown value {options.over!r}; {nearest(options.over, arguments)}")
    if len(set(options.values)) < len(options.values):
        raise InputError(f"--values: expected different ones, got {' '.join(options.values)}")
    for value in options.values:
        try:
            float(value)
        except ValueError:
            raise InputError(f"--values: expected numbers, got {value!r}") from None
    load = os.getloadavg()[0]
    try:
        answers, costs = measure(
            options.model, options.data_dir, options.over, options.values, options.steps, options.rounds, more
        )
    except SideFailed as failure:
        print(failure, file=sys.stderr)
        return 2
    recipe = f"python benchmarks/run.py speed --model {options.model} --over {options.over} --values "
    recipe += f"{' '.join(options.values)} --steps {options.steps} --rounds {options.rounds}"
    recipe += (" --data_dir DIR" if options.data_dir else "") + (f" -- {' '.join(more)}" if more else "")
    text = report(options.model, options.over, recipe, answers, costs, load)
    path = reports.save(options.results, f"speed-{options.model}-{options.over}", text)
    plot(options.model, options.over, answers, costs, f"{path}.png")
    return 0
