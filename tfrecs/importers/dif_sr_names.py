"""The names of hyper-parameters and weights in DIF-SR's original, and what they are here."""

from collections.abc import Mapping
from typing import Any

import keras

from tfrecs.importers.porter import NameTable, Part
from tfrecs.models.dif_sr.model import DIFSR
from tfrecs.models.presets import ALIASES

TOKEN = "feature_embed_layer_list.{}.token_embedding_table.item.embedding.weight"
LIST = "feature_embed_layer_list.{}.token_seq_embedding_table.item.0.weight"
PROJECTIONS = {
    **{"query": "query", "key": "key", "value": "value", "dense": "output"},
    **{"query_p": "position_query", "key_p": "position_key"},
}
# What the original's configuration says of the model, golden file and checkpoint alike.
DESCRIBED = (
    *("n_layers", "n_heads", "hidden_size", "inner_size", "attribute_hidden_size", "hidden_dropout_prob"),
    *("attn_dropout_prob", "hidden_act", "fusion_type", "lamdas", "loss_type", "selected_features", "pooling_mode"),
    "MAX_ITEM_LIST_LENGTH",
)


def arguments_from_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor arguments that the original's configuration holds.

    Args:
        config: dict, under the original's names.

    Returns:
        dict of ours.

    Raises:
        KeyError: a value is missing.

    Example:
        >>> sorted(arguments_from_config({name: "CE" for name in (*DESCRIBED, "attribute_predictor")}))[:3]
        ['activation', 'attention_dropout', 'attribute_dim']
    """
    arguments = {}
    for name in DESCRIBED:
        target, change = ALIASES["dif_sr"][name]
        arguments[target] = change(config[name]) if change else config[name]
    predictor = config["attribute_predictor"]
    return arguments | {"attribute_predictor": "none" if predictor in ("", "not") else predictor.lower()}


def name_table(model: DIFSR) -> NameTable:
    """Original name to variable or part; a PyTorch kernel is `[out, in]`."""
    table = {"item_embedding.weight": model.items.embeddings, "position_embedding.weight": model.encoder.positions}

    def dense(name: str, layer: keras.layers.Layer) -> None:
        table[f"{name}.weight"], table[f"{name}.bias"] = _transposed(layer.kernel), layer.bias

    def norm(name: str, layer: keras.layers.Layer) -> None:
        table[f"{name}.weight"], table[f"{name}.bias"] = layer.gamma, layer.beta

    norm("LayerNorm", model.encoder.norm)
    for i, embedding in enumerate(model.embeddings):
        table[(TOKEN if embedding.token else LIST).format(i)] = embedding.embeddings
    for i, predictor in enumerate(model.predictors):
        dense(f"ap.{i}", predictor.steps[-1])
    for i, (attention, feed_forward) in enumerate(zip(model.encoder.attentions, model.encoder.feed_forwards)):
        prefix = f"trm_encoder.layer.{i}.multi_head_attention"
        for theirs, ours in PROJECTIONS.items():
            dense(f"{prefix}.{theirs}", attention.projections[ours])
        for part in ("query", "key"):
            for j in range(len(model.tables)):
                dense(f"{prefix}.{part}_layers.{j}", attention.projections[f"attribute_{part}_{j}"])
        norm(f"{prefix}.LayerNorm", attention.norm)
        fusion = attention.fusion
        if fusion.kind == "concat":
            dense(f"{prefix}.fusion_layer", fusion)
        elif fusion.kind == "gate":
            dense(f"{prefix}.fusion_layer.projection.0", fusion)
            table[f"{prefix}.fusion_layer.projection.2.weight"] = _transposed(fusion.energy_kernel)
            table[f"{prefix}.fusion_layer.projection.2.bias"] = fusion.energy_bias
        prefix = f"trm_encoder.layer.{i}.feed_forward"
        dense(f"{prefix}.dense_1", feed_forward.inner)
        dense(f"{prefix}.dense_2", feed_forward.outer)
        norm(f"{prefix}.LayerNorm", feed_forward.norm)
    return table


def _transposed(variable: keras.Variable) -> Part:
    return Part(variable, lambda value: value.T)
