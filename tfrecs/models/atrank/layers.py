"""What ATRank's constructor accepts, and the layers it makes of it."""

import keras

from tfrecs.errors import InputError, option
from tfrecs.layers.attributes import AttributeTable
from tfrecs.models import ranges
from tfrecs.models.atrank.attention import ACTIVATIONS, SIMILARITIES, LatentAttentionBlock
from tfrecs.models.atrank.behaviours import BUCKET_RULES, TIMES, BehaviourEmbedding
from tfrecs.models.atrank.objects import ObjectEmbedding

CANDIDATES = ("projected", "group", "raw")
ACCEPTED = {
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


def checked(arguments):
    """The arguments, those of several values as tuples.

    Raises:
        InputError: naming a bad argument and its value.
    """
    ranges.check(arguments, ACCEPTED)
    for name in ("history_kind", "target_kind"):
        if arguments[name] and not arguments["object_type"]:
            raise InputError(
                f"{option(name)} {arguments[name]}: needs {option('object_type')}, the item attribute that says the "
                "kind"
            )
    return ranges.as_tuples(arguments, ("attributes", "attribute_sizes", "attribute_lengths"))


def create(model):
    """Creates the layers of an `ATRank` from its arguments, which lie in its attributes."""
    shared = {"dtype": model.dtype_policy}
    model.objects = ObjectEmbedding(
        model.num_items,
        model.item_dim,
        model.attribute_sizes,
        [min(length, model.attribute_values or length) for length in model.attribute_lengths],
        model.attribute_dim,
        model.initializer,
        name="objects",
        **shared,
    )
    width = model.objects.width
    dim = model.hidden_units or width
    if width != dim and (model.time == "tanh" or model.candidate == "raw"):
        raise InputError(
            f"{option('hidden_units')}: expected 0 or {width}, the width of an item's vectors, for "
            f"{option('candidate')} {model.candidate} and {option('time')} {model.time}, got {dim}"
        )
    if dim % model.num_heads:
        raise InputError(f"{option('num_heads')}: expected a divisor of the {dim} hidden units, got {model.num_heads}")
    model.behaviours = BehaviourEmbedding(
        width,
        dim,
        model.num_groups,
        model.num_actions,
        model.action_dim if model.num_actions else 0,
        model.time,
        model.time_dim,
        model.num_buckets,
        model.initializer,
        name="behaviours",
        **shared,
    )
    if model.object_type:
        model.kinds = AttributeTable(model.num_items, 0, name="kinds")
    if model.candidate == "projected":
        model.candidates = keras.layers.Dense(dim, kernel_initializer=model.initializer, name="candidates", **shared)
        model.candidates.build((None, width))
    model.item_bias = model.add_weight(name="item_bias", shape=(model.num_items + 1,), initializer="zeros")
    model.embedding_dropout_layer = keras.layers.Dropout(model.embedding_dropout, **shared)

    def blocks(name):
        return [
            LatentAttentionBlock(
                dim,
                model.num_heads,
                model.similarity,
                model.activation,
                dropout=model.dropout,
                output_dropout=model.output_dropout,
                attend_padding=model.attend_padding,
                kernel_initializer=model.initializer,
                name=f"{name}_{index}",
                **shared,
            )
            for index in range(model.num_blocks)
        ]

    model.self_attention, model.candidate_attention = blocks("self_attention"), blocks("candidate_attention")
