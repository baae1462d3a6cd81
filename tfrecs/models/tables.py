"""Whether the tables of items that a model reads were filled."""

from typing import TYPE_CHECKING

from tfrecs.errors import InputError

if TYPE_CHECKING:
    from tfrecs.models.recommender import SequentialRecommender


def require_filled(model: "SequentialRecommender") -> None:
    """Raises an error if a table of items was never filled: it would be read as items without values.

    Args:
        model: a `SequentialRecommender`; a layer of it may have `is_filled`, as `layers.attributes.AttributeTable`, and
            `contents`, what it holds of each item; default `attributes`.

    Raises:
        InputError: naming the model and the table.
    """
    for layer in model._flatten_layers(include_self=False):
        if not getattr(layer, "is_filled", True):
            raise InputError(
                f"{type(model).__name__}: the items' {getattr(layer, 'contents', 'attributes')} were never filled in "
                f"(table {layer.name!r}): call adapt(data_dir, manifest, split) or load weights first"
            )
