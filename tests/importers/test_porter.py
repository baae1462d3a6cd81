import keras
import numpy as np
import pytest

from tfrecs.errors import InputError
from tfrecs.importers.porter import Part, port


@pytest.fixture
def variable():
    return keras.Variable(np.arange(12.0).reshape(4, 3))


@pytest.mark.parametrize(
    "theirs",
    [
        lambda value: value,
        lambda value: value.T,
        lambda value: value[1:],
        lambda value: value[None, 1:3, ::2],
        lambda value: value[[0, 3, 1]].reshape(-1),
        lambda value: value[2, 1].reshape(()),
    ],
)
def test_a_part_is_written_where_it_is_read(variable, theirs):
    part, before = Part(variable, theirs), variable.numpy()
    assert part.shape == part.numpy().shape == theirs(before).shape
    new = np.random.default_rng(0).normal(size=part.shape).astype(np.float32)
    part.assign(new)
    np.testing.assert_array_equal(part.numpy(), new)
    untouched = np.ones(12, bool)
    untouched[theirs(np.arange(12).reshape(4, 3)).reshape(-1)] = False
    np.testing.assert_array_equal(variable.numpy().reshape(-1)[untouched], before.reshape(-1)[untouched])


def test_two_names_of_one_variable(variable):
    table = {"top": Part(variable, lambda value: value[:1]), "rest": Part(variable, lambda value: value[1:])}
    port({"top": np.zeros((1, 3)), "rest": np.ones((3, 3))}, table, "toy")
    np.testing.assert_array_equal(variable.numpy(), np.repeat([[0.0], [1.0]], [1, 3], axis=0) * np.ones(3))
    with pytest.raises(InputError, match=r"rest has shape \(4, 3\), the model expects \(3, 3\)"):
        port({"top": np.zeros((1, 3)), "rest": np.ones((4, 3))}, table, "toy")
