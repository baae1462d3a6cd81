"""ATRank: self-attention over heterogeneous behaviours, read by attention from each candidate."""

from tfrecs import lazy

__getattr__, __dir__ = lazy.attributes(__name__, {"ATRank": "model"})
