"""ATRank's `multi/`: items with several actions, coupons and queries, on one set of weights.

The three kinds share our one table of items, each in the original's order: items, then coupons, then queries.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecs.importers.porter import NameTable, Part
from tfrecs.models.atrank.model import ATRank

KINDS = ("item", "coupon", "query")
TARGETS = ("item_batch", "query_batch", "coupon_batch")  # in the order of the recorded steps
ATTRIBUTES = ("shop", "cate", "brand")
# The tables of constants that scores depend on; coupons have no brand, queries no attribute at all.
TABLES = tuple(f"item_feat_{name}_list" for name in ATTRIBUTES) + ("coupon_feat_shop_list", "coupon_feat_cate_list")
BIASES = {"item": "item_b", "coupon": "item_c", "query": "item_q"}


def sizes(weights: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The constructor arguments that the weights determine."""
    return {
        "num_users": np.shape(weights["user_emb_w"])[0] if "user_emb_w" in weights else 1,
        "num_items": sum(_counts(weights)),
        "attribute_sizes": tuple(np.shape(weights[f"{name}_emb_w"])[0] for name in ATTRIBUTES),
        "attribute_lengths": (0, 0, 0),
        "num_actions": np.shape(weights["action_emb_w"])[0],
        "num_groups": len(KINDS),
        "object_type": "kind",
        "item_dim": np.shape(weights["item_emb_w"])[1],
        "attribute_dim": np.shape(weights["shop_emb_w"])[1],
        "action_dim": np.shape(weights["action_emb_w"])[1],
    }


def set_kinds(model: ATRank, weights: Mapping[str, np.ndarray]) -> None:
    """Assigns which of our items is an item, a coupon or a query."""
    kinds = np.repeat(np.arange(1, 1 + len(KINDS)), _counts(weights))
    model.kinds.values.assign(np.pad(kinds, (1, 0))[:, None])


def name_table(model: ATRank) -> NameTable:
    """Original variable name to its part of ours, for all that lies outside the blocks."""
    table = {"action_emb_w": Part(model.behaviours.actions, _rows(slice(1, None)))}
    for name, embedding in zip(ATTRIBUTES, model.objects.attributes, strict=True):
        table[f"{name}_emb_w"] = Part(embedding.embeddings, _rows(slice(1, None)))
    # How much of a kind's vector is not always zero: a query has no attributes, a coupon no brand.
    item_dim, attribute_dim = model.item_dim, model.attribute_dim
    used = {
        "item": model.objects.width + model.action_dim,
        "coupon": item_dim + 2 * attribute_dim,
        "query": item_dim,
    }
    first = 1
    for kind, count, layer in zip(KINDS, _kind_counts(model), model.behaviours.projection.layers, strict=True):
        rows, width = slice(first, first + count), layer.kernel.shape[0]
        table[f"{kind}_emb_w"] = Part(model.objects.items, _rows(rows))
        table[BIASES[kind]] = Part(model.item_bias, _rows(rows))
        features = np.r_[: used[kind], width - model.num_buckets : width]
        table[f"{kind[0]}_layer/kernel"] = Part(layer.kernel, _rows(features))
        table[f"{kind[0]}_layer/bias"] = layer.bias
        first += count
    return table


def columns(model: ATRank, tables: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Shop, category and brand of all our items, an int array each; -1 for none."""
    _, coupons, queries = _kind_counts(model)
    of_coupons = [tables["coupon_feat_shop_list"], tables["coupon_feat_cate_list"], np.full(coupons, -1)]
    return [
        np.concatenate([tables[f"item_feat_{name}_list"], of_coupon, np.full(queries, -1)])
        for name, of_coupon in zip(ATTRIBUTES, of_coupons, strict=True)
    ]


def batches(inputs: Mapping[str, np.ndarray]) -> dict[str, dict[str, tf.Tensor]]:
    """The batches of a golden file: one history, with targets of each kind."""
    num_items, num_coupons = (len(inputs[f"{kind}_feat_shop_list"]) for kind in ("item", "coupon"))
    first = {"item": 1, "coupon": 1 + num_items, "query": 1 + num_items + num_coupons}
    parts: dict[str, list[np.ndarray]] = {"history": [], "bucket": [], "action": [], "valid": []}
    for kind in ("item", "query", "coupon"):  # the order in which `multi/model.py:165` joins them
        ids = np.asarray(inputs[f"hist_{kind[0]}_id"], np.int64)
        parts["history"].append(ids + first[kind])
        parts["bucket"].append(np.asarray(inputs[f"hist_{kind[0]}_time"], np.int64))
        parts["action"].append(np.asarray(inputs["hist_i_act"], np.int64) + 1 if kind == "item" else 0 * ids)
        parts["valid"].append(np.arange(ids.shape[1]) < np.asarray(inputs[f"hist_{kind[0]}_sl"])[:, None])
    behaviours = {name: tf.constant(np.concatenate(values, axis=1)) for name, values in parts.items()}
    return {
        f"{name}/": behaviours
        | {
            "targets": tf.constant(inputs[f"{name}/target"], tf.int64)[:, None] + first[name.partition("_")[0]],
            "labels": tf.constant(inputs[f"{name}/y"], tf.float32)[:, None],
        }
        for name in TARGETS
    }


def _rows(index: slice | np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda value: value[index]


def _kind_counts(model: ATRank) -> list[int]:
    return np.bincount(model.kinds.values.numpy()[:, 0], minlength=1 + len(KINDS))[1:].tolist()


def _counts(weights: Mapping[str, np.ndarray]) -> list[int]:
    return [np.shape(weights[f"{kind}_emb_w"])[0] for kind in KINDS]
