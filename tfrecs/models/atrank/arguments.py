"""What ATRank's constructor accepts."""

from typing import Any

from tfrecs.errors import InputError, option
from tfrecs.models import declarations, ranges
from tfrecs.models.atrank.attention import ACTIVATIONS, SIMILARITIES
from tfrecs.models.atrank.behaviours import BUCKET_RULES, TIMES

CANDIDATES = ("projected", "group", "raw")
ACCEPTED: dict[str, ranges.Rule] = {
    **dict.fromkeys(("item_dim", "attribute_dim", "time_dim", "num_heads"), ranges.SIZE),
    "num_blocks": ranges.DEPTH,
    **dict.fromkeys(("num_groups", "max_history", "num_negatives", "num_buckets"), ranges.SIZE),
    **dict.fromkeys(("num_actions", "action_dim", "attribute_values", "hidden_units"), ranges.COUNT),
    "activation_penalty": ranges.AMOUNT,
    **dict.fromkeys(("dropout", "output_dropout", "embedding_dropout"), ranges.RATE),
    "time_unit": ranges.POSITIVE,
    "time": TIMES,
    "bucket_rule": BUCKET_RULES,
    "candidate": CANDIDATES,
    "similarity": SIMILARITIES,
    "activation": ACTIVATIONS,
}

WITHOUT_EFFECT: dict[str, tuple[str, tuple[Any, ...]]] = {
    "time_dim": ("time", ("one_hot", "none")),
    **dict.fromkeys(("num_buckets", "time_unit", "bucket_rule"), ("time", ("none",))),
    "sum_penalty": ("activation_penalty", (0.0,)),
}


def checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, those of several values as tuples.

    Args:
        arguments: dict of the constructor's arguments, those of the base left out.

    Returns:
        dict.

    Raises:
        InputError: naming a bad argument and its value.

    Example:
        >>> from tfrecs.models.atrank import ATRank
        >>> ATRank(1, 1, (), (), 0, 1, num_heads=3)
        Traceback (most recent call last):
        ...
        tfrecs.errors.InputError: num_heads: expected a divisor of the 128 hidden units, got 3
    """
    ranges.check(arguments, ACCEPTED)
    ranges.refuse_unread(arguments, declarations.defaults("atrank"), WITHOUT_EFFECT)
    for name in ("history_kind", "target_kind"):
        if arguments[name] and not arguments["object_type"]:
            raise InputError(
                f"{option(name)} {arguments[name]}: needs {option('object_type')}, the item attribute that says the "
                "kind"
            )
    arguments = ranges.as_tuples(arguments, ("attributes", "attribute_sizes", "attribute_lengths"))
    width = arguments["item_dim"] + len(arguments["attribute_sizes"]) * arguments["attribute_dim"]
    dim, heads = arguments["hidden_units"] or width, arguments["num_heads"]
    if width != dim and (arguments["time"] == "tanh" or arguments["candidate"] == "raw"):
        raise InputError(
            f"{option('hidden_units')}: expected 0 or {width}, the width of an item's vectors, for "
            f"{option('candidate')} {arguments['candidate']} and {option('time')} {arguments['time']}, got {dim}"
        )
    if dim % heads:
        raise InputError(f"{option('num_heads')}: expected a divisor of the {dim} hidden units, got {heads}")
    return arguments
