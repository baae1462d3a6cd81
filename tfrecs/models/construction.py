"""A model made from a preset and prepared data: the one way, for `from_preset` and for runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tfrecs.errors import InputError, nearest, option
from tfrecs.models import CLASSES, MODELS, declarations, ranges
from tfrecs.models.presets import PRESETS
from tfrecs.options import spelled

if TYPE_CHECKING:
    from tfrecs.data.manifest import Manifest
    from tfrecs.models.recommender import SequentialRecommender

OF_KERAS = ("dtype", "name", "trainable")


def name_of(cls: type[SequentialRecommender]) -> str:
    """The key of `models.MODELS` for a class of models, or for a subclass of one.

    Args:
        cls: a `SequentialRecommender`.

    Returns:
        str.

    Raises:
        InputError: a model that is none of `models.MODELS`, which has no presets.
    """
    for base in cls.__mro__:
        for name in CLASSES:
            if (base.__module__, base.__name__) == (f"tfrecs.models.{name}.model", CLASSES[name]):
                return name
    raise InputError(f"{cls.__name__}: has no presets; a subclass of {' or '.join(CLASSES.values())} has")


def check_preset(model: str, preset: str) -> None:
    """Refuses a preset that the model does not have; the error names the nearest one."""
    if preset not in PRESETS[model]:
        raise InputError(f"{option('preset')}: unknown preset {preset!r}; {nearest(preset, PRESETS[model])}")


def unknown(name: str, model: str, known: Iterable[str]) -> str:
    """The message about an argument that a model does not have.

    Args:
        name: str, as it was given.
        model: str, a key of `models.MODELS`.
        known: names of what it has.

    Returns:
        str: the nearest name, and the models that have an argument of the unknown name.

    Example:
        >>> unknown("region_size", "attrec", ["epochs"])
        'region_size: no argument of attrec, but of arerec; choose from epochs'
    """
    owners = declarations.owners(name)
    where = f"no argument of {model}" + (f", but of {', '.join(owners)}" if owners else "")
    return f"{option(name)}: {where}; {nearest(name, known)}"


def arguments_of(model: str, preset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor arguments that a preset and given values name; the constructor's defaults are the rest.

    Args:
        model: str, a key of `models.MODELS`.
        preset: str, one of the model's.
        given: dict; where it leaves an argument of the preset unread, that is left out.

    Returns:
        dict.
    """
    chosen = PRESETS[model][preset]["model"]
    values = {**declarations.defaults(model), **chosen, **given}
    unread = ranges.unread(values, declarations.without_effect(model))
    return {**{name: value for name, value in chosen.items() if name not in unread}, **given}


def checked_arguments(cls: type[SequentialRecommender], preset: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments_of` for values that a caller from Python gave.

    Args:
        cls: a `SequentialRecommender`.
        preset: str.
        overrides: dict.

    Returns:
        dict.

    Raises:
        InputError: an unknown preset or argument, with the nearest one, or a size that the data decide.
    """
    model = name_of(cls)
    check_preset(model, preset)
    parameters = inspect.signature(cls.__init__).parameters.values()
    known = {*declarations.defaults(model), *(p.name for p in parameters if p.default is not p.empty), *OF_KERAS}
    for name in overrides:
        if name in cls.minimal_sizes:
            raise InputError(f"{name}: the data decide it; leave it out")
        if name not in known:
            raise InputError(unknown(name, model, known))
    return arguments_of(model, preset, overrides)


def create(
    cls: type[SequentialRecommender],
    arguments: Mapping[str, Any],
    data_dir: str,
    manifest: Manifest,
    split: str = "train",
    **options: Any,
) -> SequentialRecommender:
    """A model for prepared data: sizes read off the data, tables that are not trained filled.

    Args:
        cls: a `SequentialRecommender`.
        arguments: dict, keyword arguments of its constructor, without the sizes that the data decide.
        data_dir: str.
        manifest: its `Manifest`.
        split: str, what the model will be trained on: `train`, `train_valid` or `all`.
        **options: Keras's arguments of a model, `dtype`.

    Returns:
        the model.
    """
    decided = cls.data_arguments(data_dir, manifest, arguments, split)
    model = cls(**{**arguments, **decided}, **options)
    model.made_for = manifest.digests
    model.adapt(data_dir, manifest, split)
    return model


def require_columns(
    cls: type[SequentialRecommender], arguments: Mapping[str, Any], data_dir: str, manifest: Manifest
) -> None:
    """Refuses data that lacks what a model reads.

    Args:
        cls, arguments, data_dir, manifest: as for `create`.

    Raises:
        InputError: naming the missing columns and the models that would work.
    """
    missing = cls.missing_columns(manifest, arguments)
    if missing:
        working = [found for name in MODELS if (found := _usable(name, manifest))]
        raise InputError(
            f"{option('model')} {name_of(cls)}: {data_dir} ({manifest.name}) has no {', '.join(missing)}; "
            f"models that work on it: {', '.join(working) or 'none'}"
        )


def _usable(name: str, manifest: Manifest) -> str | None:
    """A model's name, with the arguments it needs to do with the data; None where it cannot."""
    model = MODELS[name]
    if not model.missing_columns(manifest, {}):
        return name
    if not model.missing_columns(manifest, model.fallback_arguments):
        needed = (f"{option(key)} {spelled(value)}" for key, value in model.fallback_arguments.items())
        return " ".join([f"{name} with", *needed])
    return None
