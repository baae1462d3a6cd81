"""DIF-SR's original (PyTorch, AIM-SE/DIF-SR, built on RecBole)."""

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrecs.errors import InputError, option
from tfrecs.importers.dif_sr_files import read as read
from tfrecs.importers.dif_sr_files import stored_flags as stored_flags  # hooks of `check` and `convert`
from tfrecs.importers.dif_sr_files import tables_in_checkpoint as tables_in_checkpoint
from tfrecs.importers.dif_sr_names import LIST, TOKEN, arguments_from_config
from tfrecs.importers.dif_sr_names import name_table as name_table
from tfrecs.importers.torch_files import TorchAdam
from tfrecs.layers.masks import padding_mask
from tfrecs.models.dif_sr import DIFSR
from tfrecs.models.presets import PRESETS

SOURCES = ("AIM-SE/DIF-SR",)
IGNORED = ()


def preset(weights: Mapping[str, np.ndarray]) -> str:
    """The preset that weights belong to: there is one.

    Raises:
        InputError: they are not DIF-SR's.
    """
    for name in ("item_embedding.weight", "position_embedding.weight"):
        if name not in weights or np.ndim(weights[name]) != 2:
            raise InputError(f"not DIF-SR's weights: no table {name}; there are {sorted(weights)}")
    return "original"


def build(weights: Mapping[str, np.ndarray], arguments: Mapping[str, Any]) -> DIFSR:
    """The model that weights belong to; its variables are not assigned.

    Args:
        weights: dict of original name to array; they determine the sizes.
        arguments: dict of constructor arguments on top of the preset's; `attribute_lengths` may be among them.

    Returns:
        a `DIFSR`. The table of the items' attributes is empty: see `fill_tables`.

    Raises:
        InputError: the weights are not DIF-SR's, or an argument contradicts them.
    """
    chosen = PRESETS["dif_sr"][preset(weights)]["model"] | arguments
    count = sum(name.endswith(".weight") and name.startswith("feature_embed_layer_list.") for name in weights)
    tokens = [TOKEN.format(i) in weights for i in range(count)]
    tables = [weights[(TOKEN if token else LIST).format(i)] for i, token in enumerate(tokens)]
    sizes = {
        "num_users": 1,
        "num_items": len(weights["item_embedding.weight"]) - 1,
        "attribute_sizes": tuple(len(table) - 1 for table in tables),
        "attribute_lengths": tuple(0 if token else 1 for token in tokens),
    }
    matches = [re.match(r"trm_encoder\.layer\.(\d+)\.", name) for name in weights]
    found = {
        "max_history": len(weights["position_embedding.weight"]),
        "dim": weights["item_embedding.weight"].shape[1],
        "num_layers": len({match[1] for match in matches if match}),
    }
    for name, value in found.items():
        if name in arguments and arguments[name] != value:
            raise InputError(f"{option(name)} {arguments[name]}: the weights have {value}")
    return DIFSR(**{**sizes, **chosen, **found})


def build_from_golden(
    config: Mapping[str, Any], weights: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]
) -> DIFSR:
    """The model of a golden file, with the table of the items' attributes.

    Raises:
        InputError: a training step of this configuration cannot be repeated.
    """
    arguments = arguments_from_config(config)
    for name in ("dropout", "attention_dropout"):
        if arguments[name]:
            raise InputError(f"{name} {arguments[name]}: a step with random dropout cannot be repeated")
    model = build(weights, arguments | sizes_from_tables(inputs, arguments))
    fill_tables(model, inputs)
    return model


