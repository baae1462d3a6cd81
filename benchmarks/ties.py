"""How far the order of equal timestamps moves a figure: popularity on MovieLens 100K over many orders.

    python benchmarks/ties.py --raw_dir DIR [--orders 20]

DIR holds GroupLens's `u.data`. Interactions of one user with equal timestamps keep the order of the input, and
leave-one-out takes the last one as the test item. Each order shuffles the lines of the file, which changes nothing
except the order of ties; then the data is prepared and popularity is ranked under `full_ranking`, which trains nothing
and has no seed. The table goes to `benchmarks/results/ties.md`.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import flags
import numpy as np
import reports

from data_prep.prepare import prepare
from tfrecs.errors import InputError
from tfrecs.options import Option
from tfrecs.progress import StageProgress

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

HERE = os.path.dirname(os.path.abspath(__file__))
SHOWN = ("hr@10", "hr@50", "ndcg@10", "mrr")
OPTIONS = {
    "raw_dir": Option(str, None, "the directory of u.data", required=True),
    "orders": Option(int, 20, "how many shuffled orders", 1),
    "seed": Option(int, 0, "of the orders", 0),
    "results": Option(str, os.path.join(HERE, "results"), "the directory for the table"),
}


def popularity(lines: Sequence[bytes]) -> dict[str, Any]:
    """Popularity's test metrics on one order of the file's lines.

    Args:
        lines: list of bytes, of `u.data`.

    Returns:
        dict of metric to float, and `users`.
    """
    from tfrecs.data import evaluation_batches, statistics
    from tfrecs.evaluation.baselines import Popularity
    from tfrecs.evaluation.held_out_item import FullRanking
    from tfrecs.evaluation.measurement import Measurement

    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "u.data"), "wb") as file:
            file.writelines(lines)
        data_dir = os.path.join(folder, "data")
        manifest = prepare("ml-100k", data_dir, StageProgress(None), raw_dir=folder)
        batches = evaluation_batches.EvaluationBatches(
            data_dir, manifest, lambda rows: {"user": rows["user"]}, 1024, "test"
        )
        protocol = FullRanking()
        ranker = Popularity(statistics.item_counts(data_dir, manifest, "train"))
        return Measurement(protocol.measure(ranker), protocol.summarise)(batches)[0]


def tied_users(lines: Sequence[bytes]) -> tuple[int, int]:
    """How many users there are, and for how many the test item shares its second with the validation item."""
    users, times = np.array([line.split(b"\t") for line in lines])[:, [0, 3]].astype(np.int64).T
    order = np.lexsort((times, users))
    users, times = users[order], times[order]
    last = np.flatnonzero(np.append(users[1:] != users[:-1], True))
    last = last[(last > 0) & (users[last - 1] == users[last])]
    return len(np.unique(users)), int((times[last] == times[last - 1]).sum())


def report(given: Mapping[str, Any], shuffled: Sequence[Mapping[str, Any]], users: int, tied: int) -> str:
    """The Markdown table.

    Args:
        given: dict, metrics under the file's own order.
        shuffled: list of dict, metrics of each other order.
        users, tied: int, see `tied_users`.

    Returns:
        str.
    """
    rows = {"the file's own order": given}
    for label, of in (("lowest", min), ("mean", np.mean), ("highest", max)):
        rows[f"{label} of {len(shuffled)} shuffled orders"] = {
            name: of([metrics[name] for metrics in shuffled]) for name in SHOWN
        }
    lines = [
        "# The order of ties",
        "",
        f"- command: `python benchmarks/ties.py --raw_dir DIR --orders {len(shuffled)}`",
        "- data: MovieLens 100K, the last item of each user is the test; popularity, counted without the last two "
        "items; `full_ranking`, seen items excluded",
        f"- {tied} of {users} test items share their second with the validation item",
        "",
        "| popularity | " + " | ".join(SHOWN) + " |",
        "|---" * (len(SHOWN) + 1) + "|",
        *(f"| {label} | {' | '.join(f'{row[name]:.4f}' for name in SHOWN)} |" for label, row in rows.items()),
    ]
    return "\n".join(lines) + "\n"


@flags.program
def main(argv: Sequence[str]) -> int:
    """Measures the orders; writes and prints the table."""
    options = flags.parse(argv, OPTIONS, __doc__)
    path = os.path.join(options.raw_dir, "u.data")
    if not os.path.isfile(path):
        raise InputError(f"--raw_dir {options.raw_dir}: no u.data there")
    import tensorflow as tf

    with open(path, "rb") as file:
        lines = [line.rstrip(b"\r\n") + b"\n" for line in file]
    tf.get_logger().setLevel("ERROR")  # every order is traced anew
    given, random, shuffled = popularity(lines), np.random.default_rng(options.seed), []
    for number in range(options.orders):
        shuffled.append(popularity([lines[index] for index in random.permutation(len(lines))]))
        shown = ", ".join(f"{name} {shuffled[-1][name]:.4f}" for name in SHOWN)
        print(f"order {number + 1} of {options.orders}: {shown}", file=sys.stderr, flush=True)
    text = report(given, shuffled, *tied_users(lines))
    reports.save(options.results, "ties", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
