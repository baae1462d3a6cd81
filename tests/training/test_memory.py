"""What cannot fit into memory, or into 32 bits, is refused before anything is built."""

import dataclasses
import inspect
import math

import keras
import pytest

from tfrecs.command_line import arguments
from tfrecs.data import manifest, training_batches
from tfrecs.data.dataset import Dataset
from tfrecs.errors import InputError, command_line
from tfrecs.models import MODELS
from tfrecs.models.attrec import AttRec
from tfrecs.models.presets import MODULES, PRESETS
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
    lengths, longest = _lengths(data_dir, found)
    # A batch: 512 rows; 5 + 3 + 10 ids of 8 bytes, each with a vector of 500 floats; 5 x 5 attention weights, and as
    # many of a user who is judged. All prefixes of the training parts are shuffled together.
    needed = floats * 4 * 3 + 512 * (18 * (8 + 4 * 500) + 25 * 4) + 25 * 4 + sum(lengths - 1) * 18 * 8
    assert longest > 5 and sum(lengths - 1) < found.num_interactions
    config = TrainConfig()
    monkeypatch.setattr(memory, "total", lambda: needed)
    check_data("attrec", {"embedding_dim": 500}, config, data_dir, found)
    monkeypatch.setattr(memory, "total", lambda: needed - 1)
    with pytest.raises(InputError, match="most of it for a batch by num_negatives: 512 x 10 x 2,008 bytes = 10.3 MB"):
        check_data("attrec", {"embedding_dim": 500}, config, data_dir, found)
    sgd = dataclasses.replace(config, optimizer="sgd", batch_size=1)
    extent = memory.Extent(examples=99)
    memory.check(model, sgd, extent, available=floats * 4 + 18 * 2008 + 26 * 4)
    with pytest.raises(InputError, match="most of it for projection/kernel, weights: 500 x 500 x 4 x 1 bytes = 1.0 MB"):
        memory.check(model, sgd, extent, available=floats * 4 + 18 * 2008 + 26 * 4 - 1)


def _lengths(data_dir, found):
    """The items that are trained on of each user, and the longest sequence."""
    (block,) = training_batches.sequences(data_dir, found, ("item",))
    return block["split"][:, 0].numpy(), max(block["item"].row_lengths().numpy())


@pytest.mark.parametrize(
    "flags, what",
    [
        ("--model attrec --protocol pair_auc --num_eval_negatives 5000000", "a batch by num_eval_negatives: 60 x 5,0"),
        ("--model attrec --batch_size 1 --num_negatives 10000000", "training examples of 60 users, which are"),
        ("--model atrank --max_history 1000000", "attention weights of a batch: 64 x 8 x 1,000,001 x 1,000,000 x 4 b"),
        ("--model atrank --max_history 1000 --batch_size 1 --num_heads 1", "training examples of 60 users"),
        ("--model dif_sr --batch_tokens 0 --max_history 300000", "attention weights of a batch"),
        ("--model sasrec --batch_tokens 0 --batch_size 16 --max_history 9000", "attention weights of a batch"),
    ],
)
def test_what_evaluation_and_shuffling_and_attention_hold_is_counted(monkeypatch, data_dir, flags, what):
    recipe = arguments.parse(flags.split()).recipe
    room = 4 * 10**6 if "--num_heads 1" in flags else 10 * 10**9
    monkeypatch.setattr(memory, "total", lambda: room)
    model_arguments = recipe.model_arguments | ({"attributes": ()} if recipe.model == "dif_sr" else {})
    with pytest.raises(InputError, match=f"most of it for {what}"):
        check_data(recipe.model, model_arguments, recipe.config, data_dir, manifest.load(data_dir))


def test_shared_negatives_are_held_once_a_batch():
    model = AttRec(60, 60, embedding_dim=4, num_negatives=10**6, shared_negatives=True)
    memory.check(model, TrainConfig(), memory.Extent(examples=512), available=10**6 * (8 + 4 * 4) + 10**6)


def test_judging_needs_no_room_for_training(monkeypatch, data_dir):
    found, config = manifest.load(data_dir), TrainConfig(batch_size=10**6)
    monkeypatch.setattr(memory, "total", lambda: 10**6)
    sizes = {"embedding_dim": 100, "max_history": 50}
    with pytest.raises(InputError, match="not enough memory"):
        check_data("attrec", sizes, config, data_dir, found)
    check_data("attrec", sizes, config, data_dir, found, training=False)


@pytest.mark.parametrize("model", MODELS)
def test_examples_and_attention_are_counted_as_they_are_made(data_dir, model):
    found = manifest.load(data_dir)
    lengths, _ = _lengths(data_dir, found)
    for preset in PRESETS[model]:
        if model == "arerec" or preset == "multi":  # its examples hold no histories; other data
            continue
        smallest = {k: v for k, v in MODULES[model].SMALLEST_RUN.items() if k != "batch_tokens"}
        smallest |= {"item_dropout": 0.0} if model == "dif_sr" else {}
        if PRESETS[model][preset]["model"].get("time") == "one_hot":
            del smallest["time_dim"]
        if not PRESETS[model][preset]["model"].get("hidden_units", 1):
            del smallest["hidden_units"]
        smallest |= {"shared_negatives": preset == "recommended"} if model == "attrec" else {}
        made = MODELS[model].from_preset(preset, Dataset(data_dir), **smallest | {"max_history": 4})
        batches = Dataset(data_dir).training_batches(made, batch_size=10**6)
        (batch,) = batches
        widths = [value.shape[1] for name, value in batch.items() if len(value.shape) == 2 and name != "labels"]
        rows = len(batch["epoch"])
        assert made.count_examples(lengths) == (rows, sum(widths)), preset
        inputs = next(iter(Dataset(data_dir).evaluation_batches(made, "test")))
        time = inputs["history"].shape[1]
        needs_candidate = "candidate" in made.attention_reads
        maps = made.attention_weights(inputs, inputs["target"] if needs_candidate else None)
        held = sum(found.weights.shape[1:].num_elements() for found in maps)
        assert math.prod(memory._attended(made, time, 1)) == held, preset


def test_the_limits_of_the_process_and_of_its_control_groups_count(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    groups = tmp_path / "cgroup"
    groups.write_text("4:cpu,memory:/a/b\n3:cpuset:/c\n0::/d/e\n")
    for path, text in {
        "memory/a/memory.limit_in_bytes": "5000\n",
        "memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",  # none
        "d/memory.max": "7000\n",
        "d/e/memory.max": "max\n",
        "c/memory.max": "1\n",  # of another group
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert sorted(memory._of_control_groups(str(groups), str(tmp_path))) == [5000, 7000]
    assert list(memory._of_control_groups(str(tmp_path / "absent"), str(tmp_path))) == []
    before = memory.total()
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (used + 10**9, -1))
    assert 0.5 * 10**9 < memory.total() < 1.1 * 10**9 < before


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
