"""The best items of a catalogue in which some scores are no numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrecs.errors import NotFiniteError
from tfrecs.models.attrec import AttRec
from tfrecs.models.scoring import best_items

NAN, INF = np.nan, np.inf
SCORES = tf.constant([[0.3, NAN, 0.9, 0.1], [0.1, 0.2, 0.3, 0.4], [NAN, NAN, NAN, NAN], [0.1, -INF, INF, 0.2]])


@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("chunk_size", [1, 3, 65536])
def test_what_is_no_number_is_never_among_the_best(chunk_size, jit_compile):
    def best():
        return best_items(lambda ids: tf.gather(SCORES, ids - 1, axis=1), 4, 4, chunk_size=chunk_size)

    items, scores, sound = (best if jit_compile is None else tf.function(best, jit_compile=jit_compile))()
    assert items.numpy().tolist() == [[3, 1, 4, 0], [4, 3, 2, 1], [0, 0, 0, 0], [4, 1, 0, 0]]
    assert np.isneginf(scores.numpy()[items.numpy() == 0]).all() and sound.numpy().tolist() == [
        False,
        True,
        False,
        False,
    ]


@pytest.fixture
def model():
    """Of item 3 the vector is NaN, as of a checkpoint that was written over."""
    model = AttRec(num_users=4, num_items=6, embedding_dim=4)
    vectors = model.items_long.embeddings.numpy()
    vectors[3] = NAN
    model.items_long.embeddings.assign(vectors)
    return model


INPUTS = {"user": tf.constant([1, 2], tf.int64), "history": tf.constant([[1, 2], [4, 0]], tf.int64)}


def test_recommendations_stop_at_a_nan(model):
    message = "AttRec: NaN or infinite scores for 2 of 2 users"
    with pytest.raises(NotFiniteError, match=message):
        model.recommend(INPUTS, k=2)
    with pytest.raises(NotFiniteError, match=message):
        model.recommend(INPUTS, k=2, excluded=tf.constant([[3], [3]]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="AttRec: NaN or infinite scores"):
        tf.function(lambda: model.recommend(INPUTS, k=2))()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_keras_evaluation_stops_at_a_nan(model, jit_compile):
    model.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=jit_compile)
    held_out = INPUTS | {"target": tf.constant([5, 5], tf.int64), "seen": tf.zeros([2, 1], tf.int64)}
    batches = tf.data.Dataset.from_tensors(held_out)
    with pytest.raises(NotFiniteError, match="AttRec: NaN or infinite scores for 2 of 2 users"):
        model.evaluate(batches, verbose=0)
    examples = {"targets": tf.constant([[1, 2, 4]] * 2), "negatives": tf.constant([[5] * 10] * 2)}
    with pytest.raises(NotFiniteError, match="AttRec"):
        model.fit(tf.data.Dataset.from_tensors(INPUTS | examples), validation_data=batches, verbose=0)


def test_rows_of_weight_zero_count_nothing(model):
    """The last batch of several replicas is filled up with such rows."""
    model.compile(optimizer="sgd")
    vectors = model.users.embeddings.numpy()
    model.items_long.embeddings.assign(np.nan_to_num(model.items_long.embeddings))
    vectors[2] = NAN
    model.users.embeddings.assign(vectors)
    held_out = INPUTS | {"target": tf.constant([5, 5], tf.int64), "seen": tf.zeros([2, 1], tf.int64)}
    weighted = tf.data.Dataset.from_tensors((held_out, tf.zeros([2]), tf.constant([1.0, 0.0])))
    assert 0 < model.evaluate(weighted, verbose=0, return_dict=True)["mrr"] <= 1
