"""SASRec: causal self-attention over the items of a history."""

from tfrecs import lazy

__getattr__, __dir__ = lazy.attributes(__name__, {"SASRec": "model"})
