"""ARERec's original (TF 2.2, umapornp/ARERec)."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrecs.errors import InputError, option
from tfrecs.importers.porter import NameTable, Part, read_checkpoint
from tfrecs.models.arerec import ARERec
from tfrecs.models.presets import PRESETS

SOURCES = ("umapornp/ARERec",)
IGNORED = (r"/\.OPTIMIZER_SLOT/", r"^optimizer/", r"^save_counter/", r"^_CHECKPOINTABLE_OBJECT_GRAPH$")
# A Keras checkpoint names a variable by the attributes that lead to it, a golden file by the layers' names.
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
LAYERS = {"wq": "weight_q", "wk": "weight_k", "wv": "weight_v", "dense": "weight_concat"}
ATTRIBUTES = {
    "user_embedding/embeddings": "user_embedding/embeddings:0",
    "item_embedding/embeddings": "item_embedding/embeddings:0",
    "fc/kernel": "fc/kernel:0",
    "fc/bias": "fc/bias:0",
    "user_item_LCU": "K_user_item:0",
    "item_user_LCU": "K_item_user:0",
    **{
        f"attention/{attribute}/{part}": f"Attention/{layer}/{part}:0"
        for attribute, layer in LAYERS.items()
        for part in ("kernel", "bias")
    },
}
UNITS = "K_user_item:0"
ATTENTION = "Attention/weight_q/kernel:0"


def read(checkpoint: str) -> dict[str, np.ndarray]:
    """The variables of a Keras checkpoint, `cp-0002.ckpt`, by the names that golden files give them.

    Raises:
        InputError: it cannot be read.
    """
    arrays = read_checkpoint(checkpoint)
    return {ATTRIBUTES.get(name.removesuffix(VALUE), name): value for name, value in arrays.items()}


def preset(weights: Mapping[str, np.ndarray]) -> str:
    """The preset that weights, by their original names, belong to.

    Raises:
        InputError: they are not ARERec's.
    """
    shapes = {"user_embedding/embeddings:0": 2, "item_embedding/embeddings:0": 2, UNITS: 3, "fc/bias:0": 1}
    for name, rank in shapes.items():
        if name not in weights or np.ndim(weights[name]) != rank:
            raise InputError(f"not ARERec's weights: no {name} of rank {rank}; there are {sorted(weights)}")
    return "original"


def build(weights: Mapping[str, np.ndarray], arguments: Mapping[str, Any]) -> ARERec:
    """The model that weights belong to; its variables are not assigned.

    Args:
        weights: dict of original variable name to array; they determine the sizes.
        arguments: dict of constructor arguments on top of the preset's.

    Returns:
        an `ARERec`. Its neighbour lists are empty: see `fill_tables`.

    Raises:
        InputError: the weights are not ARERec's, or an argument contradicts them.
    """
    published = PRESETS["arerec"][preset(weights)]["model"]
    num_units, region_size, dim = np.shape(weights[UNITS])
    count = len(weights["fc/bias:0"])
    classes = arguments.get("rating_classes", tuple(range(1, count + 1)))
    if len(classes) != count:
        raise InputError(f"{option('rating_classes')}: the weights have {count} classes, got {len(classes)}: {classes}")
    sizes = {
        "num_users": len(weights["user_embedding/embeddings:0"]) - 1,
        "num_items": len(weights["item_embedding/embeddings:0"]) - 1,
        "num_units": num_units,
    }
    read_off = {"region_size": region_size, "embedding_dim": dim, "use_attention": ATTENTION in weights}
    for name, value in read_off.items():
        if arguments.get(name, value) not in (value, published.get(name)):
            raise InputError(f"{option(name)} {arguments[name]}: the weights have {value}")
    return ARERec(**sizes, **published | arguments | read_off | {"rating_classes": classes})


def build_from_golden(
    config: Mapping[str, Any], weights: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]
) -> ARERec:
    """The model of a golden file.

    Raises:
        InputError: a training step of this configuration cannot be repeated.
        KeyError: a value is missing.
    """
    if any(config["dropout"]):
        raise InputError(f"dropout {config['dropout']}: a step with random dropout cannot be repeated")
    width = np.shape(inputs["item_user_sequence"])[1]
    model = build(weights, {"num_heads": config["num_heads"], "max_seq": width, "l2": config["regularize"]})
    # Batches of golden files bring their neighbours along.
    model.lists.fill(*np.zeros([2, 0], np.int64), np.zeros(model.num_items + 2, np.int64))
    return model


def name_table(model: ARERec) -> NameTable:
    """Original variable name to variable; ours hold a unit's region in rows of their own."""

    def units(table: keras.Variable) -> Part:
        return Part(table, lambda value: value.reshape(-1, model.region_size, model.embedding_dim))

    table = {
        "user_embedding/embeddings:0": model.users,
        "item_embedding/embeddings:0": model.items,
        "fc/kernel:0": model.classes.kernel,
        "fc/bias:0": model.classes.bias,
        UNITS: units(model.region.for_item),
        "K_item_user:0": units(model.region.for_user),
    }
    if model.use_attention:
        attention = model.attention
        for name, layer in zip(LAYERS.values(), (attention.query, attention.key, attention.value, attention.concat)):
            table |= {f"Attention/{name}/kernel:0": layer.kernel, f"Attention/{name}/bias:0": layer.bias}
    return table


