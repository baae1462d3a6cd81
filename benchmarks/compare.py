"""Training and evaluation of a model next to its original's, in turns on the same machine: A B A B ...

`run.py compare` calls it. A side is a process that has read the data and made its model; the sides take turns, and a
ratio is taken within a round, so that it holds on a machine whose speed drifts. Rates are targets per second; a target
is a window (AttRec), a positive with its negatives (ATRank), a rating (ARERec), or a place of a history whose next item
is predicted (DIF-SR, of whose original a training sample is one). Reading and negative sampling count.
"""

import dataclasses
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence

import flags
import reports
from sides import Side, SideFailed, alternate, note, our_side, prepare, ratios, with_range

from tfrecs.errors import InputError
from tfrecs.options import Option

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclasses.dataclass(frozen=True)
class Row:
    """A side of ours.

    Args:
        flags: tuple of str for `examples/run.py`.
        steps: int, training steps in a round.
        against: str, the original's side that it is compared with.
    """

    flags: tuple[str, ...]
    steps: int
    against: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is compared for one model.

    Args:
        original: str, its address.
        source: tuple of str, flags of `data_prep.prepare` besides directories.
        unit: str, what a rate counts.
        originals: dict of side to the driver's arguments after CHECKOUT and RAW_DIR, and the steps in a round.
        ours: dict of side to `Row`.
    """

    original: str
    source: tuple[str, ...]
    unit: str
    originals: Mapping[str, tuple[tuple[str, ...], int]]
    ours: Mapping[str, Row]


AS_ORIGINAL = ("--preset", "original")
FIRST_CLASS = ("--attributes", "category")
PAIR_AUC = ("--protocol", "pair_auc")
COMPARISONS = {
    "attrec": Comparison(
        "https://github.com/slientGe/AttRec",
        ("--dataset", "ml-100k"),
        "windows/s",
        {"published code, batch 256": (("256",), 80)},
        {
            "its flags, batch 256": Row(
                ("--dropout", "0.5", "--partial_windows", "0", "--batch_size", "256"), 300, "published code, batch 256"
            ),
            "recommended, batch 1024": Row((), 100, "published code, batch 256"),
            "recommended, batch 4096": Row(("--batch_size", "4096"), 30, "published code, batch 256"),
        },
    ),
    "atrank": Comparison(
        "https://github.com/jinze1994/ATRank",
        ("--dataset", "atomic", "--category_from", "class"),
        "positives/s",
        {"published code, last 50": (("50", "20000"), 60), "published code, full histories": (("0", "3000"), 4)},
        {
            "original": Row((*AS_ORIGINAL, *FIRST_CLASS), 80, "published code, last 50"),
            "recommended": Row((*FIRST_CLASS, *PAIR_AUC), 50, "published code, last 50"),
            "recommended, one negative": Row(
                (*FIRST_CLASS, *PAIR_AUC, "--num_negatives", "1"), 60, "published code, last 50"
            ),
            "recommended, one negative, 8,192 tokens": Row(
                (*FIRST_CLASS, *PAIR_AUC, "--num_negatives", "1", "--batch_tokens", "8192"),
                25,
                "published code, last 50",
            ),
            "original, pairs together, full histories, 8,192 tokens": Row(
                (*AS_ORIGINAL, *FIRST_CLASS, "--split_pairs", "0", "--max_history", "1000")
                + ("--batch_tokens", "8192"),
                12,
                "published code, full histories",
            ),
        },
    ),
    "arerec": Comparison(
        "https://github.com/umapornp/ARERec",
        ("--dataset", "ml-100k"),
        "ratings/s",
        {"published code": (("64", "101", "128"), 3)},
        {
            "original": Row(AS_ORIGINAL, 10, "published code"),
            "original, lazy Adam": Row((*AS_ORIGINAL, "--optimizer", "lazy_adam"), 60, "published code"),
            "recommended, 64 wide, lists of 101": Row(
                ("--protocol", "rated_list", "--random_split", "0.2", "--embedding_dim", "64", "--max_seq", "101"),
                25,
                "published code",
            ),
        },
    ),
    "dif_sr": Comparison(
        "https://github.com/AIM-SE/DIF-SR",
        ("--dataset", "sequences"),
        "targets/s",
        {"published code, attributes 64 wide, batch 128": (("64", "128"), 1)},
        {
            "paper": Row(("--preset", "paper"), 12, "published code, attributes 64 wide, batch 128"),
            "recommended": Row(("--protocol", "recbole"), 12, "published code, attributes 64 wide, batch 128"),
        },
    ),
}


OPTIONS = {
    "model": Option(str, None, "the model", choices=tuple(COMPARISONS), required=True),
    "original": Option(str, None, "the directory of the original's code", required=True),
    "python": Option(str, None, "the interpreter that runs it", required=True),
    "raw_dir": Option(str, None, "the raw data of both: ml-100k, for dif_sr Beauty", required=True),
    "rounds": Option(int, 5, "how often each side is asked", 1),
    "results": Option(str, os.path.join(HERE, "results"), "the directory for the table"),
}
Answers = Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]


def compare(model: str, checkout: str, python: str, raw_dir: str, rounds: int) -> Answers:
    """Asks all sides of a model in turns.

    Args:
        model: str, a key of `COMPARISONS`.
        checkout: str, the directory of the original's code.
        python: str, the interpreter that runs it.
        raw_dir: str, the raw data of both.
        rounds: int.

    Returns:
        dict of `train` and `evaluate` to a dict of side to its answers, one per round.

    Raises:
        SideFailed: a side ended early or reported an error.
    """
    comparison = COMPARISONS[model]
    with tempfile.TemporaryDirectory() as folder:
        data_dir = os.path.join(folder, "data")
        prepare([*comparison.source, "--raw_dir", raw_dir, "--out_dir", data_dir], f"--raw_dir {raw_dir}")
        sides: dict[str, Side] = {}
        steps: dict[str, int] = {}
        try:
            driver = os.path.join(HERE, "originals", f"{model}.py")
            for name, (arguments, steps[name]) in comparison.originals.items():
                log = os.path.join(folder, f"{len(sides)}.log")
                sides[name] = Side([python, driver, checkout, raw_dir, *arguments], log)
                note(f"{name}: ready")
            for name, row in comparison.ours.items():
                log, steps[name] = os.path.join(folder, f"{len(sides)}.log"), row.steps
                sides[name] = our_side(data_dir, ("--model", model, *row.flags), log)
                note(f"{name}: ready")
            for side in sides.values():
                side.ask("evaluate")  # traces what the rounds time
            return {
                "train": alternate({name: _train(sides[name], steps[name]) for name in sides}, rounds),
                "evaluate": alternate({name: _evaluate(sides[name]) for name in sides}, rounds),
            }
        finally:
            for side in sides.values():
                side.close()


def _train(side: Side, steps: int) -> Callable[[], dict[str, float]]:
    return lambda: side.ask("train", steps=steps)


def _evaluate(side: Side) -> Callable[[], dict[str, float]]:
    return lambda: side.ask("evaluate")


def report(model: str, answers: Answers, load: float) -> str:
    """The Markdown table.

    Args:
        model: str.
        answers: what `compare` returned.
        load: float, the machine's load average before the sides were started.

    Returns:
        str.
    """
    comparison = COMPARISONS[model]
    rounds = len(next(iter(answers["train"].values())))
    lines = [
        f"# {model}'s speed next to the published code's",
        "",
        f"- command: `python benchmarks/run.py compare --model {model} --original CHECKOUT --python PYTHON --raw_dir "
        f"DIR --rounds {rounds}`; original: {comparison.original}",
        f"- data: `{' '.join(comparison.source)}`; the sides take turns, {rounds} rounds; reading counts",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores, all of which every side may use; load average "
        f"before {load:.1f}; Python {platform.python_version()}",
        "- rates are medians; a ratio is the median of the ratios within a round, with the least and the greatest",
        "",
        f"| | flags | training, {comparison.unit} | ratio | evaluation, users/s | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for name in (*comparison.originals, *comparison.ours):
        cells = [name, f"`{' '.join(comparison.ours[name].flags)}`" if name in comparison.ours else ""]
        for kind in ("train", "evaluate"):
            cells.append(f"{statistics.median(answer['rate'] for answer in answers[kind][name]):,.0f}")
            cells.append(
                with_range(_ratios(comparison, answers[kind], name), unit="x") if name in comparison.ours else ""
            )
        lines.append(f"| {' | '.join(cells)} |".replace("``", ""))
    return "\n".join(lines) + "\n"


def _ratios(comparison: Comparison, answers: Mapping[str, Sequence[Mapping[str, float]]], name: str) -> list[float]:
    return ratios(answers[name], answers[comparison.ours[name].against], "rate")


def below_expectation(expected: Mapping[str, Mapping[str, float]], model: str, answers: Answers) -> list[str]:
    """The sides whose training fell behind.

    Args:
        expected: dict of side to `ratio` and `tolerance`, the share that it may be lower by.
        model, answers: as for `report`.

    Returns:
        list of str, one for each side whose median ratio is lower.
    """
    wrong = []
    for name, figures in expected.items():
        found = statistics.median(_ratios(COMPARISONS[model], answers["train"], name))
        if found < figures["ratio"] * (1 - figures["tolerance"]):
            wrong.append(f"{name}: {found:.2f}x, expected {figures['ratio']}x less {figures['tolerance']:.0%} at most")
    return wrong


@flags.program
def main(argv: Sequence[str]) -> int:
    """Alternates the sides; writes and prints the table; gives the exit code."""
    options = flags.parse(argv, OPTIONS, __doc__)
    for name in ("original", "raw_dir"):
        if not os.path.isdir(getattr(options, name)):
            raise InputError(f"--{name} {getattr(options, name)}: no such directory")
    if not os.access(options.python, os.X_OK):
        raise InputError(f"--python {options.python}: no program")
    load = os.getloadavg()[0]
    try:
        answers = compare(options.model, options.original, options.python, options.raw_dir, options.rounds)
    except SideFailed as failure:
        print(failure, file=sys.stderr)
        return 2
    reports.save(options.results, f"compare-{options.model}", report(options.model, answers, load))
    with open(os.path.join(HERE, "expected.json"), encoding="utf-8") as file:
        expected = json.load(file).get(f"compare-{options.model}", {}).get("ratios", {})
    wrong = below_expectation(expected, options.model, answers)
    for line in wrong:
        print(f"below expectation: {line}", file=sys.stderr)
    return int(bool(wrong))
