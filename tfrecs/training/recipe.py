"""What a run is made of, as values: a preset with given values on top."""

import dataclasses
import functools
from collections.abc import Collection, Mapping
from typing import Any

from tfrecs.errors import InputError, nearest, option
from tfrecs.evaluation.protocols import DEFAULT_METRICS
from tfrecs.models import MODELS, declarations
from tfrecs.models.construction import arguments_of, check_preset, unknown
from tfrecs.models.presets import ORIGINAL_NAMES, PRESETS
from tfrecs.runs.config import CHANGEABLE, JUDGED_BY, NEVER_MATTER, READ_BY, SEEN_EXCLUDED, TrainConfig, validates


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a model and its training are made of.

    Args:
        model: str, a key of `models.MODELS`.
        preset: str, one of the model's.
        model_arguments: dict of constructor arguments: the preset's with the given ones on top.
        given_model, given_config: dicts of the values that were given.
        data_options: dict of options that the preset gives a source which has them, where data are prepared on the way.
    """

    model: str
    preset: str
    model_arguments: dict[str, Any]
    given_model: dict[str, Any]
    given_config: dict[str, Any]
    data_options: dict[str, Any]

    @functools.cached_property
    def config(self) -> TrainConfig:
        """The preset's values with the given ones on top; of a stored run, its own values take the preset's place.

        Raises:
            InputError: a value out of its range, or one that the others leave without effect.
        """
        training = PRESETS[self.model][self.preset]["training"]
        return configure(_stretched(training, self.given_config), self.given_config)


def create(
    model: str, preset: str = "recommended", given: Mapping[str, Any] | None = None, goes_on: bool = False
) -> Recipe:
    """The recipe of a preset with given values on top.

    Args:
        model: str, a key of `models.MODELS`.
        preset: str.
        given: dict of constructor arguments of the model and of `TrainConfig`, by name.
        goes_on: bool, whether a stored run goes on or is judged: what the given values mean depends on its own, then,
            not on the preset's.

    Returns:
        `Recipe`.

    Raises:
        InputError: an unknown model, preset or name, with the nearest one, or the model that has an argument of that
            name; a value out of its range.

    Example:
        >>> create("attrec", given={"epochs": 3, "dropout": 0.1}).config.epochs
        3
    """
    given = dict(given or {})
    name = model_name(model)
    check_preset(name, preset)
    own, training = declarations.defaults(name), training_arguments()
    for argument in given:
        if argument not in own and argument not in training:
            raise InputError(unknown(argument, name, [*training, *own]))
    chosen = PRESETS[name][preset]
    given_model = {key: value for key, value in given.items() if key in own}
    given_config = TrainConfig.conformed({key: value for key, value in given.items() if key in training})
    arguments = arguments_of(name, preset, given_model)
    recipe = Recipe(name, preset, arguments, given_model, given_config, chosen.get("data", {}))
    if not goes_on:
        _ = recipe.config  # raises where the values do not fit together
    return recipe


def model_name(name: str) -> str:
    """The key of `models.MODELS` for a name, which may be the original's.

    Raises:
        InputError: naming the nearest one.

    Example:
        >>> model_name("SASRecD")
        'dif_sr'
    """
    name = ORIGINAL_NAMES.get(name, name)
    if name not in MODELS:
        raise InputError(f"{option('model')}: unknown model {name!r}; {nearest(name, MODELS)}")
    return name


def training_arguments() -> dict[str, Any]:
    """The arguments of `TrainConfig` with their defaults."""
    return {field.name: field.default for field in dataclasses.fields(TrainConfig)}


def contradictions(stored: Mapping[str, Any], recipe: Recipe, training: bool, named: Collection[str] = ()) -> list[str]:
    """Given values that differ from a stored run's.

    Args:
        stored: dict, a run's `config.json`.
        recipe: `Recipe`.
        training: bool, whether the run goes on; otherwise it is only judged, and the protocol may differ.
        named: of `model` and `preset`, those that were asked for by name.

    Returns:
        list of str, `margin 0.7 (the run has 0.5)`; empty where the run may be resumed.
    """
    # What a stored run does not name was added since, and is at its default.
    config = dataclasses.asdict(TrainConfig()) | stored["train"]
    model = declarations.defaults(recipe.model) | stored["model_arguments"]
    free = CHANGEABLE if training else (*NEVER_MATTER, *JUDGED_BY)
    asked = {name: getattr(recipe, name) for name in named}
    names = {name: stored.get(name, asked[name]) for name in named}
    return [
        f"{option(name)} {value} (the run has {kept[name]})"
        for given, kept in ((asked, names), (recipe.given_model, model), (_with_implied(recipe.given_config), config))
        for name, value in given.items()
        if name not in free and not _same(kept[name], value)
    ]


def configure(known: Mapping[str, Any], given: Mapping[str, Any]) -> TrainConfig:
    """A preset's or a stored run's configuration with given values on top; another protocol brings its own metric.

    Args:
        known, given: dicts of `TrainConfig`'s arguments.

    Returns:
        `TrainConfig`.

    Example:
        >>> configure({"select_metric": "mrr"}, {"protocol": "pair_auc"}).select_metric
        'auc'
    """
    given = _with_implied(TrainConfig.conformed(given))
    protocol, before = given.get("protocol"), known.get("protocol", TrainConfig.protocol)
    fixed = SEEN_EXCLUDED.get(protocol or before)
    if fixed is not None and given.get("exclude_seen", fixed) != fixed:
        does = "leaves seen items out" if fixed else "keeps seen items"
        raise InputError(
            f"{option('exclude_seen')} {int(not fixed)}: {option('protocol')} {protocol or before} {does}; "
            "full_ranking has the choice"
        )
    if protocol in DEFAULT_METRICS and protocol != before:
        known = {"select_metric": DEFAULT_METRICS[protocol]} | {
            name: value
            for name, value in known.items()
            # The other protocol fixed this value; the user did not choose it.
            if name != "select_metric" and not (name == "exclude_seen" and before in SEEN_EXCLUDED)
        }
    return TrainConfig(**{**_still_read(known, given), **given})


def _with_implied(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Given values and what they imply: `batch_size` clears a preset's `batch_tokens`."""
    return {"batch_tokens": 0, **given} if "batch_size" in given else given


def _still_read(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was meant for another optimizer, protocol, split or kind of batches than the given ones."""
    chosen = {**training_arguments(), **known, **given}
    unread = {name for name, (other, readers) in READ_BY.items() if chosen[other] not in readers}
    if chosen["batch_tokens"]:
        unread.add("batch_size")
    if not validates(chosen["train_split"], chosen["validation_split"]):
        unread.add("patience")
    return {name: value for name, value in known.items() if name not in unread}


def _stretched(training: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Stretches a preset's decay of the learning rate where more epochs are asked for than the preset has."""
    epochs = given.get("epochs", 0)
    return {**training, "decay_epochs": epochs} if epochs > training.get("decay_epochs", 0) > 0 else training


def _same(kept: object, value: object) -> bool:
    return kept == (list(value) if isinstance(value, tuple) and isinstance(kept, list) else value)
