"""ATRank: self-attention over heterogeneous behaviours, read by attention from each candidate."""

from tfrecs.models.atrank.model import ATRank

__all__ = ["ATRank"]
