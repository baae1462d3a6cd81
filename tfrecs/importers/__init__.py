"""Weights and numbers of the original implementations: `python -m tfrecs.importers {check,convert}`."""

NAMES = ("arerec", "atrank", "attrec", "dif_sr")  # the modules here that import a model's original
