"""ATRank's original (TF 1, jinze1994/ATRank): `atrank/`, and `multi/` with its three kinds of objects."""

import json
import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrecs.errors import InputError, option
from tfrecs.importers import atrank_multi as multi
from tfrecs.importers.porter import NameTable, Part, read_checkpoint
from tfrecs.models.atrank import ATRank
from tfrecs.models.presets import ALIASES, PRESETS

SOURCES = ("jinze1994/ATRank",)
ITEM_IDS = "item ids are the original's plus 1"
# Names in a checkpoint that no variable of ours stands for: steps, optimizers' slots, and `multi/`'s table of users,
# which nothing reads; `user_count` is what `read` adds.
IGNORED = (
    r"^global_(epoch_)?step$",
    r"/(Adam(_1)?|Adadelta(_1)?|RMSProp(_1)?)$",
    r"^beta[12]_power$",
    r"^user_(emb_w|count)$",
)
BLOCKS = "all/user_hist_group/num_blocks_"
# Flags in the configuration that the original stores with a checkpoint, and in that of a golden file.
STORED = {
    "num_heads": int,
    "dropout": float,
    "regulation_rate": float,
    "max_gradient_norm": float,
    "optimizer": str,
    "learning_rate": float,
}


def preset(weights: Mapping[str, np.ndarray]) -> str:
    """The preset that weights, by their original names, belong to.

    Raises:
        InputError: they are not ATRank's.
    """
    for name in ("item_emb_w", "cate_emb_w"):
        if name not in weights or np.ndim(weights[name]) != 2:
            raise InputError(f"not ATRank's weights: no table {name}; there are {sorted(weights)}")
    return "multi" if "i_layer/kernel" in weights else "original"


def build(weights: Mapping[str, np.ndarray], arguments: Mapping[str, Any]) -> ATRank:
    """The model that weights belong to; its variables are not assigned.

    Args:
        weights: dict of original variable name to array; they determine preset and sizes.
        arguments: dict of constructor arguments on top of the preset's.

    Returns:
        an `ATRank`.

    Raises:
        InputError: the weights are not ATRank's, or an argument contradicts them.
        KeyError: a weight is missing.
    """
    chosen = PRESETS["atrank"][preset(weights)]["model"]
    sizes = multi.sizes(weights) if preset(weights) == "multi" else _sizes(weights)
    sizes["num_blocks"] = len({name.split("/")[2] for name in weights if name.startswith(BLOCKS)})
    sizes["hidden_units"] = np.shape(weights[f"{BLOCKS}0/self_attention/dense/kernel"])[1]
    for name, size in sizes.items():
        if arguments.get(name, chosen.get(name)) not in (chosen.get(name), size):
            raise InputError(f"{option(name)} {arguments[name]}: the weights have {size}")
    model = ATRank(**{**chosen, **arguments, **sizes})
    if preset(weights) == "multi":
        multi.set_kinds(model, weights)
    return model


def _sizes(weights: Mapping[str, np.ndarray]) -> dict[str, Any]:
    num_items, item_dim = np.shape(weights["item_emb_w"])
    categories, attribute_dim = np.shape(weights["cate_emb_w"])
    return {
        "num_users": int(weights.get("user_count", 1)),  # the original has no variable of users
        "num_items": num_items,
        "attribute_sizes": (categories,),
        "attribute_lengths": (0,),
        "num_actions": 0,
        "num_groups": 1,
        "item_dim": item_dim,
        "attribute_dim": attribute_dim,
        "time": "tanh" if np.shape(weights["dense/kernel"])[0] == 1 else "one_hot",
    }


def name_table(model: ATRank) -> NameTable:
    """Original variable name to variable; the original's ids start at 0, ours at 1."""
    table: dict[str, keras.Variable | Part]
    if model.object_type:
        table = dict(multi.name_table(model))
    else:
        dense = model.behaviours.projection
        dense = dense if model.time == "tanh" else dense.layers[0]
        table = {
            "item_emb_w": _from_1(model.objects.items),
            "item_b": _from_1(model.item_bias),
            "cate_emb_w": _from_1(model.objects.attributes[0].embeddings),
            "dense/kernel": dense.kernel,
            "dense/bias": dense.bias,
        }
    for group, attention, blocks in (
        ("user_hist_group", "self_attention", model.self_attention),
        ("item_feature_group", "vanilla_attention", model.candidate_attention),
    ):
        for index, block in enumerate(blocks):
            scope = f"all/{group}/num_blocks_{index}"
            for suffix, layer in (("", block.query), ("_1", block.key), ("_2", block.value)):
                table[f"{scope}/{attention}/dense{suffix}/kernel"] = layer.kernel
                table[f"{scope}/{attention}/dense{suffix}/bias"] = layer.bias
            for suffix, layer in (("", block.inner), ("_1", block.outer)):
                table[f"{scope}/feed_forward/conv1d{suffix}/kernel"] = Part(layer.kernel, lambda value: value[None])
                table[f"{scope}/feed_forward/conv1d{suffix}/bias"] = layer.bias
            for name, norm in zip((attention, "feed_forward"), block.norms, strict=True):
                table[f"{scope}/{name}/ln/Variable"] = norm.beta
                table[f"{scope}/{name}/ln/Variable_1"] = norm.gamma
    return table


def _from_1(variable: keras.Variable) -> Part:
    return Part(variable, lambda value: value[1:])


