"""Named sets of arguments of the models and of training, and the names the originals gave to flags, by model."""

from tfrecs.models.presets import attrec

_MODULES = {"attrec": attrec}
PRESETS = {name: module.PRESETS for name, module in _MODULES.items()}
ALIASES = {name: module.ALIASES for name, module in _MODULES.items()}
