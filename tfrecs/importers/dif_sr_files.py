"""What RecBole's trainer writes of DIF-SR's original, a `.pth` file."""

from typing import Any

import numpy as np

from tfrecs.errors import InputError, option
from tfrecs.importers.dif_sr_names import LIST, TOKEN, arguments_from_config
from tfrecs.importers.torch_files import load

PARTS = ("config", "state_dict", "other_parameter")
LAYERS = "feature_embed_layer_list"


def read(checkpoint: str) -> dict[str, np.ndarray]:
    """The weights of a `.pth` file by name, those of the attributes' tables among them.

    Args:
        checkpoint: str, what RecBole's trainer saved, or a dict of its configuration (a dict), `state_dict` and
            `other_parameter`, both tensors by name.

    Raises:
        InputError: the file cannot be read or holds something else.
    """
    _, weights, others, layers = _content(checkpoint)
    weights = weights | others
    for i, layer in layers.items():
        if "item" in layer["token_embedding_table"]:
            table = _modules(layer["token_embedding_table"]["item"])["embedding"]
            weights[TOKEN.format(i)] = vars(table)["_parameters"]["weight"]
        for table in _modules(layer["token_seq_embedding_table"].get("item")).values():
            weights[LIST.format(i)] = vars(table)["_parameters"]["weight"]
    return {name: _array(checkpoint, name, tensor) for name, tensor in weights.items()}


def stored_flags(checkpoint: str) -> dict[str, Any]:
    """Hyper-parameters from the configuration that the checkpoint holds, under our names."""
    config, *_ = _content(checkpoint)
    try:
        return arguments_from_config(config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        lacking = f"its configuration lacks, or has no valid, {error}"
        raise InputError(f"{option('checkpoint')} {checkpoint}: {lacking}") from None


def tables_in_checkpoint(checkpoint: str) -> dict[str, np.ndarray]:
    """The items' attributes as the layers that RecBole saves remember them: `item_attributes/NAME`, int arrays."""
    *_, layers = _content(checkpoint)
    found = {}
    for layer in layers.values():
        for name in layer["field_names"]["item"]:
            values = vars(layer["item_feat"])["interaction"][name]
            found[f"item_attributes/{name}"] = _array(checkpoint, name, values)
    return found


def _content(checkpoint: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[int, dict[str, Any]]]:
    """Configuration, weights and other tensors by name, and the attributes of each attribute's layer by its number."""
    content = load(checkpoint)
    lacking = [part for part in PARTS if not isinstance(content, dict) or part not in content]
    if lacking:
        raise InputError(f"{option('checkpoint')} {checkpoint}: it has no {lacking}")
    config, weights, others = (content[part] for part in PARTS)
    try:
        others = dict(others)
        layers = {int(i): vars(layer) for i, layer in _modules(others.pop(LAYERS, None)).items()}
        return config if isinstance(config, dict) else vars(config)["final_config_dict"], dict(weights), others, layers
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{option('checkpoint')} {checkpoint}: not as RecBole writes it: {error}") from None


def _modules(module: object) -> dict[str, Any]:
    """The modules within one, by name."""
    return vars(module)["_modules"] if module is not None else {}


def _array(checkpoint: str, name: str, tensor: object) -> np.ndarray:
    if not isinstance(tensor, np.ndarray):
        raise InputError(f"{option('checkpoint')} {checkpoint}: {name!r} is no tensor")
    return tensor
