"""The models by the name the command line knows them by, their presets and the originals' flag names."""

from tfrecs.models import attrec

MODELS = {"attrec": attrec.AttRec}
PRESETS = {"attrec": attrec.PRESETS}
ALIASES = {"attrec": attrec.ALIASES}
