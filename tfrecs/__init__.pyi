"""What `import tfrecs` offers, for type checkers; at run time each name is imported when it is first used."""

from tfrecs import layers as layers
from tfrecs import models as models
from tfrecs.api import Run as Run
from tfrecs.api import load as load
from tfrecs.api import prepare as prepare
from tfrecs.api import train as train
from tfrecs.data.dataset import Dataset as Dataset
from tfrecs.errors import InputError as InputError

__version__: str
