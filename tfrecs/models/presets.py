"""Named sets of arguments of the models and of training, and the names the originals gave to flags, by model."""

from tfrecs.models.arerec import presets as arerec
from tfrecs.models.atrank import presets as atrank
from tfrecs.models.attrec import presets as attrec
from tfrecs.models.dif_sr import presets as dif_sr
from tfrecs.models.sasrec import presets as sasrec

MODULES = {"arerec": arerec, "atrank": atrank, "attrec": attrec, "dif_sr": dif_sr, "sasrec": sasrec}
PRESETS = {name: module.PRESETS for name, module in MODULES.items()}
ALIASES = {name: module.ALIASES for name, module in MODULES.items()}
# What the originals call these models.
ORIGINAL_NAMES = {"SASRecD": "dif_sr"}
