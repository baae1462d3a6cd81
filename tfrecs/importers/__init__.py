"""Weights and numbers of the original implementations: `python -m tfrecs.importers {check,convert}`."""
