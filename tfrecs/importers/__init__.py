"""Weights and numbers of the original implementations: `python -m tfrecs.importers {check,convert}`."""

import os

# TensorFlow announces its build on stderr, amid the reports, unless asked not to.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
