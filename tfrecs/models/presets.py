"""Named sets of arguments of the models and of training, and the names the originals gave to flags, by model.

A model's `presets.py` imports no TensorFlow. It holds

- `PRESETS`: name to `{"model": {...}, "training": {...}}`, and optionally `"data"`, the options of a data source that
  the preset needs;
- `ALIASES`: the original's flag names to `(ours, how the value changes or None)`;
- `SMALLEST_RUN`: arguments of the model and of training with which a run takes seconds, for tests;

and optionally `ORIGINAL_NAMES`, what the original calls the model, and what `original_flags` lists.
"""

from tfrecs.models import MODELS

MODULES = {name: MODELS.presets(name) for name in MODELS}
PRESETS = {name: module.PRESETS for name, module in MODULES.items()}
ALIASES = {name: module.ALIASES for name, module in MODULES.items()}
ORIGINAL_NAMES = {alias: name for name, module in MODULES.items() for alias in getattr(module, "ORIGINAL_NAMES", ())}
