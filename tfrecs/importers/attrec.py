"""AttRec's original (TF 1, slientGe/AttRec) and its 2024 port (LeeIsBadK/AttRec-implement-project)."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfrecs.errors import InputError, option
from tfrecs.importers.porter import NameTable
from tfrecs.models.attrec import AttRec
from tfrecs.models.attrec.aggregation import history_mask
from tfrecs.models.presets import ALIASES, PRESETS

SOURCES = ("slientGe/AttRec", "LeeIsBadK/AttRec-implement-project")
# Names in a checkpoint that are no weights: Adam's slots and accumulators, the global step.
IGNORED = (r"/Adam(_1)?$", r"^beta[12]_power$", r"^Variable(_\d+)?$", r"^global_step$")
SHARED_KERNEL = "AttRec/attention/qk_map/kernel"
KEY_KERNEL = "AttRec/attention/qk_map_1/kernel"
# What a golden file's `config` says of the model; L2 is left out, since the originals never apply it.
DESCRIBED = ("sequence_length", "target_length", "neg_sample_count", "w", "gamma", "keep_prob")


def arguments_from_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor arguments that a golden file's `config` holds under the original's flag names.

    Args:
        config: dict.

    Returns:
        dict of ours.

    Raises:
        InputError: a training step of this configuration cannot be repeated.
        KeyError: a value is missing.
    """
    if config["keep_prob"] != 1:
        raise InputError(f"keep_prob {config['keep_prob']}: a step with random dropout cannot be repeated")
    arguments = {}
    for name in DESCRIBED:
        target, change = ALIASES["attrec"][name]
        arguments[target] = change(config[name]) if change else config[name]
    return arguments


def preset(weights: Mapping[str, np.ndarray]) -> str:
    """The preset that weights, by their original names, belong to.

    Raises:
        InputError: they are not AttRec's.
    """
    for name in ("AttRec/item_emb", "AttRec/user_rep_emb"):
        if name not in weights or np.ndim(weights[name]) != 2:
            raise InputError(f"not AttRec's weights: no table {name}; there are {sorted(weights)}")
    return "port2024" if KEY_KERNEL in weights else "original"


def build(weights: Mapping[str, np.ndarray], arguments: Mapping[str, Any]) -> AttRec:
    """The model that weights belong to; its variables are not assigned.

    Args:
        weights: dict of original variable name to array; they determine preset and sizes.
        arguments: dict of constructor arguments on top of the preset's.

    Returns:
        an `AttRec`.

    Raises:
        InputError: the weights are not AttRec's, or an argument contradicts them.
    """
    chosen = PRESETS["attrec"][preset(weights)]["model"]
    num_items, dim = np.shape(weights["AttRec/item_emb"])
    if arguments.get("embedding_dim", dim) != dim:
        raise InputError(f"{option('embedding_dim')} {arguments['embedding_dim']}: the weights have {dim}")
    sizes = {"num_users": np.shape(weights["AttRec/user_rep_emb"])[0] - 1, "num_items": num_items - 1}
    return AttRec(**sizes, **{**chosen, **arguments, "embedding_dim": dim})


def build_from_golden(
    config: Mapping[str, Any], weights: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]
) -> AttRec:
    """The model of a golden file; see `arguments_from_config` and `build`."""
    return build(weights, arguments_from_config(config))


def name_table(model: AttRec) -> NameTable:
    """Original variable name to variable."""
    table = {
        "AttRec/item_emb": model.items_short.embeddings,
        "AttRec/item_rep_emb": model.items_long.embeddings,
        "AttRec/user_rep_emb": model.users.embeddings,
        SHARED_KERNEL: model.attention.projections[0].kernel,
    }
    if not model.attention.shared_projection:
        table[KEY_KERNEL] = model.attention.projections[1].kernel
    return table


def optimizer(config: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """`tf.train.AdamOptimizer` as `main.py` sets it up, from a golden file's `config`.

    NOTE: `keras.optimizers.Adam` rounds its bias correction otherwise: its steps are 7e-6 of their length shorter.
    """
    if config["optimizer"] != "tf.train.AdamOptimizer":
        raise InputError(f"optimizer {config['optimizer']!r}: AttRec's is tf.train.AdamOptimizer")
    return keras.optimizers.Adam(
        float(config["learning_rate"]), epsilon=1e-8, global_clipnorm=float(config["grad_clip"])
    )


def batches(inputs: Mapping[str, np.ndarray]) -> dict[str, dict[str, tf.Tensor]]:
    """The batches of a golden file by the prefix of their names: one without a prefix."""
    return {"": examples(inputs)}


def loss(model: AttRec, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The loss as the original has it: one value per window."""
    return model.loss_terms(batch, training=True)[0]


def examples(arrays: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    """The original's fed arrays as training examples; positions from `sl` on are padding, whatever is there."""
    history, length = np.array(arrays["hist_seq"], np.int64), np.array(arrays["sl"], np.int64)
    inside = np.arange(history.shape[1])[None] < length[:, None]
    found = {"user": arrays["user"], "targets": arrays["next"], "negatives": arrays["neg"]}
    found["history"] = np.where(inside, history, 0)
    if (history[inside] == 0).any():
        found["length"] = length
    return {name: tf.constant(np.asarray(value, np.int64)) for name, value in found.items()}


def outputs(model: AttRec, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What a golden file records, under its names: the first ones as in training, the rest as `predict`."""
    query = model.encode(batch, training=True)
    terms, _ = model.loss_terms(batch, training=True)
    found = {
        "pos_y": -model.score_items(query, batch["targets"]),
        "neg_y": -model.score_items(query, batch["negatives"]),
        "loss": terms,
        "loss_mean": ops.mean(terms),
    }
    # The recorded m is the one `predict` uses: the mean, or the 2024 port's maximum.
    query = model.encode(batch)
    valid = history_mask(batch)
    values = model.items_short(batch["history"]) * ops.cast(valid, "float32")[:, :, None]
    return found | {
        "next_items": query["intent"],
        "predict_score": -model.score_items(query, tf.range(model.num_items + 1)),
        "attention": model.attention(values, model.signal, valid)[1],
        "time_signal": model.signal,
    }


def ranking_disagreement(found: Mapping[str, np.ndarray], recorded: Mapping[str, np.ndarray]) -> np.ndarray:
    """How far a recorded ranking contradicts our scores.

    Args:
        found: dict, as from `outputs`.
        recorded: dict of the golden file's outputs; `topk_index` int `[batch, count]`, best first, may be absent.

    Returns:
        float array, how much nearer an item is than one ranked before it, or one left out than one listed, at most,
        relative to distances above 1; 0 where the order is ours, infinite where an item is listed twice.

    Example:
        >>> scores, order = np.array([[0.1, 0.4, 0.3]]), np.array([[0, 1]])
        >>> ranking_disagreement({"predict_score": scores}, {"topk_index": order}).round(3)
        array([0.1])
    """
    order, distance = recorded.get("topk_index"), np.asarray(found["predict_score"], np.float64)
    if order is None:
        return np.zeros([0])
    worst = np.full(len(order), np.inf)
    for row, (ids, all_distances) in enumerate(zip(order, distance)):
        if len(set(ids.tolist())) == len(ids):
            ranked = all_distances[ids]
            rest = np.delete(all_distances, ids)
            following = np.append(ranked[1:], rest.min(initial=np.inf))
            excess = np.maximum.accumulate(ranked) - following
            worst[row] = np.max(excess / np.maximum(1.0, np.abs(ranked)), initial=0.0)
    return worst
