"""Building blocks shared by the models; Keras only, no data."""

from typing import TYPE_CHECKING

from tfrecs import lazy

if TYPE_CHECKING:  # what `__getattr__` finds, for type checkers
    from tfrecs.layers.attributes import AttributeTable as AttributeTable
    from tfrecs.layers.attributes import ItemTable as ItemTable
    from tfrecs.layers.attributes import PooledEmbedding as PooledEmbedding
    from tfrecs.layers.feed_forward import FeedForward as FeedForward
    from tfrecs.layers.masks import last_valid as last_valid
    from tfrecs.layers.masks import masked_softmax as masked_softmax
    from tfrecs.layers.masks import padding_mask as padding_mask

PLACES = {
    "AttributeTable": "attributes",
    "FeedForward": "feed_forward",
    "ItemTable": "attributes",
    "PooledEmbedding": "attributes",
    "last_valid": "masks",
    "masked_softmax": "masks",
    "padding_mask": "masks",
}
if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy.attributes(__name__, PLACES)
