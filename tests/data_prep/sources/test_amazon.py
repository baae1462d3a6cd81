import gzip
import json

import numpy as np
import pytest

from data_prep.readers import json_lines
from data_prep.readers.log import BadLines
from data_prep.sources import amazon, options
from tfrecs.data import manifest as manifests
from tfrecs.errors import InputError

DEFAULTS = {name: option.default for name, option in options.AMAZON.items()}
REVIEWS = "reviews_Toys_5.json"
METADATA = "meta_Toys.json"
# (user, item, timestamp, rating); the last review comes twice, and both count.
ROWS = [("U1", "B", 20, 4.0), ("U2", "A", 7, 5.0), ("U1", "A", 10, 3.0), ("U1", "A", 10, 3.0)]
PRODUCTS = [
    {"asin": "A", "categories": [["Toys", "Cars"], ["Toys", "Games", "Cards"]], "brand": "  Ace ", "price": 1.5},
    {"asin": "B", "categories": [["Toys"]], "title": "it's", "brand": None},
    {"asin": "Z", "categories": [["Books"]], "brand": "Zed"},
]


def review(user, item, timestamp, rating):
    return {
        "reviewerID": user,
        "asin": item,
        "reviewText": "It's \u00e9",
        "overall": rating,
        "unixReviewTime": timestamp,
    }


@pytest.fixture
def raw(tmp_path):
    directory = tmp_path / "raw"
    directory.mkdir()
    (directory / REVIEWS).write_text("".join(json.dumps(review(*row)) + "\n" for row in ROWS))
    (directory / METADATA).write_text("".join(f"{product!r}\n" for product in PRODUCTS))
    return directory


def open_log(directory, **options):
    return amazon.open_log("amazon", DEFAULTS | {"raw_dir": str(directory)} | options)


def read(log):
    rows = [row for table, _ in log.chunks() for row in table.to_pylist()]
    return [(row["user"], row["item"], row["timestamp"], row["rating"]) for row in rows]


def attributes(log):
    found = {}
    for name, table in log.attribute_chunks():
        for row in table.to_pylist():
            found.setdefault(name, []).append((row["item"], row["value"]))
    return found


@pytest.mark.parametrize("write", [json.dumps, repr])
def test_both_dialects(raw, write):
    (raw / REVIEWS).write_text("".join(write(review(*row)) + "\n" for row in ROWS))
    (raw / METADATA).write_text("".join(write(product) + "\r\n\n" for product in PRODUCTS))
    log = open_log(raw)
    assert log.fields == ("timestamp", "rating")
    assert read(log) == ROWS
    assert log.attributes == {"categories": "list", "category": "token", "brand": "token"}
    assert attributes(log) == {
        "categories": [
            ("A", "Toys"),
            ("A", "Cars"),
            ("A", "Games"),
            ("A", "Cards"),
            ("B", "Toys"),
            ("Z", "Books"),
        ],
        "category": [("A", "Cards"), ("B", "Toys"), ("Z", "Books")],
        "brand": [("A", "Ace"), ("Z", "Zed")],
    }
    assert list(log.provenance["raw_files"]) == [REVIEWS, METADATA]


def test_end_to_end(raw, tmp_path, command, decoded):
    for name in (REVIEWS, METADATA):
        (raw / f"{name}.gz").write_bytes(gzip.compress((raw / name).read_bytes()))
        (raw / name).unlink()
    data_dir = tmp_path / "data"
    code, _, err = command("--dataset", "amazon", "--raw_dir", raw, "--out_dir", data_dir)
    assert code == 0
    assert "items with attributes that the log lacks, left out: 1" in err
    assert "items without a value: brand 1" in err
    assert decoded(str(data_dir)) == {
        "U1": ((1, 2), [("A", 10, 3), ("A", 10, 3), ("B", 20, 4)]),
        "U2": ((1, 1), [("A", 7, 5)]),
    }
    manifest = manifests.load(str(data_dir))
    assert manifest.attributes == {"categories": "list", "category": "token", "brand": "token"}
    with np.load(data_dir / "item_attributes.npz") as table:
        # Cards 1, Cars 2, Games 3, Toys 4; rows: PAD, A, B.
        assert table["categories/values"].tolist() == [4, 2, 3, 1, 4]
        assert table["categories/row_splits"].tolist() == [0, 0, 4, 5]
        assert table["category/values"].tolist() == [1, 2]
        assert table["brand/row_splits"].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "change, kind, message",
    [
        ({"reviewerID": ""}, "user", "user is empty: ''"),
        ({"asin": None}, "item", "asin is neither text nor a number of its kind: None"),
        ({"overall": float("nan")}, "rating", "rating is not a number: 'nan'"),
        ({"overall": float("inf")}, "rating", "rating is not a number: 'inf'"),
        ({"overall": True}, "rating", "overall is neither text nor a number"),
        ({"unixReviewTime": "soon"}, "timestamp", "timestamp is not a number: 'soon'"),
        ({"unixReviewTime": 1e300}, "timestamp", "timestamp is out of range"),
        ({"unixReviewTime": ...}, "timestamp", r"unixReviewTime is missing: \{'reviewerID': 'U1'"),
        ({"asin": "\ud800"}, "item", "asin is not valid Unicode: '.ud800'"),
    ],
)
def test_bad_review_is_named_or_counted(raw, change, kind, message):
    bad = {key: value for key, value in (review("U1", "A", 1, 1.0) | change).items() if value is not ...}
    good = (raw / REVIEWS).read_text()
    (raw / REVIEWS).write_text(good + "\n" + json.dumps(bad) + "\n" + good)
    with pytest.raises(InputError, match=rf"reviews_Toys_5\.json:6: {message}"):
        read(open_log(raw))
    log = open_log(raw, on_bad_line="skip")
    assert read(log) == ROWS * 2
    assert log.provenance["bad_lines"] == {kind: 1}


