"""AttRec's presets, and the names its originals gave to flags."""

import os
from collections.abc import Collection, Mapping
from typing import Any

from tfrecs.errors import InputError
from tfrecs.models.original_flags import Fixed

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # The model is the constructor's defaults. Chosen on ml-100k's validation items (seed 0); dropout, margin and the
    # falling rate moved them most.
    "recommended": {
        "model": {},
        "training": dict(learning_rate=4e-3, batch_size=1024, epochs=12, decay_epochs=12, select_metric="ndcg@50"),
    },
    "original": {
        "model": dict(
            dropout=0.5,
            l2=0.0,
            diagonal="zeroed",
            mask_padding=False,
            signal_exponent=2.0,
            norm_bound="lookup",
            unit_user_in_training=True,
            partial_windows=False,
            pair_reduction="mean",
            loss_reduction="sum",
            clip_unmerged_rows=True,
            negatives_include_pad=True,
            negatives_exclude_held_out=True,
            rank_pad=True,
        ),
        "training": dict(
            learning_rate=1e-2,
            batch_size=256,
            global_clipnorm=10.0,
            epsilon=1e-8,
            exclude_seen=False,
            train_split="train_valid",
            validation_split="test",
            select_metric="hr@50",
        ),
    },
}
PRESETS["port2024"] = {
    "model": PRESETS["original"]["model"] | dict(shared_projection=False, prediction_aggregation="max"),
    "training": PRESETS["original"]["training"],
}
SMALLEST_RUN = dict(embedding_dim=4)  # for tests: seconds an epoch
# The originals' flag names: (ours, how the value changes).
ALIASES = {
    "emb_size": ("embedding_dim", None),
    "embedding_size": ("embedding_dim", None),
    "sequence_length": ("max_history", None),
    "target_length": ("num_targets", None),
    "neg_sample_count": ("num_negatives", None),
    "w": ("user_weight", None),
    "gamma": ("margin", None),
    "l2_lambda": ("l2", None),
    "keep_prob": ("dropout", lambda keep: 1.0 - keep),
    "grad_clip": ("global_clipnorm", None),
}
DERIVED = {
    "file_path": "MovieLens's u.data; for --dataset ml-100k --raw_dir DIR",
    "mode": "train, or test for --do_train 0",
    "save_path": "a checkpoint's path without its ending, for --run_dir",
}
_COUNTED = Fixed(None, "counted in the data, as the published code does whatever the flag says")
_NOT_READ = Fixed(None, "nothing is read from there, as in the published code")
FIXED = {"item_count": _COUNTED, "user_count": _COUNTED, "train_path": _NOT_READ, "test_path": _NOT_READ}


def derive(original: Mapping[str, str], known: dict[str, Any], given: Collection[str]) -> dict[str, Any]:
    """What flags of `main.py` and of the notebook mean; see `originals`."""
    meant: dict[str, Any] = {}
    if "file_path" in original:
        directory, name = os.path.split(original["file_path"])
        if name != "u.data":
            raise InputError(
                f"--file_path {original['file_path']}: expected MovieLens's u.data; for other files: "
                "python -m data_prep.prepare --dataset delimited --path FILE --out_dir DIR, then --data_dir DIR"
            )
        meant["raw_dir"] = directory or os.curdir
        meant |= {} if "dataset" in given else {"dataset": "ml-100k"}
    if "mode" in original:
        if original["mode"] not in ("train", "test"):
            raise InputError(f"--mode: expected train or test, got {original['mode']!r}")
        meant["do_train"] = original["mode"] == "train"
    if "save_path" in original:
        meant["run_dir"] = original["save_path"].removesuffix(".ckpt")
    return meant
