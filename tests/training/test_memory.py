"""What cannot fit into memory, or into 32 bits, is refused before anything is built."""

import dataclasses
import inspect

import keras
import pytest

from tfrecs.command_line import arguments
from tfrecs.data import manifest
from tfrecs.errors import InputError, command_line
from tfrecs.models import MODELS
from tfrecs.models.attrec import AttRec
from tfrecs.runs.config import TrainConfig
from tfrecs.training import memory
from tfrecs.training.experiment import check_arguments, check_data

INTEGERS = [
    (model, parameter.name)
    for model, model_class in MODELS.items()
    for parameter in inspect.signature(model_class.__init__).parameters.values()
    if type(parameter.default) is int
] + [("attrec", field.name) for field in dataclasses.fields(TrainConfig) if field.type is int]
MAY_BE_0 = {"batch_tokens", "decay_epochs", "patience", "save_checkpoints_epochs", "save_checkpoints_steps", "seed"}
MAY_BE_0 |= {"hidden_units", "action_dim", "attribute_values", "random_split_seed", "num_recommendations"}


def _check(*argv):
    with command_line():
        parsed = arguments.parse(argv)
        check_arguments(parsed.recipe.model, parsed.recipe.model_arguments, parsed.recipe.config)


@pytest.mark.parametrize("model, name", [*INTEGERS, ("attrec", "num_recommendations")])
def test_integers_out_of_range_are_refused_by_name(model, name):
    for value in (2**31, 2**63, 2**64, 10**30, -1, *(() if name in MAY_BE_0 else (0,))):
        with pytest.raises(InputError, match=f"^--{name}: expected .*, got {value}$"):
            _check("--model", model, f"--{name}", str(value))


@pytest.mark.parametrize(
    "argv",
    [
        ("--model", "attrec", "--embedding_dim", "1000000000"),
        ("--model", "attrec", "--max_history", "2147483647"),
        ("--model", "attrec", "--num_negatives", "2147483647"),
        ("--model", "attrec", "--protocol", "pair_auc", "--num_eval_negatives", "2147483647"),
        ("--model", "atrank", "--item_dim", "1000000000"),
        ("--model", "atrank", "--hidden_units", "1000000000"),
        ("--model", "arerec", "--embedding_dim", "1000000000"),
        ("--model", "dif_sr", "--dim", "1000000000"),
        ("--model", "dif_sr", "--max_history", "1000000000"),
    ],
)
def test_sizes_that_cannot_fit_are_refused_before_data_are_made(monkeypatch, argv):
    monkeypatch.setattr(memory, "total", lambda: 16 * 10**9)
    with pytest.raises(InputError, match=r"not enough memory: [\d,.]+ [GTE]B needed at least, 16.0 GB are there; most"):
        _check(*argv)


def test_the_arithmetic_is_that_of_the_variables_and_of_the_data(monkeypatch, data_dir):
    found = manifest.load(data_dir)
    model = AttRec(found.num_users, found.num_items, embedding_dim=500)
    floats = 2 * 61 * 500 + 61 * 500 + 500 * 500  # two tables of items, one of users, the kernel
    assert sum(variable.value.shape.num_elements() for variable in model.weights) == floats
    # A batch: 512 rows; 5 + 3 + 10 ids of 8 bytes, each with a vector of 500 floats.
    needed = floats * 4 * 3 + 512 * 18 * (8 + 4 * 500)
    config = TrainConfig()
    monkeypatch.setattr(memory, "total", lambda: needed)
    check_data("attrec", {"embedding_dim": 500}, config, data_dir, found)
    monkeypatch.setattr(memory, "total", lambda: needed - 1)
    with pytest.raises(InputError, match="most of it for a batch by num_negatives: 512 x 10 x 2,008 bytes = 10.3 MB"):
        check_data("attrec", {"embedding_dim": 500}, config, data_dir, found)
    sgd = dataclasses.replace(config, optimizer="sgd", batch_size=1)
    memory.check(model, sgd, rows=99, available=floats * 4 + 18 * 2008)
    with pytest.raises(InputError, match="most of it for projection/kernel, weights: 500 x 500 x 4 x 1 bytes = 1.0 MB"):
        memory.check(model, sgd, rows=99, available=floats * 4 + 18 * 2008 - 1)


@pytest.mark.parametrize("model", MODELS)
def test_an_outline_has_every_variable_and_no_memory(model):
    sizes = MODELS[model].minimal_sizes
    real = MODELS[model](**sizes)
    outline = memory.outline(MODELS[model], sizes)
    assert [(v.name, tuple(v.shape)) for v in outline.weights] == [(v.name, tuple(v.shape)) for v in real.weights]
    assert all(v._value is None for v in outline.weights)
    large = memory.outline(MODELS[model], sizes | {"num_users": 2 * 10**9, "num_items": 2 * 10**9})
    assert max(v.shape[0] for v in large.weights if v.shape) > 2 * 10**9
    with keras.StatelessScope():  # gives values to what waits for them: nothing does
        pass
    assert all(v._value is None for v in large.weights)
