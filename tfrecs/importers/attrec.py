"""AttRec's original (TF 1, slientGe/AttRec) and its 2024 port (LeeIsBadK/AttRec-implement-project)."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfrecs import losses
from tfrecs.errors import InputError
from tfrecs.layers.masks import padding_mask
from tfrecs.models.attrec import PRESETS, AttRec

SOURCES = ("slientGe/AttRec", "LeeIsBadK/AttRec-implement-project")
# Names in a checkpoint that are no weights: Adam's slots and accumulators, the global step.
IGNORED = (r"/Adam(_1)?$", r"^beta[12]_power$", r"^Variable(_\d+)?$", r"^global_step$")
NOISE_VARIABLES = ()
SHARED_KERNEL = "AttRec/attention/qk_map/kernel"
KEY_KERNEL = "AttRec/attention/qk_map_1/kernel"


def build(config, weights):
    """The model that a golden file or checkpoint describes.

    Args:
        config: dict with the original's flag names, as in a golden file; values a checkpoint does not hold
            (`w`, `gamma`, ...) default to the published ones.
        weights: dict of original variable name to array; sizes are read off them.

    Returns:
        an `AttRec` with its variables not yet assigned.
    """
    for name in ("AttRec/item_emb", "AttRec/user_rep_emb"):
        if name not in weights:
            raise InputError(f"not a checkpoint of AttRec: no variable {name}; there are {sorted(weights)}")
    preset = "port2024" if KEY_KERNEL in weights else "original"
    num_items, dim = np.shape(weights["AttRec/item_emb"])
    return AttRec(
        num_users=np.shape(weights["AttRec/user_rep_emb"])[0] - 1, num_items=num_items - 1, embedding_dim=dim,
        max_history=config.get("sequence_length", 5), num_targets=config.get("target_length", 3),
        num_negatives=config.get("neg_sample_count", 10), user_weight=config.get("w", 0.3),
        margin=config.get("gamma", 0.5),
        **PRESETS[preset]["model"] | {"dropout": 1.0 - config.get("keep_prob", 0.5)})


def name_table(model):
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


def optimizer(config):
    """`tf.train.AdamOptimizer` as `main.py` sets it up."""
    if config.get("optimizer", "tf.train.AdamOptimizer") != "tf.train.AdamOptimizer":
        raise InputError(f"optimizer {config['optimizer']!r} is not supported for AttRec")
    return keras.optimizers.Adam(
        config["learning_rate"], epsilon=1e-8, global_clipnorm=config.get("grad_clip"))


def examples(arrays):
    """The original's fed arrays as training examples; positions from `sl` on are padding."""
    history = np.array(arrays["hist_seq"], np.int64)
    history[np.arange(history.shape[1])[None] >= arrays["sl"][:, None]] = 0
    as_int = {"user": arrays["user"], "targets": arrays["next"], "negatives": arrays["neg"]}
    return {"history": tf.constant(history)} | {
        name: tf.constant(np.asarray(value, np.int64)) for name, value in as_int.items()}


def outputs(model, batch):
    """What the golden file records, under its names: the first ones as in training, the rest as `predict`."""
    query = model.encode(batch, training=True)
    positive = -model.score_items(query, batch["targets"])
    negative = -model.score_items(query, batch["negatives"])
    hinge = losses.pairwise_hinge(
        positive, negative, model.margin, padding_mask(batch["targets"]), model.pair_reduction)
    # The recorded m is the one `predict` uses: the mean, or the 2024 port's maximum.
    query = model.encode(batch)
    distance = -model.score_items(query, tf.range(model.num_items + 1))
    valid = padding_mask(batch["history"])
    values = model.items_short(batch["history"]) * ops.cast(valid, "float32")[:, :, None]
    return {
        "pos_y": positive, "neg_y": negative, "loss": hinge, "loss_mean": ops.mean(hinge),
        "next_items": query["intent"], "predict_score": distance,
        "attention": model.attention(values, model.signal, valid)[1], "time_signal": model.signal,
    }
