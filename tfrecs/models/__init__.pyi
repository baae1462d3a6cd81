"""What `tfrecs.models` offers, for type checkers; at run time each class is imported when it is first used."""

from collections.abc import Iterator, Mapping
from types import ModuleType

from tfrecs.models.arerec.model import ARERec as ARERec
from tfrecs.models.atrank.model import ATRank as ATRank
from tfrecs.models.attrec.model import AttRec as AttRec
from tfrecs.models.dif_sr.model import DIFSR as DIFSR
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.models.sasrec.model import SASRec as SASRec
from tfrecs.models.saving import load_model as load_model

class Models(Mapping[str, type[SequentialRecommender]]):
    def __init__(self, classes: Mapping[str, str]) -> None: ...
    def __getitem__(self, name: str) -> type[SequentialRecommender]: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def presets(self, name: str) -> ModuleType: ...

CLASSES: dict[str, str]
MODELS: Models
PLACES: dict[str, str]
