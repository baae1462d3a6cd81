import gzip

import numpy as np
import pytest

from data_prep.readers import item_table
from data_prep.readers.log import BadLines
from data_prep.sources import atomic, options
from tfrecs.data import manifest as manifests
from tfrecs.errors import InputError

DEFAULTS = {name: option.default for name, option in options.ATOMIC.items()}
INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\tb\t4\t20.5\nu2\ta\t5\t7\nu1\ta\t3\t10\n"
ITEM = (
    "item_id:token\tmovie_title:token_seq\tyear:token\tclass:token_seq\tprice:float\n"
    'a\tA "quoted film\t1995\tDrama War Drama\t1.5\n'
    "b\tB\t\t\t\n"
    "z\tZ\t1996\tAction\t2\n"
)
USER = "user_id:token\tage:float\nu1\t30\n"


@pytest.fixture
def raw(tmp_path):
    directory = tmp_path / "raw"
    directory.mkdir()
    (directory / "x.inter").write_text(INTER)
    (directory / "x.item").write_text(ITEM)
    (directory / "x.user").write_text(USER)
    return directory


def open_log(directory, **options):
    return atomic.open_log("atomic", DEFAULTS | {"raw_dir": str(directory)} | options)


def read(log):
    return [tuple(row.values()) for table, _ in log.chunks() for row in table.to_pylist()]


def attributes(log):
    found = {}
    for name, table in log.attribute_chunks():
        for row in table.to_pylist():
            found.setdefault(name, []).append((row["item"], row["value"]))
    return found


def test_log_and_attributes(raw):
    log = open_log(raw)
    assert log.fields == ("timestamp", "rating")
    assert [set(row) for row in read(log)] == [{"u1", "b", 4.0, 20}, {"u2", "a", 5.0, 7}, {"u1", "a", 3.0, 10}]
    assert log.attributes == {"year": "token", "class": "list"}
    assert attributes(log) == {
        "year": [("a", "1995"), ("z", "1996")],
        "class": [("a", "Drama"), ("a", "War"), ("a", "Drama"), ("z", "Action")],
    }
    assert log.provenance["columns_left_out"] == {"x.inter": [], "x.item": ["movie_title", "price"], "x.user": ["age"]}
    assert list(log.provenance["raw_files"]) == ["x.inter", "x.item", "x.user"]


@pytest.mark.parametrize("column, options", [("action", {}), ("how", {"action_column": "how"})])
def test_actions_together_with_attributes(raw, column, options):
    lines = INTER.splitlines()
    actions = [f"{column}:token", "buy", "view", "buy"]
    (raw / "x.inter").write_text("".join(f"{line}\t{action}\n" for line, action in zip(lines, actions, strict=True)))
    log = open_log(raw, **options)
    assert log.fields == ("timestamp", "rating", "action") and log.attributes == {"year": "token", "class": "list"}
    (table,) = [table for table, _ in log.chunks()]
    assert table["action"].to_pylist() == ["buy", "view", "buy"]
    assert attributes(log)["year"] == [("a", "1995"), ("z", "1996")]
    assert log.provenance["columns_left_out"]["x.inter"] == []


def test_an_action_is_a_token(raw):
    with pytest.raises(InputError, match=r"column 'rating' is float, expected token \(action_column\)"):
        open_log(raw, action_column="rating")
    (raw / "x.inter").write_text(INTER.replace("rating:float", "action:token").replace("u2\ta\t5", "u2\ta\t"))
    with pytest.raises(InputError, match=r"x\.inter:3: action is empty: ''"):
        list(open_log(raw).chunks())


def test_end_to_end_with_a_category(raw, tmp_path, command, decoded):
    data_dir = tmp_path / "data"
    flags = ["--dataset", "atomic", "--raw_dir", raw, "--out_dir", data_dir]
    code, _, err = command(*flags, "--category_from", "class", "--attributes", "class")
    assert code == 0
    assert "items with attributes that the log lacks, left out: 1" in err
    assert "items without a value: class 1, category 1" in err
    assert decoded(str(data_dir))["u1"] == ((1, 1), [("a", 10, 3), ("b", 20, 4)])
    manifest = manifests.load(str(data_dir))
    assert manifest.attributes == {"class": "list", "category": "token"}
    assert manifest.provenance["item_attributes"]["items_not_in_log"] == 1
    assert (data_dir / "vocab" / "category.txt").read_text() == "Drama\n"
    with np.load(data_dir / "item_attributes.npz") as table:
        content = {name: table[name].tolist() for name in table.files}
    assert content == {
        "class/values": [1, 2],
        "class/row_splits": [0, 0, 2, 2],
        "category/values": [1],
        "category/row_splits": [0, 0, 1, 1],
    }
    code, _, err = command(*flags[:-1], tmp_path / "other", "--category_from", "clas")
    assert code == 2 and "--category_from clas: dataset atomic has no such item attribute; did you mean 'class'" in err


def test_columns_and_attributes_by_name(raw):
    (raw / "x.inter").write_text(
        "when:token\twho:token\twhat:token\tstars:float\tnote:token_seq\n5\tu\tb\t1\tfine by me\n"
    )
    (raw / "x.item").write_text("what:token\tmovie_title:token_seq\ttags:token_seq\nb\tThe B\tone two, three,,\n")
    (raw / "x.user").unlink()
    columns = {"user_column": "who", "item_column": "what", "timestamp_column": "when", "rating_column": "stars"}
    log = open_log(raw, **columns, attributes="tags, movie_title", seq_separator=",")
    assert [set(row) for row in read(log)] == [{"u", "b", 5, 1.0}]
    assert attributes(log) == {"tags": [("b", "one two"), ("b", "three")], "movie_title": [("b", "The B")]}
    assert log.provenance["columns_left_out"] == {"x.inter": ["note"], "x.item": []}


