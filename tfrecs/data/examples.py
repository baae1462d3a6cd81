"""Serialised `tf.train.Example`s of many records at once: protobuf's wire format, built with NumPy."""

from collections.abc import Mapping, Sequence

import numpy as np

# What each record has of something: the bytes of all records one after the other, and how many each record has.
Part = tuple[np.ndarray, np.ndarray]

# Tags of protobuf: the number of a field, and that its length follows.
FIRST, SECOND, THIRD = b"\x0a", b"\x12", b"\x1a"
FLOAT_LIST, INT64_LIST = SECOND, THIRD
PAYLOAD_BITS = np.uint64(7)
CONTINUED = np.uint8(0x80)


def serialize(features: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> tuple[bytes, np.ndarray]:
    """Serialises records as `tf.train.Example` does with `deterministic=True`, byte for byte.

    Args:
        features: dict of a feature's name to `(values, row_splits)`: 1-D arrays, the values of record r are
            `values[row_splits[r] : row_splits[r + 1]]`. Floating values become a list of floats, others one of int64.

    Returns:
        `(data, splits)`: the records one after the other, and int64 `[records + 1]`, where each begins and ends.

    Example:
        >>> data, splits = serialize({"item": (np.array([5, 6, 7]), np.array([0, 2, 3]))})
        >>> splits.tolist(), data[: splits[1]].hex()
        ([0, 18, 35], '0a100a0e0a046974656d12061a040a020506')
    """
    entries: list[Part] = []
    for name in sorted(features, key=str.encode):
        values, row_splits = features[name]
        is_floating = np.issubdtype(values.dtype, np.floating)
        numbers = _packed(_floats(values, row_splits) if is_floating else _integers(values, row_splits))
        feature = _message(FLOAT_LIST if is_floating else INT64_LIST, numbers)
        key = name.encode()
        label = _repeated(FIRST + _varints(np.array([len(key)]))[0].tobytes() + key, len(row_splits) - 1)
        entries += _message(FIRST, [label, *_message(SECOND, feature)])
    return _interleaved(_message(FIRST, entries))


def _varints(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers in protobuf's variable length: uint8 of all, and the number of bytes of each."""
    rest = values.astype(np.int64).view(np.uint64)
    width = max(1, -(-int(rest.max(initial=np.uint64(0))).bit_length() // 7))
    places = np.empty((len(rest), width), np.uint8)
    sizes = np.ones(len(rest), np.int64)
    for place in range(width):
        later = rest >> PAYLOAD_BITS
        goes_on = later != 0
        places[:, place] = (rest.astype(np.uint8) & ~CONTINUED) | (goes_on * CONTINUED)
        sizes += goes_on
        rest = later
    if (sizes == width).all():
        return places.ravel(), sizes
    return places[np.arange(width) < sizes[:, None]], sizes


def _integers(values: np.ndarray, row_splits: np.ndarray) -> Part:
    data, sizes = _varints(values)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return data, np.diff(ends[row_splits])


def _floats(values: np.ndarray, row_splits: np.ndarray) -> Part:
    return values.astype("<f4").view(np.uint8), 4 * np.diff(row_splits)


def _repeated(content: bytes, count: int) -> Part:
    return np.frombuffer(content * count, np.uint8), np.full(count, len(content))


def _message(tag: bytes, parts: Sequence[Part]) -> list[Part]:
    """The parts as the content of a field: tag and length come first."""
    lengths = np.sum([lengths for _, lengths in parts], axis=0)
    return [_repeated(tag, len(lengths)), _varints(lengths), *parts]


def _packed(numbers: Part) -> list[Part]:
    """The content of a list of numbers; an empty list has none."""
    is_full = numbers[1] > 0
    parts = []
    for data, sizes in _message(FIRST, [(numbers[0], numbers[1][is_full])])[:2]:
        lengths = np.zeros(len(is_full), np.int64)
        lengths[is_full] = sizes
        parts.append((data, lengths))
    return [*parts, numbers]


def _interleaved(parts: Sequence[Part]) -> tuple[bytes, np.ndarray]:
    """Every record's bytes of all parts, and where the records begin and end."""
    lengths = np.stack([lengths for _, lengths in parts], axis=1)
    ends = np.cumsum(lengths).reshape(lengths.shape)
    content = np.empty(ends[-1, -1] if len(ends) else 0, np.uint8)
    for (data, sizes), begins in zip(parts, (ends - lengths).T, strict=True):
        moved = begins - (np.cumsum(sizes) - sizes)
        content[np.repeat(moved, sizes) + np.arange(len(data))] = data
    return content.tobytes(), np.concatenate([[0], ends[:, -1]])
