"""The flags of ARERec's `dataset.py`, as `data_prep.prepare` understands them."""

import os
from collections.abc import Mapping
from typing import Any

from data_prep.sources import SOURCES
from tfrecs.errors import InputError

FLAGS = {
    "data_path": "reads raw files from DATA_PATH/DATASET and writes prepared data below it (default Data/)",
    "min_seq": "for --min_user_interactions and --min_item_interactions",
    "test_ratio": "for --split ratio --test_fraction VALUE --valid_fraction 0",
    "batch_size": "only names the data version; no interactions are dropped to fill batches",
    "data_percent": "for --keep_fraction",
}
# Options with a name of the original's.
SAME = {
    "test_fraction": "test_ratio",
    "keep_fraction": "data_percent",
    "min_user_interactions": "min_seq",
    "min_item_interactions": "min_seq",
}
# What `dataset.py` assumes where a flag is not given; `_version` names the directory by them.
DEFAULTS = {"min_seq": "20", "test_ratio": "0.2", "batch_size": "128", "data_percent": "1.0"}


def translate(values: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Replaces the original's flags by this package's.

    `--data_path` names both directories, as in the original: raw files in `DATA_PATH/DATASET/`, prepared data in a
    directory below it that carries the data version's name, unless `--out_dir` or `--raw_dir` name others.

    Args:
        values: dict of name to str, the flags given; `dataset` too, unless `show_details` is among them.

    Returns:
        `(values, notes)`: the dict without the original's names, and lines to print.

    Raises:
        InputError: a value of the wrong type or range, one option given twice with different values, or a flag that
            has no effect with `--show_details` or with its directory.

    Example:
        >>> translate({"dataset": "ml-100k", "min_seq": "5", "out_dir": "data"})[0]["min_item_interactions"]
        '5'
    """
    values, original = dict(values), {name: values[name] for name in FLAGS if name in values}
    for name in original:
        del values[name]
    if "show_details" in values:
        return _shown(values, original), []
    if not original:
        return values, []
    numbers = _numbers(original)
    notes: list[str] = []
    meant: dict[str, str] = {}
    if "min_seq" in original:
        meant |= {"min_user_interactions": original["min_seq"], "min_item_interactions": original["min_seq"]}
    if "test_ratio" in original:
        meant |= {"split": "ratio", "test_fraction": original["test_ratio"], "valid_fraction": "0"}
    if "data_percent" in original:
        meant["keep_fraction"] = original["data_percent"]
    if "batch_size" in original:
        notes.append(
            f"--batch_size {original['batch_size']}: part of the data version's name; no interactions are dropped to "
            "fill the last batch"
        )
    if "data_path" in original and "raw_dir" not in getattr(SOURCES.get(values["dataset"]), "options", ["raw_dir"]):
        raise InputError(f"--data_path {original['data_path']}: dataset {values['dataset']} reads no directory")
    raw_dir = os.path.join(original.get("data_path", "Data/"), values["dataset"])
    if "data_path" in original or "raw_dir" not in values and os.path.isdir(raw_dir):
        values.setdefault("raw_dir", raw_dir)
    if "out_dir" not in values:
        version = _version(values["dataset"], numbers)
        values["out_dir"] = os.path.join(original.get("data_path", "Data/"), values["dataset"], version)
        notes.append(f"prepared data go to {values['out_dir']}; --data_version {version} finds them")
    return _merged(values, meant), notes


def _shown(values: Mapping[str, str], original: dict[str, str]) -> dict[str, str]:
    """`--show_details`: a directory, or the name of a data version below `--data_path` and `--dataset`."""
    name, path = values["show_details"], original.pop("data_path", None)
    unused = [*original, *(flag for flag in values if flag not in ("show_details", "dataset"))]
    if unused:
        raise InputError(f"--{unused[0]}: has no effect with --show_details")
    if "dataset" in values and not path and os.path.isdir(name):
        given = f"--dataset {values['dataset']}"
        raise InputError(f"{given}: has no effect with --show_details {name}, which is a directory; leave it out")
    version = os.path.join(path or "Data/", values.get("dataset", "sample"), name)
    return {"show_details": version if path or not os.path.isdir(name) and os.path.isdir(version) else name}


def _numbers(original: Mapping[str, str]) -> dict[str, float]:
    """The original's numbers, with its defaults for those that are not given."""
    numbers = {}
    for name, default in DEFAULTS.items():
        kind, text = float if "." in default else int, original.get(name, default)
        try:
            numbers[name] = kind(text)
        except ValueError:
            noun = "an integer" if kind is int else "a number"
            raise InputError(f"--{name}: expected {noun}, got {text!r}") from None
    for name in ("test_ratio", "data_percent"):
        low = 0 if name == "test_ratio" else 1e-9
        if not low <= numbers[name] <= 1 or (name == "test_ratio" and numbers[name] == 1):
            raise InputError(
                f"--{name}: expected a number in {'[0, 1)' if low == 0 else '(0, 1]'}, got {original[name]!r}"
            )
    for name in ("min_seq", "batch_size"):
        if numbers[name] < 1:
            raise InputError(f"--{name}: expected an integer of at least 1, got {original[name]!r}")
    return numbers


def _version(dataset: str, numbers: Mapping[str, float]) -> str:
    """The data version's name, as the original builds it.

    Example:
        >>> _version("ml-1m", {"test_ratio": 0.2, "min_seq": 20, "batch_size": 128, "data_percent": 1.0})
        'ml-1m_8020_minseq20_bs128_dper1.0'
    """
    test = round(100 * numbers["test_ratio"])
    return (
        f"{dataset}_{100 - test}{test}_minseq{numbers['min_seq']}_bs{numbers['batch_size']}"
        f"_dper{numbers['data_percent']}"
    )


def _merged(values: dict[str, str], meant: dict[str, str]) -> dict[str, str]:
    """What the original's flags mean, below what was given under our own names."""
    for ours, original in SAME.items():
        if ours in values and ours in meant and values[ours] != meant[ours]:
            raise InputError(f"--{ours} and --{original} are the same option and were given different values")
    unread = {"--split leave_one_out": values.get("split") == "leave_one_out"}
    unread |= {f"--{name} {values.get(name)}": name in values for name in ("valid_from", "test_from")}
    for other, is_given in unread.items():
        if is_given and "test_fraction" in meant:
            raise InputError(f"--test_ratio {meant['test_fraction']}: has no effect with {other}")
    return meant | values


def spelled(values: Mapping[str, str]) -> dict[str, str]:
    """What messages call options: the original's names, where an option is given by that name alone.

    Args:
        values: as for `translate`.

    Returns:
        dict of option to name.

    Example:
        >>> spelled({"dataset": "ml-100k", "data_percent": "0.5"})
        {'keep_fraction': 'data_percent'}
    """
    names = SAME | {"raw_dir": "data_path"}
    return {ours: original for ours, original in names.items() if original in values and ours not in values}
