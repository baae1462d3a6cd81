"""Command-line flags: arguments of a model's constructor, fields of `TrainConfig`, and the run's own options."""

import argparse
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tfrecs import options
from tfrecs.errors import InputError, command_line, naming, nearest
from tfrecs.models import MODELS, declarations, original_flags
from tfrecs.models.presets import ALIASES, MODULES, PRESETS
from tfrecs.options import Option, Parser
from tfrecs.runs import config_file
from tfrecs.runs.config import TrainConfig
from tfrecs.training import recipe as recipes

# What a run does besides training.
RUN_OPTIONS = {
    "model": Option(str, None, f"the model: {', '.join(MODELS)}"),
    "preset": Option(str, "recommended", "a named set of arguments of the model and of training"),
    "dataset": Option(str, "sample", "a data source by name; it is prepared first where it has not been"),
    "data_dir": Option(str, None, "prepared data; default data/<dataset>, or another name where the preset needs it"),
    "raw_dir": Option(str, None, "the directory of the source's raw files"),
    "run_dir": Option(str, None, "the run directory; default runs/<model>-<preset>-<dataset>"),
    "load_model": Option(bool, False, "resume from the newest checkpoint of the run, start fresh where there is none"),
    "overwrite": Option(bool, False, "remove the run that the run directory holds and start afresh"),
    "load_weight_path": Option(str, None, "resume from, or evaluate, this checkpoint of the run: cp-0002"),
    "do_train": Option(bool, True, "train"),
    "do_eval": Option(bool, True, "evaluate on the test split, with the baselines"),
    "export_dir": Option(str, None, "write a SavedModel for TensorFlow Serving below this directory"),
    "num_recommendations": Option(int, 10, "recommendations to print for one test user; 0 prints none"),
    "gpu_id": Option(str, None, "GPUs to use, by number: 0, or 0,1; -1 for none; default all"),
    "config": Option(str, None, "take model, preset and arguments from a run's config.json; flags override them"),
    "quiet": Option(bool, False, "print only results and errors, no progress"),
    "tensorboard": Option(bool, False, "write the history as scalars below the run's tensorboard folder"),
}
DATA_OF_ORIGINALS = ("data_path", "data_version", "file_path")  # flags of originals that say which data to take
RENAMED = {"max_seq_length": "max_history", "num_epochs": "epochs", "lr": "learning_rate"}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """A parsed command line.

    Args:
        run: dict of `RUN_OPTIONS`.
        recipe: `Recipe` of the model and its training.
        given_run: dict of the run's options that the command line names itself.
        notes: tuple of str, what is to be said of flags of the original.
        names: dict of option to the name that the command line has for it, where it is another, for `errors.naming`.
    """

    run: dict[str, Any]
    recipe: recipes.Recipe
    given_run: dict[str, Any]
    notes: tuple[str, ...] = ()
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)


@command_line()
def parse(
    argv: Sequence[str], program: str = "run.py", known: Mapping[str, Any] | None = None, also: Iterable[str] = ()
) -> Arguments:
    """Parses `examples/run.py`'s command line; `--help` prints every flag of the model and exits 0.

    Args:
        argv: list of str.
        program: str, for the help.
        known: dict of `RUN_OPTIONS` that hold where the command line does not name them.
        also: names of flags that the caller has taken out, offered where one is unknown.

    Returns:
        `Arguments`.

    Raises:
        InputError: unknown flags, models, presets and choices (with the nearest valid name), ill-typed
            values, values out of range, one option named twice with different values.

    Example:
        >>> parse(["--model", "attrec", "--emb_size", "32"]).recipe.model_arguments["embedding_dim"]
        32
    """
    model, preset, stored = _model_and_preset(argv, known or {})
    own, training = declarations.defaults(model), recipes.training_arguments()
    aliases = {name: target for name, (target, _) in ALIASES[model].items()}
    aliases |= {name: target for name, target in RENAMED.items() if target in training or target in own}
    others = {**getattr(MODULES[model], "DERIVED", {}), **getattr(MODULES[model], "FIXED", {})}
    parser = Parser(
        prog=program,
        usage=f"%(prog)s --model {model} [flags]",
        argument_default=argparse.SUPPRESS,
        description=f"Train and evaluate {model}; --model NAME --help lists the flags of another model.",
    )
    run = {name: entry.default for name, entry in RUN_OPTIONS.items()}
    texts = options.documented(TrainConfig.__doc__, *declarations.docstrings(model))
    groups = {
        "run": RUN_OPTIONS,
        f"training, preset {preset}": options.of_defaults(training, texts, TrainConfig.CHOICES),
        f"model {model}, preset {preset}": options.of_defaults(own, texts, declarations.choices(model)),
    }
    for title, group in groups.items():
        section = parser.add_argument_group(title)
        for name, entry in group.items():
            if name == "preset":
                entry = dataclasses.replace(entry, help=f"{entry.help}: {', '.join(PRESETS[model])}")
            entry.add_to(section, name, {**_preset(model, preset), **stored}.get(name))
        if group is RUN_OPTIONS:
            section.add_argument("-q", dest="quiet", action="store_const", const="1", help="the same as --quiet 1")
    section = parser.add_argument_group("names the originals used")
    declared = {name: entry for group in groups.values() for name, entry in group.items()}
    for name, target in aliases.items():
        note = ", changed" if ALIASES[model].get(name, (None, None))[1] else ""
        declared[name] = dataclasses.replace(declared[target], help=f"for --{target}{note}")
        declared[name].add_to(section, name, default="")
    for name, text in others.items():
        text = text if isinstance(text, str) else text.described()
        section.add_argument(f"--{name}", metavar="VALUE", help=text.replace("%", "%%"))
    values = parser.parse_flags(argv, (*declared, *others, *also), _owners)
    values = {name: declared[name].read(name, text) if name in declared else text for name, text in values.items()}
    given = _without_aliases(values, aliases, ALIASES[model])
    given = {name: original_flags.respelled(MODULES[model], name, value) for name, value in given.items()}
    original = {name: given.pop(name) for name in others if name in given}
    typed = {name: values[name] for name in aliases if name in values}
    names = original_flags.spelled([(aliases[name], name, value) for name, value in typed.items()], given, values)
    given |= {"model": model} if "model" in given else {}
    if "data_dir" in stored and {"data_dir", "dataset", "raw_dir", *DATA_OF_ORIGINALS} & {*given, *original}:
        del stored["data_dir"]
    elif not os.path.isdir(stored.get("data_dir", os.curdir)):
        raise InputError(
            f"--config {values['config']}: its run was trained on {stored['data_dir']}, which is not there; "
            "name --data_dir or --dataset"
        )
    given = {**stored, **(known or {}), **given}
    known_values = {**run, **training, **own, **_preset(model, preset), **given}
    with naming(**names):
        meant, notes = original_flags.translate(MODULES[model], original, known_values, set(given))
    pairs = [(target, name, value) for target in meant for name, value in original.items()]
    names |= original_flags.spelled(pairs, meant, values)
    with naming(**names):
        return _resolve(model, preset, {**meant, **given}, tuple(notes), names)


