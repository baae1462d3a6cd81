"""What ARERec reads of prepared data: ratings with their moments, and who rated an item first."""

import tensorflow as tf

from tfrecs.models import ranges
from tfrecs.models.arerec import neighbours
from tfrecs.models.arerec.arguments import CLASSES, MAX_SEQ, list_arguments
from tfrecs.models.arerec.random_split import held_out
from tfrecs.models.recommender import SequentialRecommender


class RatingRecommender(SequentialRecommender):
    """The part of `ARERec` that reads data; it sets `max_seq`, `rating_classes`, `neighbours` and the random split."""

    draws_negatives = False
    fields = ("item", "timestamp", "rating")
    smallest = {"num_users": 1, "num_items": 1, "num_units": 1}

    @classmethod
    def data_arguments(cls, data_dir, manifest, arguments, split="train"):
        """Also `num_units`: places for what `adapt` fills in of the same split.

        Raises:
            InputError: a rating of the data is none of `rating_classes`.
        """
        given = {"max_seq": MAX_SEQ, "rating_classes": CLASSES} | arguments
        ranges.check(given, {"max_seq": ranges.SIZE})
        classes = list_arguments(given, ["rating_classes"])["rating_classes"]
        kept = None
        if given.get("neighbours") == "all":
            split = "all"
        elif given.get("random_split"):
            share, seed = given["random_split"], given.get("random_split_seed", 0)
            kept = lambda users, items: tf.logical_not(held_out(users, items, share, seed))  # noqa: E731
        places = neighbours.count_units(data_dir, manifest, given["max_seq"], classes, split, kept)
        return super().data_arguments(data_dir, manifest, arguments) | {"num_units": 1 + places}

    def adapt(self, data_dir, manifest, split):
        """Fills the neighbour lists; see `SequentialRecommender.adapt`."""
        everything = self.neighbours == "all"
        found = neighbours.first_raters(
            data_dir, manifest, self.max_seq, "all" if everything else split, None if everything else self.trained_on
        )
        self.lists.fill(*found)

    def trained_on(self, users, items):
        """Which interactions the random split leaves to training, bool; arguments as for `random_split.held_out`."""
        return tf.logical_not(held_out(users, items, self.random_split, self.random_split_seed))

    def training_examples(self, sequences, draw, seed):
        """One example per rating of the training part."""
        item = sequences["item"]
        examples = {
            "user": tf.gather(sequences["user"], item.value_rowids()),
            "item": item.flat_values,
            "now": sequences["timestamp"].flat_values,
            "label": neighbours.rating_classes(sequences["rating"].flat_values, self.rating_classes),
        }
        kept = self.trained_on(examples["user"], examples["item"])
        return {name: tf.boolean_mask(value, kept) for name, value in examples.items()}

    def history_inputs(self, sequences):
        """User and moment; see `SequentialRecommender`."""
        return {name: sequences[name] for name in ("user", "now") if name in sequences}