def optimizer(config: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """Keras's Adam, from a golden file's `config`."""
    if config["optimizer"] != "tf.keras Adam":
        raise InputError(f"optimizer {config['optimizer']!r}: ARERec's is tf.keras Adam")
    return keras.optimizers.Adam(
        config["learning_rate"], config.get("beta_1", 0.9), config.get("beta_2", 0.999), config.get("epsilon", 1e-7)
    )


def batches(inputs: Mapping[str, np.ndarray]) -> dict[str, dict[str, tf.Tensor]]:
    """The batches of a golden file by the prefix of their names: one without a prefix, with the lists it was fed."""
    names = {
        "user": "user",
        "item": "item",
        "neighbours": "item_user_sequence",
        "units": "item_user_sequence_index",
        "label": "label_id",
    }
    return {"": {ours: tf.constant(np.asarray(inputs[theirs], np.int64)) for ours, theirs in names.items()}}


def loss(model: ARERec, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The loss as Keras reports it: the mean over the batch plus all penalties."""
    return tf.add_n([tf.reduce_mean(model.loss_terms(batch)[0]), *model.losses])


def outputs(model: ARERec, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What a golden file records, under its names."""
    probabilities, mean = tf.nn.softmax(model.logits(batch)), tf.reduce_mean(model.loss_terms(batch)[0])
    found = {
        "prob": probabilities,
        "predict_prob": probabilities,
        "rating_vector": model.rating_vector(batch),
        "loss_ce": mean,
        "loss_reg": tf.add_n(model.losses) if model.losses else 0.0,
        "loss_total": loss(model, batch),
    }
    if model.use_attention:
        weights, vectors = model.attend(batch["user"], batch["neighbours"], batch["neighbours"] != 0)
        found |= {"attention_weights": weights[..., None], "neighbor_emb": vectors}
    return found


def fill_tables(model: ARERec, tables: Mapping[str, np.ndarray]) -> str:
    """Fills the neighbour lists of a converted model.

    Args:
        model: as from `build`.
        tables: dict of `itemId` int `[items]` and `item_user_sequence` int `[items, any]`, padded with 0: the columns
            of the original's `*_item_user_sequence.id`; empty if there are none.

    Returns:
        str, a sentence for the report.

    Raises:
        InputError: the lists are not those the weights were trained with.
    """
    if not tables:
        return (
            "neighbour lists: none, every item rates alike; give the columns itemId and item_user_sequence (padded "
            f"with 0) of the original's _item_user_sequence.id as {option('tables')} FILE.npz"
        )
    missing = {"itemId", "item_user_sequence"} - set(tables)
    if missing:
        raise InputError(f"it has no {sorted(missing)}")
    items, lists = np.asarray(tables["itemId"]), np.asarray(tables["item_user_sequence"])[:, : model.max_seq]
    if len(items) != len(lists):
        raise InputError(f"itemId has {len(items)} entries, item_user_sequence {len(lists)}")
    for name, values, size in (("itemId", items, model.num_items), ("item_user_sequence", lists, model.num_users)):
        lowest = 1 if name == "itemId" else 0
        wrong = values[(values < lowest) | (values > size)]
        if wrong.size:
            raise InputError(f"{name}: expected ids from {lowest} to {size}, got {wrong[0]}")
    order = np.argsort(items, kind="stable")
    counts = np.zeros(model.num_items + 2, np.int64)
    counts[items + 1] = (lists != 0).sum(axis=1)
    users = lists[order][lists[order] != 0]
    model.lists.fill(users, np.zeros_like(users), np.cumsum(counts))
    return f"neighbour lists: {len(users)} places of {len(items)} items"
