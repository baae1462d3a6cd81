"""Records serialised at once are those that protobuf serialises one by one, byte for byte."""

import numpy as np
import pytest
import tensorflow as tf

from tfrecs.data import examples, records


def rows_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def by_protobuf(features, index):
    """One record of the features, as protobuf serialises it."""
    feature = {}
    for name, (values, row_splits) in features.items():
        value = values[row_splits[index] : row_splits[index + 1]]
        if np.issubdtype(values.dtype, np.floating):
            feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=value))
        else:
            feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=value))
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def check(features, count):
    data, splits = examples.serialize(features)
    assert splits[0] == 0 and splits[-1] == len(data) and len(splits) == count + 1
    for index in range(count):
        assert data[splits[index] : splits[index + 1]] == by_protobuf(features, index)


@pytest.mark.parametrize("low, high", [(0, 1), (1, 128), (-3, 300), (2**31 - 9, 2**31), (-(2**63), 2**63 - 1)])
@pytest.mark.parametrize("longest", [2, 40, 5000])
def test_random_sequences(low, high, longest):
    random = np.random.default_rng([high - low, longest])
    count = 12
    row_splits = rows_of(random.integers(0, longest, count))
    item = random.integers(low, high, row_splits[-1], dtype=np.int64)
    features = {
        "user": (random.integers(low, high, count, dtype=np.int64), np.arange(count + 1)),
        "item": (item, row_splits),
        "rating": (random.normal(scale=1e9, size=len(item)).astype(np.float32), row_splits),
        "action": (item % 3, row_splits),
    }
    check(features, count)


def test_empty_sequences_between_others():
    row_splits = rows_of([0, 2, 0, 0, 1, 0])
    numbers = np.array([127, 128, -1])
    check({"item": (numbers, row_splits), "rating": (numbers.astype(np.float32), row_splits)}, 6)


def test_every_length_of_a_number():
    numbers = np.array(
        [0] + [2**bits + step for bits in range(7, 63, 7) for step in (-1, 0)] + [2**63 - 1, -1, -(2**63)]
    )
    check({"item": (numbers, np.array([0, len(numbers)]))}, 1)
    check({"item": (numbers, np.arange(len(numbers) + 1))}, len(numbers))


def test_floats_that_are_no_numbers():
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32)
    check({"rating": (values, np.array([0, 2, 5]))}, 2)


def test_lengths_that_need_more_bytes_and_names_in_byte_order():
    """Names of more than 127 bytes, and beyond ASCII."""
    names = ["b", "B", "é", "a" * 200, "😀", "\uffee"]
    check({name: (np.arange(9), np.array([0, 4, 9])) for name in names}, 2)


def test_no_records():
    data, splits = examples.serialize({"item": (np.zeros(0, np.int64), np.zeros(1, np.int64))})
    assert data == b"" and splits.tolist() == [0]


@pytest.mark.parametrize("count", [1, 3])
def test_blocks_of_users_and_single_users_give_the_same_shards(tmp_path, count):
    random = np.random.default_rng(count)
    users = np.arange(1, 31)
    row_splits = rows_of(random.integers(1, 9, len(users)))
    splits = random.integers(0, 9, (len(users), 2))
    rows = row_splits[-1]
    sequences = {
        "item": random.integers(1, 1000, rows).astype(np.int32),
        "timestamp": random.integers(-9, 2**40, rows),
        "rating": random.integers(1, 11, rows) / 2,
    }
    (tmp_path / "blocks").mkdir()
    (tmp_path / "single").mkdir()
    with records.ShardWriter(str(tmp_path / "blocks"), count) as blocks:
        for part in (slice(0, 7), slice(7, 30)):
            begin, end = row_splits[part.start], row_splits[part.stop]
            of_part = {name: values[begin:end] for name, values in sequences.items()}
            part_splits = row_splits[part.start : part.stop + 1] - begin
            blocks.write_block(users[part], splits[part], part_splits, of_part)
    with records.ShardWriter(str(tmp_path / "single"), count) as single:
        for index, user in enumerate(users.tolist()):
            here = slice(row_splits[index], row_splits[index + 1])
            sequence = {name: values[here] for name, values in sequences.items()}
            single.write(user, tuple(splits[index].tolist()), sequence)
    assert blocks.shards == single.shards
