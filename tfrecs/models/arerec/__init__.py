"""ARERec: predicts a user's rating of an item from the users who rated it earlier."""

from tfrecs import lazy

__getattr__, __dir__ = lazy.attributes(__name__, {"ARERec": "model"})
