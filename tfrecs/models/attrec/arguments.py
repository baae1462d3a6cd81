"""What AttRec's constructor accepts."""

from typing import Any

from tfrecs import losses
from tfrecs.models import declarations, ranges
from tfrecs.models.attrec.aggregation import AGGREGATIONS
from tfrecs.models.attrec.attention import DIAGONALS
from tfrecs.models.attrec.embeddings import BOUNDS

ACCEPTED: dict[str, ranges.Rule] = {
    **dict.fromkeys(("embedding_dim", "max_history", "num_targets", "num_negatives"), ranges.SIZE),
    **dict.fromkeys(("margin", "l2"), ranges.AMOUNT),
    "user_weight": ranges.SHARE,
    "dropout": ranges.RATE,
    "signal_exponent": ranges.POSITIVE,
    "aggregation": AGGREGATIONS,
    "prediction_aggregation": (None, *AGGREGATIONS),
    "diagonal": DIAGONALS,
    "norm_bound": BOUNDS,
    "pair_reduction": losses.REDUCTIONS,
}

# Shared negatives are drawn from all items.
WITHOUT_EFFECT: dict[str, tuple[str, tuple[Any, ...]]] = {"negatives_exclude_held_out": ("shared_negatives", (True,))}


def checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments.

    Args:
        arguments: dict of the constructor's arguments, those of the base left out.

    Returns:
        dict.

    Raises:
        InputError: naming the first bad argument, and its value.

    Example:
        >>> from tfrecs.models.attrec import AttRec
        >>> AttRec(1, 1, user_weight=1.5)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: user_weight: expected a number in [0, 1], got 1.5
    """
    ranges.check(arguments, ACCEPTED)
    ranges.refuse_unread(arguments, declarations.defaults("attrec"), WITHOUT_EFFECT)
    return arguments
