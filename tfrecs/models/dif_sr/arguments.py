"""What DIF-SR's constructor accepts."""

from collections.abc import Collection, Sequence
from typing import Any

from tfrecs.errors import InputError, option
from tfrecs.layers.attributes import POOLINGS
from tfrecs.layers.feed_forward import ACTIVATIONS
from tfrecs.models import declarations, ranges
from tfrecs.models.dif_sr.attention import FUSIONS
from tfrecs.models.dif_sr.predictors import PREDICTORS
from tfrecs.models.item_attributes import ALL

ACCEPTED: dict[str, ranges.Rule] = {
    **dict.fromkeys(("max_history", "num_heads", "dim", "inner_dim"), ranges.SIZE),
    "num_layers": ranges.DEPTH,
    **dict.fromkeys(("dropout", "attention_dropout", "item_dropout"), ranges.RATE),
    **dict.fromkeys(("initializer_range", "layer_norm_epsilon"), ranges.POSITIVE),
    "activation": ACTIVATIONS,
    "fusion": FUSIONS,
    "pooling": POOLINGS,
    "attribute_predictor": PREDICTORS,
    "item_loss": ("ce", "bpr"),
}
TUPLES = {
    "attribute_sizes": ranges.SIZE,
    "attribute_lengths": ranges.AMOUNT,
    "attribute_dim": ranges.SIZE,
    "attribute_weight": ranges.AMOUNT,
}

WITHOUT_EFFECT: dict[str, tuple[str, tuple[Any, ...]]] = {"attribute_weight": ("attribute_predictor", ("none",))}


def checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, those of several values as tuples.

    Args:
        arguments: dict of the constructor's arguments, those of the base left out. Without `attribute_sizes` the number
            of attributes is not known yet, and one value for each is accepted unchecked.

    Returns:
        dict.

    Raises:
        InputError: naming the first bad argument, and its value.

    Example:
        >>> from tfrecs.models.dif_sr import DIFSR
        >>> DIFSR(1, 1, (), (), dim=10, num_heads=4)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: dim: expected a multiple of num_heads 4, got 10
    """
    arguments = ranges.as_tuples(arguments, ("attributes", *TUPLES))
    ranges.check(arguments, ACCEPTED)
    ranges.refuse_unread(arguments, declarations.defaults("dif_sr"), WITHOUT_EFFECT)
    for name, rule in TUPLES.items():
        for value in arguments[name]:
            ranges.check({name: value}, {name: rule})
    dim, heads, count = arguments["dim"], arguments["num_heads"], len(arguments["attribute_sizes"])
    if dim % heads:
        raise InputError(f"{option('dim')}: expected a multiple of {option('num_heads')} {heads}, got {dim}")
    for name in ("attribute_dim", "attribute_weight"):
        _check_count(name, arguments[name], (1, count or len(arguments[name]) or 1))
    for width in arguments["attribute_dim"]:
        if width < heads:
            raise InputError(f"{option('attribute_dim')}: expected at least {option('num_heads')} {heads}, got {width}")
    _check_count("attribute_lengths", arguments["attribute_lengths"], (count,))
    if count and tuple(arguments["attributes"]) != ALL:
        _check_count("attributes", arguments["attributes"], (count,))
    return arguments


def per_attribute(values: Sequence[float], count: int) -> tuple[Any, ...]:
    """One value for each of `count` attributes, where one may stand for all.

    Example:
        >>> per_attribute((64,), 2), per_attribute((8, 4), 2)
        ((64, 64), (8, 4))
    """
    return tuple(values) * count if len(values) == 1 else tuple(values)


def _check_count(name: str, values: Sequence[Any], allowed: Collection[int]) -> None:
    if len(values) not in allowed:
        expected = " or ".join(str(number) for number in sorted(set(allowed)))
        raise InputError(f"{option(name)}: expected {expected} values, one for each attribute, got {len(values)}")
