"""The embedded default: a seeded generator of a log with planted structure, made in seconds.

`sample_process` says how items follow each other. On top of it: ratings 1 to 5 follow taste, gaps
are short within a run and long before a change of mind, actions follow ratings, and an item has
the attributes `category` (one token) and `tags` (a list: the two stretches of the ring that contain it).

With `--kinds 1` the data set `sample-kinds` is made instead: the same items among queries and coupons, told apart by
the attribute `kind`; `sample_kinds` says how. It has no ratings.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from data_prep.generator import sample_kinds, sample_process
from data_prep.generator.sample_kinds import Catalogue
from data_prep.generator.sample_process import Process
from data_prep.readers.log import FIELDS, Log
from tfrecs.errors import InputError, option

TRANSITION = 0.78
ITEMS_PER_CATEGORY = 50
ITEMS_PER_TAG = 10
ORACLE_USERS = 2000
FIRST_TIMESTAMP = 1_500_000_000
ACTIONS = pa.array(["view", "cart", "buy", "search", "receive"])
# Chance of view, cart, buy by rating 1 to 5.
ACTION_ENDS = np.cumsum([[0.9, 0.08], [0.8, 0.15], [0.65, 0.2], [0.45, 0.25], [0.3, 0.2]], axis=1)
# Users drawn from one random stream; part of the definition of the data.
BLOCK = 4096


def open_log(name: str, options: Mapping[str, Any]) -> Log:
    """Prepares the generator; nothing is drawn before `chunks` is read.

    Args:
        name: str, `sample`.
        options: dict, as `data_prep.sources.options.SAMPLE`.

    Returns:
        a `data_prep.readers.log.Log`.

    Raises:
        InputError: too few items for the length, as no item repeats within a user.

    Example:
        >>> options = {"num_users": 2, "num_items": 60, "mean_length": 4, "seed": 1, "kinds": 0}
        >>> log = open_log("sample", options)
        >>> [table.num_rows for table, _ in log.chunks()]
        [8]
    """
    longest = _length_range(options["mean_length"])[1]
    if options["num_items"] < 4 * longest:
        raise InputError(
            f"{option('num_items')} {options['num_items']}: at least {4 * longest} are needed, four times "
            f"the longest sequence of {option('mean_length')} {options['mean_length']}"
        )
    process = sample_process.Process.create(options["num_items"], ITEMS_PER_CATEGORY, TRANSITION, options["seed"])
    tokens = item_tokens(options["num_items"], options["seed"])
    if options["kinds"]:
        catalogue = sample_kinds.Catalogue.create(process)
        return Log(
            name=f"{name}-kinds",
            fields=("timestamp", "action"),
            chunks=lambda: _chunks_of_kinds(catalogue, options),
            provenance={"transition": TRANSITION},
            attributes={"kind": "token", "category": "token", "tags": "list"},
            attribute_chunks=lambda: _attributes_of_kinds(catalogue, tokens, options["seed"]),
            oracle=lambda: _oracle_of_kinds(catalogue, options),
            num_rows=options["num_users"] * options["mean_length"],
        )
    return Log(
        name=name,
        fields=FIELDS,
        chunks=lambda: _chunks(process, tokens, options),
        provenance={"transition": TRANSITION},
        attributes={"category": "token", "tags": "list"},
        attribute_chunks=lambda: _attribute_chunks(process, tokens),
        oracle=lambda: _oracle(process, options),
        num_rows=options["num_users"] * options["mean_length"],
    )


def item_tokens(num_items: int, seed: int, prefix: str = "i", stream: int = 1) -> pa.Array:
    """Arrow strings naming the items in an order that gives nothing away.

    Example:
        >>> sorted(item_tokens(3, 7).to_pylist())
        ['i0', 'i1', 'i2']
    """
    numbers = np.random.default_rng([seed, stream]).permutation(num_items)
    width = len(str(num_items - 1))
    return pa.array([f"{prefix}{number:0{width}d}" for number in numbers])


def generate_block(process: Process, options: Mapping[str, Any], block: int) -> dict[str, np.ndarray]:
    """Draws one block of users.

    Args:
        process: a `sample_process.Process`.
        options: dict, as `data_prep.sources.options.SAMPLE`.
        block: int, the block's number; users from `block * BLOCK`.

    Returns:
        dict of arrays with a row per user: `favourites`, `weights`, `length`, and
        `[users, longest]`: `items` (-1 behind the end), `ratings`, `timestamps`, `actions`.
    """
    random = np.random.default_rng([options["seed"], 2, block])
    num_users = min(BLOCK, options["num_users"] - block * BLOCK)
    shortest, longest = _length_range(options["mean_length"])
    length = random.integers(shortest, longest + 1, num_users)
    favourites, weights = process.tastes(random, num_users)
    items, continued = sample_process.draw_items(process, random, length, favourites, weights)
    ratings = _ratings(process, random, items, favourites, weights)
    gap_scale = np.where(continued, 300.0, 86_400.0)
    gaps = 1 + (gap_scale * random.exponential(size=items.shape)).astype(np.int64)
    gaps[:, 0] += random.integers(0, 180 * 86_400, num_users)
    chance = random.random(items.shape)[:, :, None]
    return {
        "favourites": favourites,
        "weights": weights,
        "length": length,
        "items": items,
        "ratings": ratings,
        "timestamps": FIRST_TIMESTAMP + np.cumsum(gaps, axis=1),
        "actions": (chance > ACTION_ENDS[ratings - 1]).sum(axis=2),
    }


def _ratings(
    process: Process, random: np.random.Generator, items: np.ndarray, favourites: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Whole stars: the taste for the item's category, the item's quality, and chance."""
    category = process.category[items]
    taste = ((category[:, :, None] == favourites[:, None]) * weights[:, None]).sum(axis=2)
    quality = np.sin(items * 12.9898)
    stars = 2.3 + 2.5 * np.minimum(taste, 0.8) + 0.6 * quality
    stars += random.normal(0.0, 0.5, items.shape)
    return np.clip(np.rint(stars), 1, 5).astype(np.int64)


