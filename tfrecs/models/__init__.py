"""The models by the name that the command line knows them by; a model is imported when its class is asked for."""

import collections.abc
import importlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from tfrecs import lazy

if TYPE_CHECKING:
    from tfrecs.models.recommender import SequentialRecommender


class Models(collections.abc.Mapping[str, "type[SequentialRecommender]"]):
    """The classes of the models by name. To list the names, or to read presets, imports no TensorFlow.

    Args:
        classes: dict of name to the name of the class; model NAME is in `tfrecs/models/NAME/`, its class in `model.py`,
            its presets in `presets.py`.

    Example:
        >>> MODELS["attrec"].__name__, len(MODELS.presets("attrec").PRESETS) > 1
        ('AttRec', True)
    """

    def __init__(self, classes: Mapping[str, str]) -> None:
        self._classes = classes

    def __getitem__(self, name: str) -> "type[SequentialRecommender]":
        class_name = self._classes[name]
        return getattr(importlib.import_module(f"{__name__}.{name}.model"), class_name)

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

    def presets(self, name: str) -> ModuleType:
        """The module of a model's presets, see `tfrecs.models.presets`."""
        if name not in self._classes:
            raise KeyError(name)
        return importlib.import_module(f"{__name__}.{name}.presets")


CLASSES = {"arerec": "ARERec", "atrank": "ATRank", "attrec": "AttRec", "dif_sr": "DIFSR", "sasrec": "SASRec"}
MODELS = Models(CLASSES)

PLACES = {cls: f"{name}.model" for name, cls in CLASSES.items()} | {"load_model": "saving"}
__getattr__, __dir__ = lazy.attributes(__name__, PLACES)
