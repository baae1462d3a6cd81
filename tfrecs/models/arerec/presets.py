"""ARERec's presets, and the names its original gave to flags."""

import os
import re
from collections.abc import Collection, Mapping
from typing import Any

from tfrecs.errors import InputError, option
from tfrecs.models.original_flags import Fixed, flag_value

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # The model is the constructor's defaults. Chosen on the validation ratings of ml-100k (seed 0): dropout of the
    # units, as `run.py` has it with `--use_dropout 1`, lowered the error most. The lazy Adam saves reading tables of
    # which a batch touches little.
    "recommended": {
        "model": {},
        "training": dict(learning_rate=1e-3, batch_size=256, epochs=8, optimizer="lazy_adam"),
    },
    # `run.py`'s defaults; `max_seq` is there the mean length of the lists (on ml-100k, items of 20 ratings: 101).
    "original": {
        "model": dict(
            embedding_dim=64,
            max_seq=101,
            dropout=(0.0,) * 9,
            neighbours="all",
            padding_floor=True,
            random_split=0.2,
            probability_floor=1e-7,
        ),
        "training": dict(
            learning_rate=1e-4,
            batch_size=128,
            epochs=2,
            train_split="all",
            validation_split="test",
            protocol="rated_list",
            published_lists=True,
            select_metric="hr@10",
        ),
    },
}
SMALLEST_RUN = dict(embedding_dim=4, max_seq=6)  # for tests: seconds an epoch
# The original's flag names: (ours, how the value changes).
ALIASES = {
    "emb_size": ("embedding_dim", None),
    "num_head": ("num_heads", None),
    "regularizer": ("l2", None),
}
VALUES = {"optimizer": {"rms": "rmsprop"}}
DERIVED = {
    "data_version": "prepared data are in DATA_PATH/DATASET/DATA_VERSION",
    "data_path": "see --data_version; default Data/",
    "model_name": "the run directory is MODEL_PATH/DATASET/MODEL_NAME; a name is made of the flags if not given",
    "model_path": "see --model_name; default Model/",
    "use_dropout": "0 for nine rates of 0; 1 for the published code's, unless --dropout is given",
    "use_regularizer": "0 for --l2 0,0,0,0,0; 1 for .001 each, unless --l2 is given",
}
FIXED = {
    "save_model": Fixed(("1",), "a run always writes checkpoints; --save_checkpoints_epochs says how often"),
    "max_seq_mode": Fixed(
        (),
        "give --max_seq N; python -m data_prep.prepare --show_details DIR prints mean and max of interactions per item",
    ),
    "hrcutoff": Fixed(("3",), "items are relevant from a rating of 3"),
}
# What `run.py` has with `--use_dropout 1` and with `--use_regularizer 1`.
PUBLISHED_DROPOUT, PUBLISHED_L2 = (0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0), (0.001,) * 5
OPTIMIZER_NAMES = {"adam": "adam", "lazy_adam": "adam", "rmsprop": "rms"}


def derive(original: Mapping[str, str], known: dict[str, Any], given: Collection[str]) -> dict[str, Any]:
    """What flags of `run.py` mean together; see `originals`."""
    meant: dict[str, Any] = {}
    version = original.get("data_version")
    if version is None and "data_path" in original:
        raise InputError(f"--data_path {original['data_path']}: needs --data_version")
    if version is not None:
        _needs_dataset("data_version", given)
        meant["data_dir"] = os.path.join(original.get("data_path", "Data/"), known["dataset"], version)
        if known["random_split"] and "random_split" not in given:
            meant["random_split"] = int(_ratio(version)[2]) / 100
    for switch, name, published in (
        ("use_dropout", "dropout", PUBLISHED_DROPOUT),
        ("use_regularizer", "l2", PUBLISHED_L2),
    ):
        if switch in original:
            used = flag_value(switch, original[switch])
            if not used and name in given and any(known[name]):
                raise InputError(f"--{switch} {original[switch]}: contradicts {option(name)}")
            if not (used and name in given):
                meant[name] = published if used else (0.0,) * len(published)
    if {"model_name", "model_path"} & original.keys() or version is not None and "run_dir" not in given:
        _needs_dataset("model_name" if "model_name" in original else "model_path", given)
        name = original.get("model_name") or _model_name(original, known | meant)
        meant["run_dir"] = os.path.join(original.get("model_path", "Model/"), known["dataset"], name)
    return meant


def _needs_dataset(flag: str, given: Collection[str]) -> None:
    if "dataset" not in given:
        raise InputError(f"--{flag}: needs --dataset NAME")


def _ratio(version: str) -> re.Match[str]:
    """The shares of training and test in a data version's name, as `dataset.py` writes them."""
    found = re.search(r"_(\d{1,3})(\d{2})_minseq", version)
    if not found:
        raise InputError(
            f"--data_version {version}: expected a name such as ml-100k_8020_minseq20_bs128_dper1.0; "
            "--run_dir and --data_dir take other names"
        )
    return found


def _model_name(original: Mapping[str, str], known: Mapping[str, Any]) -> str:
    """The run's name, as `run.py` makes it of its hyper-parameters."""
    if "data_version" not in original:
        raise InputError("--model_path: needs --model_name, or --data_version to make one of")
    if known["optimizer"] not in OPTIMIZER_NAMES:
        raise InputError(f"--optimizer {known['optimizer']}: the published code has no name for it; give --model_name")
    ratio = _ratio(original["data_version"])
    name = (
        f"{known['dataset']}_{ratio[1]}{ratio[2]}_bs{known['batch_size']}_lr{known['learning_rate']}"
        f"_emb{known['embedding_dim']}_reg{known['region_size']}_ms{known['max_seq']}"
        f"_op{OPTIMIZER_NAMES[known['optimizer']]}"
    )
    name += f"_h{known['num_heads']}" if known["use_attention"] else ""
    for switch, ending in (("use_dropout", "_do"), ("use_regularizer", "_rz")):
        name += ending if flag_value(switch, original.get(switch, "0")) else ""
    return name