def _chunks(process: Process, tokens: pa.Array, options: Mapping[str, Any]) -> Iterator[tuple[pa.Table, float]]:
    width = len(str(options["num_users"] - 1))
    num_blocks = -(-options["num_users"] // BLOCK)
    for block in range(num_blocks):
        drawn = generate_block(process, options, block)
        numbers = range(block * BLOCK, block * BLOCK + len(drawn["length"]))
        users = pa.array([f"u{number:0{width}d}" for number in numbers])
        here = drawn["items"] >= 0
        columns = {
            "user": users.take(pa.array(np.repeat(np.arange(len(users)), drawn["length"]))),
            "item": tokens.take(pa.array(drawn["items"][here])),
            "timestamp": drawn["timestamps"][here],
            "rating": drawn["ratings"][here].astype(np.float64),
            "action": ACTIONS.take(pa.array(drawn["actions"][here])),
        }
        yield pa.table(columns), (block + 1) / num_blocks


def _events(
    catalogue: Catalogue, options: Mapping[str, Any], block: int
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """A block's events by user, and what was drawn of the users."""
    drawn = generate_block(catalogue.process, options, block)
    gaps = np.diff(drawn["timestamps"], axis=1, prepend=FIRST_TIMESTAMP)
    columns = (drawn["items"].astype(np.int64), drawn["actions"], gaps)
    cut = [[row[:length] for row, length in zip(rows, drawn["length"], strict=True)] for rows in columns]
    random = np.random.default_rng([options["seed"], 3, block])
    return sample_kinds.draw_events(catalogue, random, *cut), drawn


def _chunks_of_kinds(catalogue: Catalogue, options: Mapping[str, Any]) -> Iterator[tuple[pa.Table, float]]:
    width = len(str(options["num_users"] - 1))
    num_blocks = -(-options["num_users"] // BLOCK)
    tokens = pa.concat_arrays(_tokens_of_kinds(catalogue, options["seed"]))
    for block in range(num_blocks):
        events, _ = _events(catalogue, options, block)
        users = pa.array([f"u{number:0{width}d}" for number in range(block * BLOCK, block * BLOCK + len(events))])
        objects, actions, _ = np.concatenate(events).T
        columns = {
            "user": users.take(pa.array(np.repeat(np.arange(len(users)), [len(row) for row in events]))),
            "item": tokens.take(pa.array(objects)),
            "timestamp": np.concatenate([FIRST_TIMESTAMP + np.cumsum(row[:, 2]) for row in events]),
            "action": ACTIONS.take(pa.array(actions)),
        }
        yield pa.table(columns), (block + 1) / num_blocks


def _tokens_of_kinds(catalogue: Catalogue, seed: int) -> list[pa.Array]:
    """Arrow strings naming the objects, an array for each kind."""
    parts = zip(catalogue.counts, sample_kinds.KINDS, (1, 4, 5), strict=True)
    return [item_tokens(count, seed, kind[0], stream) for count, kind, stream in parts]


def _attributes_of_kinds(catalogue: Catalogue, tokens: pa.Array, seed: int) -> Iterator[tuple[str, pa.Table]]:
    of_kinds = _tokens_of_kinds(catalogue, seed)
    for kind, names in zip(sample_kinds.KINDS, of_kinds, strict=True):
        yield "kind", pa.table({"item": names, "value": pa.array([kind] * len(names))})
    yield from _attribute_chunks(catalogue.process, tokens)
    categories = pa.array([f"category-{number}" for number in catalogue.category_of_coupons()])
    yield "category", pa.table({"item": of_kinds[2], "value": categories})


def _oracle_of_kinds(catalogue: Catalogue, options: Mapping[str, Any]) -> dict[str, float]:
    """The process's own ranking, for the last event of at most `ORACLE_USERS` users."""
    events, drawn = _events(catalogue, options, 0)
    users = list(zip(events, drawn["favourites"], drawn["weights"], strict=True))
    return sample_kinds.expected_metrics(catalogue, users[:ORACLE_USERS])


def _attribute_chunks(process: Process, tokens: pa.Array) -> Iterator[tuple[str, pa.Table]]:
    category = process.category
    categories = pa.array([f"category-{number}" for number in range(len(process.first))])
    yield "category", pa.table({"item": tokens, "value": categories.take(pa.array(category))})
    # A tag covers a stretch of two steps, so an item shares a tag with either neighbouring stretch.
    stretch = (np.arange(len(category)) - process.first[category]) // ITEMS_PER_TAG
    stretches = -(-process.size[category] // ITEMS_PER_TAG)
    pairs = np.stack([stretch, (stretch + 1) % stretches], axis=1)
    item = np.repeat(np.arange(len(category)), 2)
    parts = zip(category[item], pairs.ravel(), strict=True)
    values = [f"category-{number}-part-{part}" for number, part in parts]
    yield "tags", pa.table({"item": tokens.take(pa.array(item)), "value": values})


def _oracle(process: Process, options: Mapping[str, Any]) -> dict[str, float]:
    """The process's own ranking, for the last item of at most `ORACLE_USERS` users."""
    drawn = generate_block(process, options, 0)
    count = min(ORACLE_USERS, len(drawn["length"]))
    histories = [drawn["items"][user, : drawn["length"][user] - 1].astype(np.int64) for user in range(count)]
    return sample_process.expected_metrics(process, histories, drawn["favourites"][:count], drawn["weights"][:count])


def _length_range(mean_length: int) -> tuple[int, int]:
    """The shortest and longest sequence; lengths are uniform between them."""
    spread = mean_length // 4
    return mean_length - spread, mean_length + spread
