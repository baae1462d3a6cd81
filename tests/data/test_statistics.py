import pytest

from tfrecs.data import statistics
from tfrecs.errors import InputError

# train | valid | test: [1 2 2] [3] [1], [2] [2] [], [] [] [4]
SEQUENCES = {1: ((3, 4), [1, 2, 2, 3, 1]), 2: ((1, 2), [2, 2]), 3: ((0, 0), [4])}


@pytest.fixture(scope="module")
def data(prepare):
    return prepare(SEQUENCES, 4)


@pytest.mark.parametrize("split, counts", [("train", [0, 1, 3, 0, 0]), ("train_valid", [0, 1, 4, 1, 0])])
def test_item_counts(data, split, counts):
    assert statistics.item_counts(*data, split).tolist() == counts


def test_sampling_weights(data):
    assert statistics.sampling_weights(*data, "uniform").tolist() == [0, 1, 1, 1, 1]
    assert statistics.sampling_weights(*data, "uniform", include_pad=True).tolist() == [1, 1, 1, 1, 1]
    assert statistics.sampling_weights(*data, "popularity").tolist() == [0, 1, 3, 0, 0]
    assert statistics.sampling_weights(*data, "popularity", "train_valid").tolist() == [0, 1, 4, 1, 0]


def test_unknown_distribution(data):
    with pytest.raises(InputError, match="^distribution: unknown value 'popular'; did you mean 'popularity'"):
        statistics.sampling_weights(*data, "popular")


@pytest.mark.parametrize(
    "split, pairs", [("train", [(1, 2), (2, 2)]), ("train_valid", [(1, 2), (2, 2), (2, 2), (2, 3)])]
)
def test_transitions_do_not_cross_users(data, split, pairs):
    assert sorted(map(tuple, statistics.transition_pairs(*data, split).tolist())) == pairs
