"""Command-line flags read off signatures: a model's constructor, `TrainConfig`, and the run's own options."""

import argparse
import dataclasses
import inspect

from tfrecs.errors import InputError, nearest
from tfrecs.models import ALIASES, MODELS, PRESETS
from tfrecs.training.config import CHANGEABLE, TrainConfig

# name: (default, help); what a run does besides training.
RUN_OPTIONS = {
    "model": (None, f"which model: {', '.join(MODELS)}"),
    "preset": ("recommended", "a named set of arguments of the model and of training"),
    "dataset": ("sample", "name of a data source, prepared on the way if it has to be"),
    "data_dir": (None, "a directory that data_prep made; default data/<dataset>"),
    "raw_dir": (None, "where the source's raw files lie"),
    "run_dir": (None, "where the run lives; default checkpoints/<model>-<dataset>"),
    "load_model": (False, "resume from the newest checkpoint of the run, start fresh where there is none"),
    "load_weight_path": (None, "resume from, or judge, this checkpoint of the run: cp-0002"),
    "do_train": (True, "train"),
    "do_eval": (True, "look at the test split, beside the baselines"),
    "protocol": ("full_ranking", "how to evaluate: full_ranking"),
    "export_dir": (None, "write a SavedModel for TensorFlow Serving below this directory"),
    "num_recommendations": (10, "items to print for one test user"),
}
PROTOCOLS = ("full_ranking",)
RENAMED = {"max_seq_length": "max_history", "num_epochs": "epochs"}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """A parsed command line.

    Args:
        run: dict of `RUN_OPTIONS`.
        model: dict of constructor arguments: the preset's with the given ones on top.
        config: `TrainConfig`.
        given_model, given_config: dicts of what the command line named itself.
    """

    run: dict
    model: dict
    config: TrainConfig
    given_model: dict
    given_config: dict


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(message)


def parse(argv):
    """Parses `examples/run.py`'s command line.

    Args:
        argv: list of str.

    Returns:
        `Arguments`.

    Raises:
        InputError: unknown flags, models and presets (with the nearest valid name), ill-typed values.

    Example:
        >>> parse(["--model", "attrec", "--emb_size", "32"]).model["embedding_dim"]
        32
    """
    model = _model_name(argv)
    options = {**model_arguments(model)}
    training = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    aliases = {**RENAMED, **{name: target for name, (target, _) in ALIASES[model].items()}}
    parser = _Parser(prog="run.py", allow_abbrev=False, argument_default=argparse.SUPPRESS,
                     description=f"Train and evaluate {model}.")
    for title, group in (("run", {k: v[0] for k, v in RUN_OPTIONS.items()}), ("training", training),
                         (f"model {model}", options)):
        section = parser.add_argument_group(title)
        for name, default in group.items():
            text = RUN_OPTIONS[name][1] + " " if name in RUN_OPTIONS else ""
            section.add_argument(f"--{name}", type=_converter(default, name), metavar=_kind(default),
                                 help=f"{text}(default {default})".replace("%", "%%"))
    section = parser.add_argument_group("names the originals used")
    for name, target in aliases.items():
        if target in options or target in training:
            default = {**training, **options}[target]
            section.add_argument(f"--{name}", type=_converter(default, name), metavar=_kind(default),
                                 help=f"for --{target}")
    namespace, unknown = parser.parse_known_args(argv)
    if unknown:
        flag = unknown[0].partition("=")[0]
        known = [f"--{name}" for name in (*RUN_OPTIONS, *training, *options, *aliases)]
        raise InputError(f"unknown flag {flag!r}; {nearest(flag, known)}")
    return _resolve(model, _without_aliases(vars(namespace), aliases, ALIASES[model]), options, training)


def model_arguments(model):
    """The constructor arguments of a model that a command line may set, with their defaults."""
    parameters = inspect.signature(MODELS[model].__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def contradictions(stored, arguments):
    """Values the command line names that differ from a stored run's.

    Args:
        stored: dict, a run's `config.json`.
        arguments: `Arguments`.

    Returns:
        list of str, `--margin 0.7 (the run has 0.5)`; empty where the run may be resumed.
    """
    found = []
    if stored["model"] != arguments.run["model"]:
        found.append(f"--model {arguments.run['model']} (the run has {stored['model']})")
    for given, kept in ((arguments.given_model, stored["model_arguments"]),
                        (arguments.given_config, stored["train"])):
        found.extend(f"--{name} {value} (the run has {kept.get(name)})" for name, value in given.items()
                     if name not in CHANGEABLE and kept.get(name) != value)
    return found


def _model_name(argv):
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model")
    model = parser.parse_known_args(argv)[0].model
    if model is None:
        if {"-h", "--help"} & set(argv):
            return next(iter(MODELS))
        raise InputError(f"--model: required; choose from {', '.join(MODELS)}")
    if model not in MODELS:
        raise InputError(f"--model: unknown model {model!r}; {nearest(model, MODELS)}")
    return model


def _without_aliases(given, aliases, transforms):
    values = {}
    for name, value in given.items():
        target = aliases.get(name, name)
        transform = transforms.get(name, (None, None))[1]
        value = transform(value) if transform else value
        if target in values and values[target] != value:
            raise InputError(f"--{name} and --{target} are the same option and were given different values")
        values[target] = value
    return values


def _resolve(model, given, options, training):
    run = {name: given.get(name, default) for name, (default, _) in RUN_OPTIONS.items()}
    if run["preset"] not in PRESETS[model]:
        raise InputError(f"--preset: unknown preset {run['preset']!r}; {nearest(run['preset'], PRESETS[model])}")
    if run["protocol"] not in PROTOCOLS:
        raise InputError(f"--protocol: unknown protocol {run['protocol']!r}; {nearest(run['protocol'], PROTOCOLS)}")
    preset = PRESETS[model][run["preset"]]
    given_model = {name: value for name, value in given.items() if name in options}
    given_config = {name: value for name, value in given.items() if name in training}
    for name, value in given_config.items():
        choices = TrainConfig.CHOICES.get(name)
        if choices and value not in choices:
            raise InputError(f"--{name}: unknown value {value!r}; {nearest(value, choices)}")
    return Arguments(run, {**preset["model"], **given_model}, TrainConfig(**{**preset["training"], **given_config}),
                     given_model, given_config)


def _kind(default):
    if isinstance(default, bool):
        return "0|1"
    return "STR" if default is None else type(default).__name__.upper()


def _converter(default, name):
    def convert(text):
        if isinstance(default, bool):
            if text in ("0", "1"):
                return text == "1"
            raise InputError(f"--{name}: expected 0 or 1, got {text!r}")
        kind = str if default is None else type(default)
        try:
            return kind(text)
        except ValueError:
            noun = {int: "an integer", float: "a number"}[kind]
            raise InputError(f"--{name}: expected {noun}, got {text!r}") from None

    return convert
