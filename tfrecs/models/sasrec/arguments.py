"""What SASRec's constructor accepts."""

from typing import Any

from tfrecs.errors import InputError, option
from tfrecs.layers.feed_forward import ACTIVATIONS, NORMALIZATIONS
from tfrecs.models import declarations, ranges

LOSSES = ("ce", "sampled_softmax", "gbce", "bce")
ORIGINS = ("start", "end")
ACCEPTED: dict[str, ranges.Rule] = {
    **dict.fromkeys(("max_history", "num_heads", "dim", "inner_dim", "num_negatives"), ranges.SIZE),
    "num_layers": ranges.DEPTH,
    **dict.fromkeys(("dropout", "attention_dropout"), ranges.RATE),
    "calibration": ranges.SHARE,
    "initializer_range": ranges.AMOUNT,
    "activation": ACTIVATIONS,
    "normalization": NORMALIZATIONS,
    "positions_from": ORIGINS,
    "item_loss": LOSSES,
}

WITHOUT_EFFECT: dict[str, tuple[str, tuple[Any, ...]]] = {
    "num_negatives": ("item_loss", ("ce", "bce")),
    "calibration": ("item_loss", ("ce", "bce", "sampled_softmax")),
}


def checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments.

    Args:
        arguments: dict of the constructor's arguments, those of the base left out.

    Returns:
        dict.

    Raises:
        InputError: naming the first bad argument, and its value.

    Example:
        >>> from tfrecs.models.sasrec import SASRec
        >>> SASRec(1, 1, dim=10, num_heads=4)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: dim: expected a multiple of num_heads 4, got 10
    """
    ranges.check(arguments, ACCEPTED)
    ranges.refuse_unread(arguments, declarations.defaults("sasrec"), WITHOUT_EFFECT)
    if arguments["dim"] % arguments["num_heads"]:
        dim, heads = arguments["dim"], arguments["num_heads"]
        raise InputError(f"{option('dim')}: expected a multiple of {option('num_heads')} {heads}, got {dim}")
    return arguments