def sizes_from_tables(tables: Mapping[str, np.ndarray], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor arguments that depend on tables outside the weights.

    Args:
        tables: dict of `item_attributes/<name>` to int arrays, `[items + 1]` or `[items + 1, longest]`.
        arguments: dict, with `attributes`.

    Returns:
        dict of `attribute_lengths`; empty where a table is not given.
    """
    names = [f"item_attributes/{name}" for name in arguments["attributes"]]
    if any(name not in tables for name in names):
        return {}
    found = [tables[name] for name in names]
    return {"attribute_lengths": tuple(table.shape[1] if table.ndim == 2 else 0 for table in found)}


def fill_tables(model: DIFSR, tables: Mapping[str, np.ndarray]) -> str:
    """Assigns the table of the items' attributes, which are no weights, and says so where it is not given.

    Args:
        model: `DIFSR`.
        tables: dict, as for `sizes_from_tables`.
    """
    for name, table, size in zip(model.attributes, model.tables, model.attribute_sizes):
        if f"item_attributes/{name}" not in tables:
            until = f"give it with {option('tables')}; until then no item has attributes"
            return f"item_attributes/{name}: not in it, {until}"
        values = np.asarray(tables[f"item_attributes/{name}"], np.int64)
        if len(values) != model.num_items + 1 or values.min() < 0 or values.max() > size:
            raise InputError(
                f"item_attributes/{name}: expected ids from 0 to {size} for padding and each of {model.num_items} items"
            )
        table.values.assign(values.reshape(table.values.shape))
    return "item attributes: filled" if model.tables else ""


def optimizer(config: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """`torch.optim.Adam` as RecBole's trainer sets it up."""
    if config["learner"] != "adam" or config.get("weight_decay") or config.get("clip_grad_norm"):
        raise InputError("only torch.optim.Adam without weight decay and clipping is supported")
    return TorchAdam(float(config["learning_rate"]))


def batches(inputs: Mapping[str, np.ndarray]) -> dict[str, dict[str, tf.Tensor]]:
    """The batches of a golden file by the prefix of their names: one without a prefix.

    Raises:
        InputError: what is fed contradicts itself.
    """
    history, target = inputs["item_id_list"], inputs["item_id"]
    if not np.array_equal((history != 0).sum(axis=1), inputs["item_length"]) or not inputs["item_length"].all():
        raise InputError("item_length is not the number of items in item_id_list")
    for name, labels in inputs.items():
        attribute = name.removeprefix("attribute_label/")
        if attribute != name and not np.array_equal(labels, inputs[f"item_attributes/{attribute}"][target]):
            raise InputError(f"{name} is not what item_attributes/{attribute} says of item_id")
    examples = {"history": history, "targets": target[:, None]}
    if "neg_item_id" in inputs:
        examples["negatives"] = inputs["neg_item_id"][:, None]
    return {"": {name: tf.constant(np.asarray(value, np.int64)) for name, value in examples.items()}}


def loss(model: DIFSR, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The loss as the original has it: the mean over examples."""
    return tf.reduce_mean(model.loss_terms(batch, training=True)[0])


def outputs(model: DIFSR, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What a golden file records, under its names."""
    history, target = batch["history"], batch["targets"][:, 0]
    vectors = model.items(history)
    query = model.encode(batch)
    scores = model.score_items(query, tf.range(model.num_items + 1))
    chosen = tf.gather(scores, target, axis=1, batch_dims=1)
    causal = tf.linalg.band_part(tf.ones([history.shape[1]] * 2, tf.bool), -1, 0)
    mask = causal & padding_mask(history)[:, None, None, :]
    total = loss(model, batch)
    found = {
        "seq_output": query["vector"],
        "full_sort_scores": scores,
        "predict_scores": chosen,
        "attention_mask": tf.where(mask, 0.0, -10000.0),
        "loss_total": total,
        "loss_item": total if model.item_loss == "bpr" else tf.reduce_mean(tf.reduce_logsumexp(scores, 1) - chosen),
    }
    for name, table, embedding in zip(model.attributes, model.tables, model.embeddings):
        found[f"attribute_embedding_{name}"] = embedding(table(history))[:, :, None]
    for name, predictor in zip(model.attributes, model.predictors):
        found[f"attribute_logits/{name}"] = predictor(query["vector"])
    for i, layer in enumerate(model.hidden(history, vectors)):
        found[f"attention_probs_layer{i}"], found[f"layer{i}_attention_out"] = layer["weights"], layer["attended"]
        found[f"layer{i}_out"] = layer["output"]
        if layer["gates"] is not None:
            found[f"gate_weights_layer{i}"] = layer["gates"]
    return found
