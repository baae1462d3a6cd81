import keras
import numpy as np
import pytest

from tfrecs.models.atrank.behaviours import DAY, BehaviourEmbedding, GroupProjection, time_buckets


def test_time_buckets_double():
    now, days = np.array([10**9]), np.array([-3, 0, 0.99, 1, 1.99, 2, 3.99, 4, 8, 15.9, 16, 4000])
    times = now - np.round(days * DAY).astype(np.int64)
    found = time_buckets(times[None], now, 6).numpy()[0]
    assert found.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5]
    found = time_buckets(times[None], now, 3, time_unit=2 * DAY)
    assert found.numpy()[0].tolist() == [0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("time", ["embedding", "one_hot"])
def test_each_group_has_its_projection(time):
    layer = BehaviourEmbedding(3, 4, num_groups=2, num_actions=2, action_dim=2, time=time, time_dim=5, num_buckets=3)
    objects = np.random.default_rng(0).normal(size=(1, 4, 3)).astype(np.float32)
    groups, actions, buckets = np.array([[1, 2, 2, 1]]), np.array([[1, 2, 0, 1]]), np.array([[0, 2, 7, -1]])
    found = layer(objects, groups, actions, buckets).numpy()[0]
    table = layer.buckets.numpy() if time == "embedding" else np.tile(np.eye(3), (2, 1))
    last = 5 if time == "embedding" else None  # bucket 7 of 3: the last one, or no feature
    for position, row in enumerate((0, 5, last, None)):
        moment = np.zeros(table.shape[1]) if row is None else table[row]
        action = np.zeros(2) if not actions[0, position] else layer.actions.numpy()[actions[0, position]]
        dense = layer.projection.layers[groups[0, position] - 1]
        features = np.concatenate([objects[0, position], action, moment])
        np.testing.assert_allclose(found[position], features @ dense.kernel.numpy() + dense.bias.numpy(), atol=1e-6)


def test_time_added_through_tanh():
    layer = BehaviourEmbedding(2, 2, time="tanh")
    layer.projection.kernel.assign([[0.5, -1.0]])
    ids = np.array([[3, 0, -1]])
    found = layer(np.ones((1, 3, 2), np.float32), ids, ids, ids).numpy()[0]
    expected = [[1 + np.tanh(1.5), 1 + np.tanh(-3.0)], [1, 1], [1, 1]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_group_that_does_not_exist_gives_zeros():
    layer = GroupProjection(2, 3, 4)
    for dense in layer.layers:
        dense.bias.assign(np.ones(4))
    assert not layer(np.ones((1, 1, 3)), np.array([[0]])).numpy().any()


@pytest.mark.parametrize("layer", [GroupProjection(2, 3, 4), BehaviourEmbedding(3, 4, 2, 2, 2, "one_hot")])
def test_config_round_trip(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    config = keras.saving.serialize_keras_object(layer)
    assert keras.saving.deserialize_keras_object(config).get_config() == layer.get_config()
