"""Where each user's training part ends and validation ends: pure functions of sequences."""

from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np

from tfrecs.errors import InputError, option

DEFAULT_FRACTION = 0.1


def boundaries(rule: Mapping[str, Any], row_splits: np.ndarray, timestamps: np.ndarray | None = None) -> np.ndarray:
    """The splits of time-ordered sequences.

    Training is `[0, train_end)`, validation `[train_end, valid_end)`, test `[valid_end, length)`.

    Args:
        rule: dict, as the manifest holds it. `{"kind": "leave_one_out"}`: the last interaction is
            the test, the last but one validation; two interactions have no validation, a single
            one is training. `{"kind": "ratio", "valid_fraction": f, "test_fraction": g}`: the last
            `floor(g * length)` are the test, the `floor(f * length)` before them validation.
            `{"kind": "time", "valid_from": t, "test_from": u}`: validation starts at the first
            interaction at or after `t` seconds, the test at the first at or after `u`.
        row_splits: int array `[sequences + 1]`, where each sequence begins and ends in the rows of all.
        timestamps: int array of all rows, ascending within a sequence, for `time` only.

    Returns:
        int array `[sequences, 2]`: `train_end` and `valid_end`, counted from the sequence's begin.

    Example:
        >>> boundaries({"kind": "leave_one_out"}, np.array([0, 5, 6]))
        array([[3, 4],
               [1, 1]])
    """
    lengths = np.diff(row_splits)
    if rule["kind"] == "leave_one_out":
        ends = [lengths - 2, lengths - 1]
        return np.where(lengths[:, None] < 3, 1, np.stack(ends, axis=1))
    if rule["kind"] == "ratio":
        # The small addend keeps 0.29 * 100 = 28.999999999999996 at 29.
        num_test = (rule["test_fraction"] * lengths + 1e-9).astype(np.int64)
        num_valid = (rule["valid_fraction"] * lengths + 1e-9).astype(np.int64)
        return np.stack([lengths - num_test - num_valid, lengths - num_test], axis=1)
    if timestamps is None:
        raise ValueError("a split by time needs the timestamps")
    earlier = [np.cumsum(timestamps < rule[name]) for name in ("valid_from", "test_from")]
    return np.stack([np.diff(np.concatenate([[0], counts])[row_splits]) for counts in earlier], axis=1)


def declare(
    kind: str,
    valid_fraction: float | None = None,
    test_fraction: float | None = None,
    valid_from: int | None = None,
    test_from: int | None = None,
) -> dict[str, Any]:
    """The split rule that options ask for.

    Args:
        kind: `leave_one_out`, `ratio` or `time`.
        valid_fraction: float or None (0.1), for `ratio`, and for `time` without cuts.
        test_fraction: float or None (0.1), likewise.
        valid_from: int seconds or None, for `time`.
        test_from: int seconds or None, for `time`.

    Returns:
        dict; for `time` without cuts it still has the fractions, until `resolve`.

    Raises:
        InputError: an option that the kind has no use for, or that contradicts another.

    Example:
        >>> declare("ratio", test_fraction=0.2)
        {'kind': 'ratio', 'valid_fraction': 0.1, 'test_fraction': 0.2}
    """
    fractions: dict[str, float | None] = {"valid_fraction": valid_fraction, "test_fraction": test_fraction}
    cuts: dict[str, int | None] = {"valid_from": valid_from, "test_from": test_from}
    cut = kind == "time" and any(value is not None for value in cuts.values())
    unused: dict[str, Mapping[str, float | None]] = {
        "leave_one_out": fractions | cuts,
        "ratio": cuts,
        "time": fractions if cut else {},
    }
    for name, value in unused[kind].items():
        if value is not None:
            other = " with cut timestamps" if cut else ""
            raise InputError(f"{option(name)} {value}: has no effect with {option('split')} {kind}{other}")
    if kind == "leave_one_out":
        return {"kind": kind}
    if cut:
        if valid_from is None or test_from is None or valid_from > test_from:
            raise InputError(
                f"{option('valid_from')} {valid_from} {option('test_from')} {test_from}: both are needed, the first at "
                "most the second"
            )
        return {"kind": kind, **cuts}
    shares = {name: DEFAULT_FRACTION if value is None else value for name, value in fractions.items()}
    if sum(shares.values()) >= 1:
        raise InputError(
            f"{option('valid_fraction')} {shares['valid_fraction']} {option('test_fraction')} "
            f"{shares['test_fraction']}: together they must be less than 1"
        )
    return {"kind": kind, **shares}


def resolve(rule: Mapping[str, Any], connection: duckdb.DuckDBPyConnection, table: str) -> Mapping[str, Any]:
    """Turns the fractions of a `time` rule into cut timestamps.

    With n rows in time order, counted from 0, the test starts at the timestamp of row
    `floor((1 - test_fraction) * n)`, and validation likewise with both fractions.

    Args:
        rule: dict, from `declare`.
        connection: a duckdb connection.
        table: str, a table with the column `timestamp`.

    Returns:
        dict; a rule that `boundaries` takes.
    """
    if rule["kind"] != "time" or "valid_from" in rule:
        return rule
    count = connection.execute(f"select count(*) from {table}").fetchall()[0][0]
    held_out = rule["test_fraction"]
    cuts = {}
    for name, share in (
        ("valid_from", held_out + rule["valid_fraction"]),
        ("test_from", held_out),
    ):
        row = min(int((1 - share) * count + 1e-9), count - 1)
        query = f"select timestamp from {table} order by timestamp limit 1 offset {row}"
        cuts[name] = connection.execute(query).fetchall()[0][0]
    return {**rule, **cuts}
