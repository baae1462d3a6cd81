"""tfrecs: a Keras 3 zoo of attention-based sequential recommenders."""

from tfrecs import lazy

__version__ = "0.1.0"
__all__ = ["Dataset", "InputError", "Run", "__version__", "layers", "load", "models", "prepare", "train"]

PLACES = {
    "Dataset": "data.dataset",
    "InputError": "errors",
    "Run": "api",
    "load": "api",
    "prepare": "api",
    "train": "api",
}
__getattr__, __dir__ = lazy.attributes(__name__, PLACES, packages=("layers", "models"))