def test_quotes_are_text(tmp_path):
    (tmp_path / "x.inter").write_text('"note:token\tuser_id:token\titem_id:token\n"a\t"u\t"b"\n\tv"\tc\n')
    (tmp_path / "x.item").write_text('item_id:token\ttags:token_seq\n"b"\t"one two"\n')
    log = open_log(tmp_path)
    assert read(log) == [('"u', '"b"'), ('v"', "c")]
    assert attributes(log) == {"tags": [('"b"', '"one'), ('"b"', 'two"')]}


def test_items_in_blocks(raw):
    """Each value comes once, whatever the blocks, and lines keep their numbers."""
    path = raw / "x.item"
    kinds = {"class": "list"}
    header = ["item_id", "movie_title", "year", "class", "price"]

    def read_items():
        bad_lines = BadLines("error", {})
        return list(item_table.read(str(path), header, "item_id", kinds, " ", bad_lines, block_bytes=20))

    tables = read_items()
    assert len(tables) > 2
    values = [row["value"] for _, table in tables for row in table.to_pylist()]
    assert values == ["Drama", "War", "Drama", "Action"]
    path.write_text(ITEM + "q\n")
    with pytest.raises(InputError, match=r"x\.item:5: expected 5 fields, found 1: 'q'"):
        read_items()


def test_without_ratings_timestamps_and_items(tmp_path):
    (tmp_path / "x.inter.gz").write_bytes(gzip.compress(b"user_id:token\titem_id:token\r\nu\ta\r\n"))
    log = open_log(tmp_path)
    assert log.fields == () and log.attributes == {}
    assert read(log) == [("u", "a")]
    with pytest.raises(InputError, match=r"attributes class: no \.item file belongs to .*x\.inter\.gz"):
        open_log(tmp_path, attributes="class")


@pytest.mark.parametrize(
    "file, content, options, message",
    [
        ("x.inter", "user_id\titem_id:token\n", {}, r"x\.inter: the header has 'user_id'; expected name:type"),
        ("x.inter", "user_id:int\n", {}, "the header has 'user_id:int'; expected name:type"),
        ("x.inter", "user_id:token\titem:token\n", {}, r"no column 'item_id' \(item_column\); did you mean"),
        ("x.inter", "a:token\ta:token\n", {}, "2 columns are called 'a'"),
        ("x.inter", "user_id:float\titem_id:token\n", {}, "column 'user_id' is float, expected token"),
        ("x.inter", INTER, {"rating_column": "stars"}, r"no column 'stars' \(rating_column\)"),
        ("x.item", "item:token\n", {}, r"x\.item: no column 'item_id' \(item_column\)"),
        ("x.item", "", {}, r"x\.item: empty"),
        ("x.item", ITEM, {"attributes": "clas"}, r"no column 'clas' \(attributes\); did you mean 'class'"),
        ("x.item", ITEM, {"attributes": "price"}, "column 'price' is float, expected token or token_seq"),
        ("x.item", ITEM, {"attributes": "year,year"}, "'year' cannot be an attribute, or is named twice"),
        ("x.item", ITEM, {"attributes": "item_id"}, "'item_id' cannot be an attribute"),
        ("x.user", "user:token\n", {}, r"x\.user: no column 'user_id' \(user_column\)"),
        ("x.item", ITEM, {"file": "x.item"}, r"file x\.item: expected a name ending in \.inter"),
    ],
)
def test_bad_headers_and_options(raw, file, content, options, message):
    (raw / file).write_text(content)
    with pytest.raises(InputError, match=message):
        open_log(raw, **options)


@pytest.mark.parametrize(
    "line, message",
    [
        ("u1\ta\t4\t", "timestamp is not a number: ''"),
        ("u1\ta\tinf\t4", "rating is not a number: 'inf'"),
        ("u1\ta\t4", "expected 4 fields, found 3"),
        ("\ta\t4\t5", "user is empty"),
    ],
)
def test_bad_line_of_the_log(raw, line, message):
    (raw / "x.inter").write_text(INTER + line + "\n")
    with pytest.raises(InputError, match=rf"x\.inter:5: {message}"):
        read(open_log(raw))
    log = open_log(raw, on_bad_line="skip")
    assert len(read(log)) == 3
    assert sum(log.provenance["bad_lines"].values()) == 1


@pytest.mark.parametrize(
    "line, message",
    [
        (b"q\tQ\t1995", "expected 5 fields, found 3: 'q"),
        (b"\tQ\t1995\tWar\t1", "item is empty: ''"),
        (b"q\tQ\t1995\t\xff\t1", "not UTF-8"),
        (b"q\tQ\t19\r95\tWar\t1", "year contains a line break"),
    ],
)
def test_bad_line_of_the_items(raw, line, message):
    (raw / "x.item").write_bytes(ITEM.encode() + b"\n" + line + b"\n")
    with pytest.raises(InputError, match=rf"x\.item:6: {message}"):
        attributes(open_log(raw))
    log = open_log(raw, on_bad_line="skip")
    assert len(attributes(log)["class"]) == 4
    assert log.provenance["bad_lines"] == {"attributes": 1}


def test_which_files(raw):
    (raw / "y.inter").write_text(INTER)
    with pytest.raises(InputError, match=r"log \(\.inter\): x\.inter, y\.inter; choose with file NAME"):
        open_log(raw)
    assert list(open_log(raw, file="y.inter").provenance["raw_files"]) == ["y.inter"]
    (raw / "x.inter").unlink()
    (raw / "y.inter").unlink()
    with pytest.raises(InputError, match=r"no log \(\.inter\); it holds x\.item, x\.user"):
        open_log(raw)