@pytest.mark.parametrize(
    "line, message",
    [
        (b'{"asin": "C",', 'neither JSON nor a Python literal: \'."asin": "C",\''),
        (b"{'asin': open('x')}", "neither JSON nor a Python literal: "),
        (b"[1, 2]", r"expected an object, \{...\}: '\[1, 2\]'"),
        (b"(" * 100_000, "neither JSON nor a Python literal: "),
        (b"{" + b'"a":{' * 100_000, "neither JSON nor a Python literal: "),
        (b"\x1f\x8b\xff", "not UTF-8: "),
    ],
)
@pytest.mark.parametrize("file", [REVIEWS, METADATA])
def test_line_without_an_object(raw, file, line, message):
    content = (raw / file).read_bytes()
    (raw / file).write_bytes(content + line + b"\n")
    number = content.count(b"\n") + 1
    take = read if file == REVIEWS else attributes
    with pytest.raises(InputError, match=rf"{file}:{number}: {message}"):
        take(open_log(raw))
    log = open_log(raw, on_bad_line="skip")
    take(log)
    assert sum(log.provenance["bad_lines"].values()) == 1


@pytest.mark.parametrize(
    "product, message",
    [
        ({"categories": [["X"]]}, "asin is missing: "),
        ({"asin": "C", "categories": "X"}, "categories is not a list: 'X'"),
        ({"asin": "C", "categories": [["X"], "Y"]}, "categories is not a list of lists: "),
        ({"asin": "C", "categories": [[1]]}, "categories is not text: 1"),
        ({"asin": "C", "brand": ["X"]}, "brand is not text: "),
    ],
)
def test_bad_metadata(raw, product, message):
    (raw / METADATA).write_text(f"{product!r}\n")
    with pytest.raises(InputError, match=rf"meta_Toys\.json:1: {message}"):
        attributes(open_log(raw))
    log = open_log(raw, on_bad_line="skip")
    assert attributes(log) == {}
    assert log.provenance["bad_lines"] == {"attributes": 1}


@pytest.mark.parametrize(
    "value, categories, category",
    [
        ([["A", "B"], []], ["A", "B"], ["B"]),
        ([["A", ""], ["B", " "]], ["A", "B"], ["B"]),
        (["A", "B"], ["A", "B"], ["B"]),
        ([["A\nB", "C\u2028"]], ["A B", "C"], ["C"]),
        ([[]], [], []),
        (None, [], []),
    ],
)
def test_odd_categories(raw, value, categories, category):
    (raw / METADATA).write_text(json.dumps({"asin": "A", "categories": value, "brand": ""}) + "\n")
    expected = {"categories": [("A", name) for name in categories], "category": [("A", name) for name in category]}
    assert attributes(open_log(raw)) == {name: pairs for name, pairs in expected.items() if pairs}


def test_blocks_and_escapes(raw):
    """Whatever the blocks, lines keep their numbers; an odd escape stands for itself."""
    bad_lines = BadLines("error", {})
    path = raw / REVIEWS
    path.write_text(path.read_text() + "x\n")
    with pytest.raises(InputError, match=r"reviews_Toys_5\.json:5: neither"):
        list(amazon._read_reviews(str(path), bad_lines, 50))
    assert json_lines.parse(r"{'asin': 'A\/B'}") == {"asin": r"A\/B"}


def test_which_files(raw):
    (raw / "Games_5.json").write_text((raw / REVIEWS).read_text())
    with pytest.raises(InputError, match=r"2 files .*: Games_5\.json, reviews_Toys_5\.json; choose with reviews NAME"):
        open_log(raw)
    (raw / "meta_Games.json").write_text("{'asin': 'A'}\n")
    chosen = open_log(raw, reviews="Games_5.json")
    assert list(chosen.provenance["raw_files"]) == ["Games_5.json", "meta_Games.json"]
    chosen = open_log(raw, reviews="Games_5.json", metadata=METADATA)
    assert list(chosen.provenance["raw_files"]) == ["Games_5.json", METADATA]
    (raw / "meta_Games.json").unlink()
    (raw / "meta_Cars.json").write_text("{'asin': 'A'}\n")
    with pytest.raises(InputError, match=r"meta_Cars\.json, meta_Toys\.json; choose with metadata NAME"):
        open_log(raw, reviews="Games_5.json")
    for name in ("Games_5.json", REVIEWS):
        (raw / name).unlink()
    with pytest.raises(InputError, match=r"no reviews \(reviews_\*\.json, \*_5\.json\); it holds meta_Cars\.json"):
        open_log(raw)
    (raw / "Toys.json").write_text(json.dumps(review(*ROWS[0])))
    assert list(open_log(raw).provenance["raw_files"]) == ["Toys.json", METADATA]
