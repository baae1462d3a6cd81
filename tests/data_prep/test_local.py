import hashlib
import importlib.util
import pathlib

import numpy as np
import pyarrow as pa
import pytest

from tfrecs.errors import InputError

