"""Command-line flags read off signatures: a model's constructor, `TrainConfig`, and the run's own options."""

import argparse
import dataclasses
import inspect

from tfrecs import flags
from tfrecs.errors import InputError, nearest
from tfrecs.evaluation.protocols import DEFAULT_METRICS
from tfrecs.models import MODELS, original_flags
from tfrecs.models.presets import ALIASES, MODULES, ORIGINAL_NAMES, PRESETS
from tfrecs.runs.config import ADAMS, CHANGEABLE, JUDGED_BY, SEEN_EXCLUDED, TrainConfig

# name: (default, help); what a run does besides training.
RUN_OPTIONS = {
    "model": (None, f"which model: {', '.join(MODELS)}"),
    "preset": ("recommended", "a named set of arguments of the model and of training"),
    "dataset": ("sample", "name of a data source, prepared on the way if it has to be"),
    "data_dir": (None, "a directory that data_prep made; default data/<dataset>, with what the preset adds"),
    "raw_dir": (None, "where the source's raw files lie"),
    "run_dir": (None, "the run directory; default runs/<model>-<preset>-<dataset>"),
    "load_model": (False, "resume from the newest checkpoint of the run, start fresh where there is none"),
    "overwrite": (False, "remove the run that the run directory holds and start afresh"),
    "load_weight_path": (None, "resume from, or judge, this checkpoint of the run: cp-0002"),
    "do_train": (True, "train"),
    "do_eval": (True, "evaluate on the test split, with the baselines"),
    "export_dir": (None, "write a SavedModel for TensorFlow Serving below this directory"),
    "num_recommendations": (10, "items to print for one test user; 0 is off"),
    "gpu_id": (None, "GPUs to use, by number: 0, or 0,1; -1 is none; default all"),
    "tensorboard": (False, "write the history as scalars below the run's tensorboard folder"),
}
RENAMED = {"max_seq_length": "max_history", "num_epochs": "epochs", "lr": "learning_rate"}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """A parsed command line.

    Args:
        run: dict of `RUN_OPTIONS`.
        model: dict of constructor arguments: the preset's with the given ones on top.
        config: `TrainConfig`.
        given_run, given_model, given_config: dicts of what the command line named itself.
        notes: tuple of str, what is to be said of flags of the original.
        data: dict of options that the preset gives a source which has them, where data are prepared on the way.
    """

    run: dict
    model: dict
    config: TrainConfig
    given_run: dict
    given_model: dict
    given_config: dict
    notes: tuple = ()
    data: dict = dataclasses.field(default_factory=dict)


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(message.removeprefix("argument "))


def parse(argv):
    """Parses `examples/run.py`'s command line; `--help` prints every flag of the model and exits 0.

    Args:
        argv: list of str.

    Returns:
        `Arguments`.

    Raises:
        InputError: unknown flags, models, presets and choices (with the nearest valid name), ill-typed
            values, values out of range, one option named twice with different values.

    Example:
        >>> parse(["--model", "attrec", "--emb_size", "32"]).model["embedding_dim"]
        32
    """
    model, preset = _model_and_preset(argv)
    options = model_arguments(model)
    training = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    aliases = {name: target for name, (target, _) in ALIASES[model].items()}
    aliases |= {name: target for name, target in RENAMED.items() if target in training or target in options}
    others = {**getattr(MODULES[model], "DERIVED", {}), **getattr(MODULES[model], "FIXED", {})}
    parser = _Parser(
        prog="run.py",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        description=f"Train and evaluate {model}; --model NAME --help lists the flags of another model.",
    )
    run = {name: default for name, (default, _) in RUN_OPTIONS.items()}
    groups = {"run": run, f"training, preset {preset}": training, f"model {model}, preset {preset}": options}
    texts = {name: text for name, (_, text) in RUN_OPTIONS.items()} | flags.documented(TrainConfig, MODELS[model])
    for title, group in groups.items():
        section = parser.add_argument_group(title)
        for name, default in group.items():
            text = flags.text(texts.get(name, ""), {**group, **_preset(model, preset)}[name])
            section.add_argument(f"--{name}", type=flags.converter(default), metavar=flags.kind(default), help=text)
    section = parser.add_argument_group("names the originals used")
    for name, target in aliases.items():
        default = {**run, **training, **options}[target]
        note = ", changed" if ALIASES[model].get(name, (None, None))[1] else ""
        text = f"for --{target}{note}"
        section.add_argument(f"--{name}", type=flags.converter(default), metavar=flags.kind(default), help=text)
    for name, text in others.items():
        text = text if isinstance(text, str) else text.described()
        section.add_argument(f"--{name}", metavar="VALUE", help=text.replace("%", "%%"))
    namespace, unknown = parser.parse_known_args(argv)
    if unknown:
        flag = unknown[0].partition("=")[0]
        known = [f"--{name}" for name in (*run, *training, *options, *aliases, *others)]
        raise InputError(f"unknown {'flag' if flag.startswith('-') else 'argument'} {flag!r}; {nearest(flag, known)}")
    given = _without_aliases(vars(namespace), aliases, ALIASES[model])
    given = {name: original_flags.respelled(MODULES[model], name, value) for name, value in given.items()}
    original = {name: given.pop(name) for name in others if name in given}
    given |= {"model": model} if "model" in given else {}
    known = {**run, **training, **options, **_preset(model, preset), **given}
    meant, notes = original_flags.translate(MODULES[model], original, known, set(given))
    return _resolve(model, {**meant, **given}, options, training, tuple(notes))


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
    for name in ("model", "preset"):
        kept = stored.get(name, arguments.run[name])
        if arguments.given_run.get(name, kept) != kept:
            found.append(f"--{name} {arguments.run[name]} (the run has {kept})")
    # What a stored run does not name was added since, and is at its default.
    training = dataclasses.asdict(TrainConfig()) | stored["train"]
    model = model_arguments(arguments.run["model"]) | stored["model_arguments"]
    free = CHANGEABLE if arguments.run["do_train"] else (*CHANGEABLE, *JUDGED_BY)
    for given, kept in ((arguments.given_model, model), (arguments.given_config, training)):
        found.extend(
            f"--{name} {value} (the run has {kept[name]})"
            for name, value in given.items()
            if name not in free and not _same(kept[name], value)
        )
    return found


