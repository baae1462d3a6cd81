"""The one dictionary of models: names and presets are known without TensorFlow, classes when they are asked for."""

import inspect
import json
import subprocess
import sys

import numpy as np
import pytest

import tfrecs.models
from tfrecs.errors import InputError
from tfrecs.models import MODELS, declarations
from tfrecs.models.presets import MODULES
from tfrecs.models.recommender import SequentialRecommender
from tfrecs.runs.config import TrainConfig


def test_names_and_presets_are_known_without_tensorflow():
    program = (
        "import sys; from tfrecs.models import MODELS, presets; import tfrecs.models.attrec, tfrecs.runs.config; "
        "assert set(MODELS) == set(presets.PRESETS) and 'nothing' not in MODELS and 'attrec' in MODELS; "
        "dir(tfrecs.models); found = {'tensorflow', 'keras', 'numpy'} & set(sys.modules); assert not found, found; "
        "assert tfrecs.models.attrec.AttRec is MODELS['attrec'] and 'tensorflow' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_classes_are_found_by_their_names():
    assert set(dir(tfrecs.models)) == {cls.__name__ for cls in MODELS.values()} | {"load_model"}
    for name, cls in MODELS.items():
        assert issubclass(cls, SequentialRecommender) and getattr(tfrecs.models, cls.__name__) is cls
        assert cls.__module__ == f"tfrecs.models.{name}.model"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = tfrecs.models.Nothing
    for look in (MODELS.__getitem__, MODELS.presets):
        with pytest.raises(KeyError):
            look("nothing")


@pytest.mark.parametrize("name", MODELS)
def test_the_smallest_run_names_arguments_there_are(name):
    known = {*inspect.signature(MODELS[name]).parameters, *TrainConfig.__dataclass_fields__}
    assert MODULES[name].SMALLEST_RUN and set(MODULES[name].SMALLEST_RUN) <= known


@pytest.mark.parametrize("name", MODELS)
def test_a_switch_is_true_or_false(name):
    """`"0"` would turn it on, and a 1 could not be read again from the configuration of a run."""
    sizes, defaults = MODELS[name].minimal_sizes, declarations.defaults(name)
    switches = [argument for argument, value in defaults.items() if isinstance(value, bool)]
    for switch in switches:
        for value in ("0", 1, None):
            with pytest.raises(InputError, match=f"{switch}: expected True or False, got {value!r}"):
                MODELS[name](**sizes, **{switch: value})


@pytest.mark.parametrize("name", MODELS)
def test_numbers_of_numpy_are_python_s(name):
    kinds = {bool: np.bool_, int: np.int64, float: np.float32}
    small = {key: value for key, value in MODULES[name].SMALLEST_RUN.items() if key in declarations.defaults(name)}
    values = MODELS[name].minimal_sizes | declarations.defaults(name) | small
    given = {key: kinds[type(value)](value) for key, value in values.items() if type(value) in kinds}
    config = MODELS[name](**MODELS[name].minimal_sizes | given).get_config()
    json.dumps(config)
    assert {key: config[key] for key in given} == {key: pytest.approx(value) for key, value in given.items()}
    assert all(type(config[key]) is type(values[key]) for key in given)
