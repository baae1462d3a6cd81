"""tfrecs: a Keras 3 zoo of attention-based sequential recommenders."""

__version__ = "0.1.0"
