import hashlib

import numpy as np
import pyarrow as pa
import pytest

from data_prep.engines import local
from tfrecs.errors import InputError

# Out of order in time; user b before user a; two rows of user b at the same second.
ROWS = [
    ("b", "y", 50, 4.0, "buy"),
    ("b", "x", 50, 3.5, "view"),
    ("a", "z", 9, 1.0, "view"),
    ("b", "z", 10, 5.0, "view"),
    ("a", "x", 8, 2.0, "view"),
]
FIELDS = ("timestamp", "rating", "action")


def digests(directory):
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_records_by_hand(run_engine, read_records):
    result, directory = run_engine(ROWS, FIELDS)
    fields = ("item", *FIELDS)
    # Items x y z are 1 2 3, actions buy view are 1 2; a tie in time keeps the order of the log.
    assert read_records(directory, fields) == {
        1: ([1, 1], {"item": [1, 3], "timestamp": [8, 9], "rating": [2, 1], "action": [2, 2]}),
        2: (
            [1, 2],
            {
                "item": [3, 2, 1],
                "timestamp": [10, 50, 50],
                "rating": [5, 4, 3.5],
                "action": [2, 1, 2],
            },
        ),
    }
    assert (result["num_users"], result["num_items"], result["num_interactions"]) == (2, 3, 5)
    assert (directory / "vocab" / "user.txt").read_bytes() == b"a\nb\n"
    assert (directory / "vocab" / "action.txt").read_bytes() == b"buy\nview\n"
    assert not (directory / "work").exists()


def test_without_timestamps_the_log_is_in_order(run_engine, read_records):
    rows = [("u", item) for item in "hgfedcba"] + [("t", "a")]
    _, directory = run_engine(rows)
    assert read_records(directory, ("item",)) == {
        1: ([1, 1], {"item": [1]}),
        2: ([6, 7], {"item": [8, 7, 6, 5, 4, 3, 2, 1]}),
    }


def test_ids_are_in_byte_order(run_engine):
    # In UTF-16 or in a locale the order would differ.
    tokens = ["\U0001f600", "\uffee", "é", "z", "a", "Z", "10", "9"]
    _, directory = run_engine([("u", token) for token in tokens])
    expected = b"".join(sorted(token.encode() + b"\n" for token in tokens))
    assert (directory / "vocab" / "item.txt").read_bytes() == expected


def test_ids_are_dense_after_filters(run_engine, read_records):
    rows = [("a", "p"), ("b", "q"), ("b", "s"), ("c", "q"), ("c", "r"), ("c", "s")]
    result, directory = run_engine(rows, min_user_interactions=2, min_item_interactions=2)
    assert result["counts"]["rows_dropped"] == {
        "min_user_interactions": 1,
        "min_item_interactions": 1,
    }
    assert (directory / "vocab" / "item.txt").read_text() == "q\ns\n"
    assert read_records(directory, ("item",)) == {
        1: ([1, 1], {"item": [1, 2]}),
        2: ([1, 1], {"item": [1, 2]}),
    }


def test_same_bytes_whatever_the_chunks(run_engine, monkeypatch):
    random = np.random.default_rng(0)
    rows = [
        (f"u{random.integers(30)}", f"i{random.integers(50)}", int(random.integers(40)), 1.0, "view")
        for _ in range(700)
    ]
    tags = pa.table({"item": ["i1", "i3", "i1"], "value": ["new", "old", "big"]})
    attributes = {"attributes": {"tags": "list"}}

    def run(chunk, tables):
        pairs = [("tags", table) for table in tables]
        return run_engine(rows, FIELDS, chunk, **attributes, attribute_chunks=pairs)

    first, first_directory = run(700, [tags])
    monkeypatch.setattr(local, "ROWS_PER_BATCH", 7)
    second, second_directory = run(13, [tags.slice(0, 1), tags.slice(1)])
    assert len(digests(first_directory)) == 7
    assert digests(first_directory) == digests(second_directory)
    assert first == second


def test_a_filter_that_drops_nothing_changes_no_byte(run_engine):
    """Filters work on a table of the rows; without any, the rows are read once, from the log."""
    _, plain = run_engine(ROWS, FIELDS)
    for limits in ({"min_rating": 1}, {"keep_fraction": 0.999999999999}, {"min_user_interactions": 2}):
        result, filtered = run_engine(ROWS, FIELDS, **limits)
        assert set(result["counts"]["rows_dropped"].values()) == {0}
        assert digests(filtered) == digests(plain)


