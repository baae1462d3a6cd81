"""AttRec: metric learning from a user's long-term taste and self-attention over the last few items."""

from tfrecs.models.attrec.model import AttRec

__all__ = ["AttRec"]