def _owners(name: str) -> str:
    """What to say of a flag that only other models have."""
    owners = declarations.owners(name)
    return f"; --model {' and '.join(owners)} has it" if owners else ""


def _preset(model: str, preset: str) -> dict[str, Any]:
    return {**PRESETS[model][preset]["model"], **PRESETS[model][preset]["training"]}


def _model_and_preset(argv: Sequence[str], known: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The model, the preset, and the arguments that `--config` brings."""
    parser = Parser(add_help=False)
    for flag in ("model", "preset", "config"):
        parser.add_argument(f"--{flag}", default=known.get(flag))
    given = parser.parse_known_args(argv)[0]
    for flag, text in vars(given).items():
        if text is not None:
            RUN_OPTIONS[flag].read(flag, text)
    config = config_file.read(given.config) if given.config else {}
    name = given.model or config.get("model") or (next(iter(MODELS)) if {"-h", "--help"} & set(argv) else None)
    if name is None:
        typo = next((flag for flag in argv if nearest(flag, ["--model"]).startswith("did you mean")), None)
        hint = f"; unknown flag {typo!r}; did you mean '--model'?" if typo else ""
        raise InputError(f"--model: required; choose from {', '.join(MODELS)}{hint}")
    model = recipes.model_name(name)
    if config and model != config["model"]:
        raise InputError(f"--model {model}: {given.config} is of {config['model']}")
    preset = given.preset or config.get("preset") or "recommended"
    recipes.check_preset(model, preset)
    data = {"data_dir": config["data_dir"]} if config.get("data_dir") else {}
    return model, preset, _chosen(model, config) | data


def _chosen(model: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's `config.json` says of the model and its training, without the sizes of its data."""
    values = {**config.get("model_arguments", {}), **config.get("train", {})}
    own, training = declarations.defaults(model), recipes.training_arguments()
    values = {name: value for name, value in values.items() if name in own or name in training}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _without_aliases(
    given: Mapping[str, Any],
    aliases: Mapping[str, str],
    transforms: Mapping[str, tuple[str, Callable[[Any], Any] | None]],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for name, value in given.items():
        target = aliases.get(name, name)
        transform = transforms.get(name, (None, None))[1]
        if transform:
            value = transform(value)
            value = round(value, 12) if isinstance(value, float) else value  # 1 - 0.9 is meant to be 0.1
        if target in values and values[target] != value:
            raise InputError(f"--{spelled[target]} and --{name} are the same option and were given different values")
        values[target], spelled[target] = value, name
    return values


def _resolve(
    model: str, preset: str, given: Mapping[str, Any], notes: tuple[str, ...], names: Mapping[str, str]
) -> Arguments:
    run = {name: given.get(name, entry.default) for name, entry in RUN_OPTIONS.items()}
    if not 0 <= run["num_recommendations"] <= 10**6:
        raise InputError(f"--num_recommendations: expected 0 to 1000000, got {run['num_recommendations']}")
    if given.get("load_model") is False and run["load_weight_path"] is not None:
        raise InputError(f"--load_model 0: contradicts --load_weight_path {run['load_weight_path']}, which is loaded")
    given_run = {name: value for name, value in given.items() if name in run}
    others = {name: value for name, value in given.items() if name not in run}
    goes_on = not run["do_train"] or run["load_model"] or run["load_weight_path"] is not None
    return Arguments(run, recipes.create(model, preset, others, goes_on), given_run, notes, names)