def _same(kept, value):
    return kept == (list(value) if isinstance(value, tuple) and isinstance(kept, list) else value)


def _preset(model, preset):
    return {**PRESETS[model][preset]["model"], **PRESETS[model][preset]["training"]}


def _model_and_preset(argv):
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model", default=next(iter(MODELS)) if {"-h", "--help"} & set(argv) else None)
    parser.add_argument("--preset", default="recommended")
    given = parser.parse_known_args(argv)[0]
    if given.model is None:
        raise InputError(f"--model: required; choose from {', '.join(MODELS)}")
    given.model = ORIGINAL_NAMES.get(given.model, given.model)
    if given.model not in MODELS:
        raise InputError(f"--model: unknown model {given.model!r}; {nearest(given.model, MODELS)}")
    presets = PRESETS[given.model]
    if given.preset not in presets:
        raise InputError(f"--preset: unknown preset {given.preset!r}; {nearest(given.preset, presets)}")
    return given.model, given.preset


def _without_aliases(given, aliases, transforms):
    values, spelled = {}, {}
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


def _resolve(model, given, options, training, notes):
    run = {name: given.get(name, default) for name, (default, _) in RUN_OPTIONS.items()}
    if not 0 <= run["num_recommendations"] <= 10**6:
        raise InputError(f"--num_recommendations: expected 0 to 1000000, got {run['num_recommendations']}")
    preset = PRESETS[model][run["preset"]]
    given_run, given_model, given_config = (
        {name: value for name, value in given.items() if name in group} for group in (run, options, training)
    )
    config = configure(_stretched(preset["training"], given_config), given_config)
    arguments, data = {**preset["model"], **given_model}, preset.get("data", {})
    return Arguments(run, arguments, config, given_run, given_model, given_config, notes, data)


def _stretched(training, given):
    """A preset's training whose rate falls over as many epochs as are asked for, where they are more than its own."""
    epochs = given.get("epochs", 0)
    return {**training, "decay_epochs": epochs} if epochs > training.get("decay_epochs", 0) > 0 else training


def configure(known, given):
    """A preset's or a stored run's configuration with given values on top; another protocol brings its own metric.

    Args:
        known, given: dicts of `TrainConfig`'s arguments.

    Returns:
        `TrainConfig`.

    Example:
        >>> configure({"select_metric": "mrr"}, {"protocol": "pair_auc"}).select_metric
        'auc'
    """
    protocol, before = given.get("protocol"), known.get("protocol", TrainConfig.protocol)
    fixed = SEEN_EXCLUDED.get(protocol or before)
    if fixed is not None and given.get("exclude_seen", fixed) != fixed:
        does = "leaves seen items out" if fixed else "keeps seen items"
        raise InputError(
            f"--exclude_seen {int(not fixed)}: --protocol {protocol or before} {does}; full_ranking has the choice"
        )
    if protocol in DEFAULT_METRICS and protocol != before:
        known = {"select_metric": DEFAULT_METRICS[protocol]} | {
            name: value
            for name, value in known.items()
            # What the other protocol fixed was nobody's choice.
            if name != "select_metric" and not (name == "exclude_seen" and before in SEEN_EXCLUDED)
        }
    optimizer = given.get("optimizer", known.get("optimizer", TrainConfig.optimizer))
    if optimizer not in ADAMS:  # a preset's `beta_2` was meant for its own optimizer
        known = {name: value for name, value in known.items() if name != "beta_2"}
    return TrainConfig(**{**known, **given})
