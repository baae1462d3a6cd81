"""ARERec: predicts a user's rating of an item from the users who rated it earlier."""

from tfrecs.models.arerec.model import ARERec

__all__ = ["ARERec"]
