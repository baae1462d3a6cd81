"""ATRank's presets, and the names its original gave to flags."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from tfrecs.errors import InputError
from tfrecs.models.original_flags import Fixed, flag_value


def _time(concat_time_emb: str) -> str:
    times = {"1": "one_hot", "True": "one_hot", "0": "tanh", "False": "tanh"}
    if concat_time_emb not in times:
        raise InputError(f"--concat_time_emb: expected 0 or 1, got {concat_time_emb!r}")
    return times[concat_time_emb]


PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # The model is the constructor's defaults. Chosen on ml-100k's validation items (seed 0, one epoch): buckets from a
    # minute up, not a day (paper), since most of what a user does there is within hours (AUC against 100 negatives
    # .913, with days .899); eight negatives a positive (.922). Actions are read where the data have any, also where
    # `object_type` makes other groups.
    "recommended": {
        "model": {},
        "training": dict(learning_rate=1e-3, batch_size=64, epochs=5, select_metric="ndcg@10"),
    },
    "original": {
        "model": dict(
            attributes=("first",),
            attribute_values=1,
            action_dim=0,
            time="one_hot",
            num_buckets=12,
            time_unit=86400.0,
            num_negatives=1,
            bucket_rule="calendar",
            similarity="dot",
            candidate="raw",
            hidden_units=0,
            activation_penalty=5e-5,
            sum_penalty=True,
            attend_padding=True,
            split_pairs=True,
            clip_unmerged_rows=True,
            negatives_exclude_held_out=True,
        ),
        "training": dict(
            optimizer="sgd",
            learning_rate=1.0,
            batch_size=32,
            epochs=10,
            global_clipnorm=5.0,
            protocol="pair_auc",
            select_metric="auc",
            train_split="train_valid",
            validation_split="test",
        ),
    },
}
# multi/: several kinds of objects, told apart by the item attribute `kind`; the sample has it with `--kinds 1`.
PRESETS["multi"] = {
    "model": PRESETS["original"]["model"]
    | dict(
        attributes=("all",),
        object_type="kind",
        action_dim=64,
        candidate="group",
        hidden_units=256,
        num_heads=4,
        dropout=0.1,
        activation_penalty=1e-5,
    ),
    "training": PRESETS["original"]["training"] | dict(learning_rate=0.1),
    "data": {"kinds": 1},
}
SMALLEST_RUN = dict(item_dim=4, attribute_dim=4, time_dim=4, hidden_units=8, num_heads=2)  # for tests: seconds an epoch
# The original's flag names: (ours, how the value changes).
ALIASES = {
    "itemid_embedding_size": ("item_dim", None),
    "cateid_embedding_size": ("attribute_dim", None),
    "concat_time_emb": ("time", _time),
    "regulation_rate": ("activation_penalty", None),
    "max_gradient_norm": ("global_clipnorm", None),
    "train_batch_size": ("batch_size", None),
    "test_batch_size": ("eval_batch_size", None),
    "max_epochs": ("epochs", None),
    "model_dir": ("run_dir", None),
    "cuda_visible_devices": ("gpu_id", None),
}
DERIVED = {
    "from_scratch": "1 for --load_model 0 --overwrite 1, 0 for --load_model 1",
    "net_type": "att-a2a for --object_type kind; att-a2i adds --target_kind item, att-i2i also --history_kind item; "
    "q and c are query and coupon",
}
FIXED = {
    "display_freq": Fixed((), "progress is shown by time, not by steps, and an epoch's loss at its end"),
    "eval_freq": Fixed((), "validation comes at the end of epochs; --eval_step N validates every N epochs"),
    "per_process_gpu_memory_fraction": Fixed(
        (),
        "no such share here; the environment variable TF_FORCE_GPU_ALLOW_GROWTH=true takes memory as needed",
    ),
}
# The letters of `--net_type`: the kinds that are read and predicted, as the sample calls them; `a` is all.
KINDS = {"a": "", "i": "item", "q": "query", "c": "coupon"}
ABSENT = {"rnn": "RNN", "rna": "RNN", "cnn": "CNN"}


def derive(original: Mapping[str, str], known: dict[str, Any], given: Collection[str]) -> dict[str, Any]:
    """What `--from_scratch` and `--net_type` of `train.py` mean; see `original_flags`."""
    meant: dict[str, Any] = {}
    if "from_scratch" in original:
        anew = flag_value("from_scratch", original["from_scratch"])
        meant |= {"load_model": not anew} | ({"overwrite": True} if anew and "overwrite" in known else {})
    if "net_type" in original:
        meant |= {"object_type": known["object_type"] or "kind"} | _kinds(original["net_type"])
    return meant


def _kinds(net_type: str) -> dict[str, str]:
    """The kind that is read and the one that is predicted, as `multi/model.py` takes them from the name.

    Example:
        >>> _kinds("att-a2i")
        {'history_kind': '', 'target_kind': 'item'}
    """
    network = net_type.partition("-")[0]
    if network in ABSENT:
        raise InputError(
            f"--net_type {net_type[:80]}: the published {ABSENT[network]} variants are not here, only attention (att-)"
        )
    found = re.fullmatch("att-([aiqc])2([aiqc])", net_type)
    if not found:
        raise InputError(f"--net_type: expected att-a2a, or such as att-a2i and att-i2i, got {net_type[:80]!r}")
    if found[2] == "a" != found[1]:
        raise InputError(f"--net_type {net_type}: the published code predicts all kinds from all of them only, att-a2a")
    return {"history_kind": KINDS[found[1]], "target_kind": KINDS[found[2]]}
