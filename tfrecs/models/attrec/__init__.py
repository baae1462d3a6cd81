"""AttRec: metric learning from a user's long-term taste and self-attention over the last few items."""

from tfrecs import lazy

__getattr__, __dir__ = lazy.attributes(__name__, {"AttRec": "model"})
