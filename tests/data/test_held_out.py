"""Held-out items never inform training: not the examples, not the negatives, not the counts."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfrecs.data import statistics, training_batches
from tfrecs.models.attrec import AttRec
from tfrecs.models.presets import PRESETS

NUM_ITEMS = 8
TRAINING = {1: [1, 2, 3, 4], 2: [5], 3: [6, 6, 2, 8, 1], 4: [3, 4], 5: [7, 1, 2]}
ITEM = st.integers(1, NUM_ITEMS)
HELD_OUT = st.fixed_dictionaries({user: st.tuples(ITEM, ITEM) for user in TRAINING})


@pytest.fixture(scope="module")
def read(prepare):
    """`f(held_out, exclude_held_out, distribution)` gives what training sees, as bytes."""

    def run(held_out, exclude_held_out, distribution="uniform"):
        sequences = {
            user: ((len(items), len(items) + 1), items + list(held_out[user])) for user, items in TRAINING.items()
        }
        directory, manifest = prepare(sequences, NUM_ITEMS)
        weights = statistics.sampling_weights(directory, manifest, distribution)
        model = AttRec(len(TRAINING), NUM_ITEMS, embedding_dim=2, max_history=3, num_negatives=20)
        batches = training_batches.TrainingBatches(
            directory,
            manifest,
            model.training_examples,
            weights=weights,
            batch_size=4,
            seed=5,
            exclude_held_out=exclude_held_out,
        )
        return [
            *(value.numpy().tobytes() for batch in batches() for _, value in sorted(batch.items())),
            weights.tobytes(),
            statistics.item_counts(directory, manifest).tobytes(),
            np.unique(statistics.transition_pairs(directory, manifest), axis=0).tobytes(),
        ]

    return run


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(HELD_OUT, st.sampled_from(statistics.DISTRIBUTIONS))
def test_changing_held_out_items_changes_no_byte_of_training(read, held_out, distribution):
    fixed = {user: (5, 7) for user in TRAINING}
    exclude = PRESETS["attrec"]["recommended"]["model"].get("negatives_exclude_held_out", False)
    assert read(held_out, exclude, distribution) == read(fixed, exclude, distribution)


@pytest.mark.slow
def test_the_leak_of_the_original_is_seen_by_this_test(read):
    """The same comparison fails where negatives avoid held-out items, as the published code's do."""
    fixed, other = {user: (5, 7) for user in TRAINING}, {user: (6, 8) for user in TRAINING}
    assert PRESETS["attrec"]["original"]["model"]["negatives_exclude_held_out"]
    assert read(other, exclude_held_out=True) != read(fixed, exclude_held_out=True)
    assert read(other, exclude_held_out=False) == read(fixed, exclude_held_out=False)