def test_attribute_table_by_hand(run_engine):
    brands = pa.table({"item": ["y", "x", "x", "gone"], "value": ["B", "C", "A", "D"]})
    tags = pa.table({"item": ["y", "y", "y", "z"], "value": ["q", "p", "q", "p"]})
    result, directory = run_engine(
        ROWS,
        FIELDS,
        attributes={"brand": "token", "tags": "list"},
        attribute_chunks=[("brand", brands), ("tags", tags)],
    )
    with np.load(directory / "item_attributes.npz") as table:
        content = {name: table[name].tolist() for name in table.files}
    # Rows: PAD, x, y, z. A token keeps its first value, a list its order, without repeats.
    assert content == {
        "brand/values": [2, 1],
        "brand/row_splits": [0, 0, 1, 2, 2],
        "tags/values": [2, 1, 1],
        "tags/row_splits": [0, 0, 0, 2, 3],
    }
    assert (directory / "vocab" / "brand.txt").read_text() == "B\nC\n"
    digest = hashlib.sha256((directory / "item_attributes.npz").read_bytes()).hexdigest()
    assert result["attributes_sha256"] == digest
    without = {"brand": 1, "tags": 1}
    assert result["counts"]["item_attributes"] == {"items_not_in_log": 1, "items_without": without}


def test_dropped_items_are_not_unknown_ones(run_engine):
    """Of the items with attributes, only those that the whole log lacks are counted as such."""
    rows = [("u", "x"), ("u", "x"), ("v", "y")]
    tables = [pa.table({"item": [item] * 2, "value": ["a", "b"]}) for item in ("x", "y", "z", "w", "z")]
    result, directory = run_engine(
        rows,
        attributes={"tags": "list"},
        attribute_chunks=[("tags", table) for table in tables],
        min_item_interactions=2,
    )
    assert (directory / "vocab" / "item.txt").read_text() == "x\n"
    assert result["counts"]["item_attributes"] == {"items_not_in_log": 2, "items_without": {"tags": 0}}


def test_attribute_without_any_value_is_left_out(run_engine):
    tables = [("tags", pa.table({"item": ["x"], "value": ["a"]})), ("brand", pa.table({"item": ["q"], "value": ["b"]}))]
    attributes = {"tags": "list", "brand": "token"}
    result, directory = run_engine(ROWS, FIELDS, attributes=attributes, attribute_chunks=tables)
    assert "tags" in result["vocabularies"] and "brand" not in result["vocabularies"]
    with np.load(directory / "item_attributes.npz") as table:
        assert set(table.files) == {"tags/values", "tags/row_splits"}
    assert result["counts"]["item_attributes"]["items_without"] == {"tags": 2, "brand": 3}
    result, directory = run_engine(ROWS, FIELDS, attributes={"brand": "token"}, attribute_chunks=tables[1:])
    assert result["attributes_sha256"] is None
    assert not (directory / "item_attributes.npz").exists()


@pytest.mark.parametrize("name", ["../tags", "a/b", "", ".tags", "a b"])
def test_attribute_names_name_files(run_engine, name):
    with pytest.raises(InputError, match="item attribute .*expected up to 100 letters"):
        run_engine(ROWS, FIELDS, attributes={name: "list"})


def test_attribute_may_not_hide_a_vocabulary(run_engine):
    with pytest.raises(InputError, match="'action'"):
        run_engine(ROWS, FIELDS, attributes={"action": "list"})


def test_empty_attribute_value(run_engine):
    chunk = ("tags", pa.table({"item": ["x"], "value": [""]}))
    with pytest.raises(InputError, match="tags: a token must not be empty"):
        run_engine(ROWS, FIELDS, attributes={"tags": "list"}, attribute_chunks=[chunk])


def test_sorts_by_time_within_users(run_engine, read_records):
    """Rows in descending time come out ascending, items still beside their times."""
    rows = [(f"u{n % 7}", f"i{n % 11}", 1000 - n) for n in range(1000)]
    _, directory = run_engine(rows, ("timestamp",), chunk=400)
    for _, sequence in read_records(directory, ("item", "timestamp")).values():
        assert sequence["timestamp"] == sorted(sequence["timestamp"])
        assert [f"i{(1000 - t) % 11}" for t in sequence["timestamp"]] == [
            sorted(f"i{n}" for n in range(11))[item - 1] for item in sequence["item"]
        ]
