"""SASRec: causal self-attention over the items of a history."""

from tfrecs.models.sasrec.model import SASRec

__all__ = ["SASRec"]
