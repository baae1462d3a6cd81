import numpy as np
import pytest
import tensorflow as tf

from tfrecs.data.batching import by_length


def rows(lengths, width):
    history = [[row + 1] * length + [0] * (width - length) for row, length in enumerate(lengths)]
    return {"history": tf.constant(history), "user": tf.range(len(lengths))}


@pytest.mark.parametrize("batch_tokens", [1, 7, 20, 1000])
@pytest.mark.parametrize("size", [1, 2, 40])
def test_every_row_once_in_batches_of_like_length(batch_tokens, size):
    lengths = np.random.default_rng(size).integers(1, 9, size)
    batches = list(by_length(rows(lengths, 10), ["history"], batch_tokens, [3, 4]))
    seen = np.concatenate([batch["user"] for batch in batches])
    assert sorted(seen.tolist()) == list(range(size))
    spans = []
    for batch in batches:
        own = lengths[batch["user"].numpy()]
        history = batch["history"].numpy()
        assert history.shape == (len(own), own.max())
        assert (history > 0).sum(axis=1).tolist() == own.tolist()
        assert own.sum() - own[-1] < batch_tokens  # without its last row, a batch is not full
        spans.append((own.min(), own.max()))
    spans.sort()
    assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:], strict=False))


def test_order_depends_on_the_seed_only():
    def order(seed):
        batches = by_length(rows([1, 2, 3, 4, 5, 6, 7, 8], 8), ["history"], 2, seed)
        return [batch["user"].numpy().tolist() for batch in batches]

    assert order([1, 2]) == order([1, 2])
    assert len({str(order([seed, 0])) for seed in range(5)}) > 1


def test_no_rows_no_batches():
    empty = {"history": tf.zeros([0, 4], tf.int64), "user": tf.zeros([0], tf.int64)}
    assert not list(by_length(empty, ["history"], 5, [0, 0]))
