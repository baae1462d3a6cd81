"""Raw logs to prepared data: sources, filters, vocabularies, splits and the engine."""

import os

# TensorFlow announces its build on stderr, amid the progress lines, unless asked not to.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