def build_from_golden(
    config: Mapping[str, Any], weights: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]
) -> ATRank:
    """The model of a golden file, its categories assigned.

    Raises:
        InputError: a training step of this configuration cannot be repeated.
    """
    if config["dropout"] != 0:
        raise InputError(f"dropout {config['dropout']}: a step with random dropout cannot be repeated")
    arguments = {"num_heads": config["num_heads"], "activation_penalty": config["regulation_rate"], "dropout": 0.0}
    model = build(weights, arguments)
    fill_tables(model, inputs)
    return model


def fill_tables(model: ATRank, tables: Mapping[str, np.ndarray]) -> str:
    """Assigns which category (and shop and brand) each item has, which is not in a checkpoint.

    Args:
        model: `ATRank`.
        tables: dict of the original's arrays: `cate_list`, or the `*_feat_*_list` of `multi/`; may be empty.

    Returns:
        str, a sentence for the report.
    """
    names = multi.TABLES if model.object_type else ("cate_list",)
    if not tables:
        return (
            f"not in a checkpoint, and empty now: {', '.join(names)}; give them with {option('tables')}, or call "
            "the model's `adapt` with prepared data: scores are the original's only then"
        )
    missing = [name for name in names if name not in tables]
    if missing:
        raise InputError(f"it has no {missing}")
    columns = multi.columns(model, tables) if model.object_type else [tables["cate_list"]]
    for name, column, table, size in zip(names, columns, model.objects.tables, model.attribute_sizes):
        if np.shape(column) != (model.num_items,) or np.min(column) < -1 or np.max(column) >= size:
            raise InputError(f"{name}: expected an id from 0 to {size - 1} for each of {model.num_items} items")
        table.values.assign(np.pad(np.asarray(column, np.int64) + 1, (1, 0))[:, None])
    return f"{', '.join(names)}: taken from {option('tables')}"


def optimizer(config: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """The optimizer of a golden file's `config`; every step has its own rate in `multi/`, see `steps`."""
    rate, clip = float(config.get("learning_rate", 1.0)), float(config["max_gradient_norm"])
    if config["optimizer"] == "adam":
        return keras.optimizers.Adam(rate, epsilon=1e-8, global_clipnorm=clip)
    if config["optimizer"] != "sgd":
        raise InputError(f"optimizer {config['optimizer']!r}: of ATRank's, sgd and adam are supported")
    return keras.optimizers.SGD(rate, global_clipnorm=clip)


def steps(config: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """The steps recorded: three on one batch, or one for each kind of target."""
    rates = config.get("learning_rates")
    if rates is None:
        return [("", None)] * 3
    return [(f"{kind}/", float(rates[kind])) for kind in config.get("after3_order", multi.TARGETS)]


def batches(inputs: Mapping[str, np.ndarray]) -> dict[str, dict[str, tf.Tensor]]:
    """The batches of a golden file, by the prefix of their outputs."""
    if "cate_list" not in inputs:
        return multi.batches(inputs)
    history = np.asarray(inputs["hist_i"], np.int64) + 1
    return {
        "": {
            "history": tf.constant(history),
            "bucket": tf.constant(inputs["hist_t"]),
            "valid": tf.sequence_mask(inputs["sl"], history.shape[1]),
            "targets": tf.constant(inputs["i"], tf.int64)[:, None] + 1,
            "labels": tf.constant(inputs["y"], tf.float32)[:, None],
            "others": tf.constant(inputs["j"], tf.int64)[:, None] + 1,
        }
    }


def loss(model: ATRank, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The original's loss: the mean cross-entropy plus the penalty on activations."""
    return tf.reduce_mean(model.loss_terms(batch, training=True)[0])


def outputs(model: ATRank, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What a golden file records of a batch, under its names."""
    query, related = model.encode_with_weights(batch)
    scores, user, candidate, read = model.match(query, batch["targets"])
    found = {
        "logits": scores[:, 0],
        "loss": loss(model, batch),
        "att": _head_major(read[-1]),
        "stt": _head_major(related[-1]),
        "u_emb": user[:, 0],
        "i_emb": candidate[:, 0],
    }
    if "others" in batch:
        found["logits_j"] = model.score_items(query, batch["others"])[:, 0]
    return found


def _head_major(weights: tf.Tensor) -> tf.Tensor:
    """Attention weights `[batch, heads, queries, time]` as the original stacks them, `[heads * batch, ...]`."""
    return tf.reshape(tf.transpose(weights, [1, 0, 2, 3]), [-1, *weights.shape[2:]])


def read(checkpoint: str) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint; the number of users is in the configuration stored with it, if anywhere."""
    arrays = read_checkpoint(checkpoint)
    count = _stored(checkpoint).get("user_count")
    return arrays | ({} if count is None else {"user_count": np.array(count, np.int64)})


def stored_flags(checkpoint: str) -> dict[str, Any]:
    """Values from the configuration that `model.py:229-231` stores with a checkpoint, by our names."""
    stored, values = _stored(checkpoint), {}
    for name, kind in STORED.items():
        if name in stored:
            try:
                values[ALIASES["atrank"].get(name, (name, None))[0]] = kind(stored[name])
            except (ValueError, TypeError):
                what = f"{name}: no {kind.__name__}: {stored[name]!r}"
                raise InputError(f"{option('checkpoint')} {checkpoint}: {what}") from None
    return values


def _stored(checkpoint: str) -> dict[str, Any]:
    prefix = tf.train.latest_checkpoint(checkpoint) if os.path.isdir(checkpoint) else checkpoint
    path = f"{prefix}.json"
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
