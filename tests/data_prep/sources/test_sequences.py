import gzip
import hashlib

import pytest

from data_prep.readers.log import BadLines
from data_prep.sources import options, sequences
from tfrecs.data import manifest as manifests
from tfrecs.errors import InputError

DEFAULTS = {name: option.default for name, option in options.SEQUENCES.items()}
LOG = "u2 a b a\nu1 c\nu10 b d\n"
ROWS = [("u2", "a"), ("u2", "b"), ("u2", "a"), ("u1", "c"), ("u10", "b"), ("u10", "d")]


def open_log(directory, **options):
    return sequences.open_log("sequences", DEFAULTS | {"raw_dir": str(directory)} | options)


def read(log):
    return [tuple(row.values()) for table, _ in log.chunks() for row in table.to_pylist()]


def attributes(log):
    return [(name, *row.values()) for name, table in log.attribute_chunks() for row in table.to_pylist()]


def test_log_and_attributes(tmp_path):
    (tmp_path / "Toys.txt").write_text(LOG)
    (tmp_path / "Toys_item2attributes.json").write_text('{"b": [2, 1, 2], "a": [], "z": ["x y"], "b": [3]}')
    log = open_log(tmp_path)
    assert log.fields == ()
    assert read(log) == ROWS
    assert log.attributes == {"categories": "list"}
    found = [("b", "2"), ("b", "1"), ("b", "2"), ("z", "x y"), ("b", "3")]
    assert attributes(log) == [("categories", *pair) for pair in found]
    digest = hashlib.sha256(LOG.encode()).hexdigest()
    assert log.provenance["raw_files"]["Toys.txt"] == digest
    assert len(log.provenance["raw_files"]) == 2
    assert attributes(open_log(tmp_path, attribute_name="tags"))[0][0] == "tags"


def test_end_to_end_in_the_order_of_the_file(tmp_path, command, decoded):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "Toys.txt.gz").write_bytes(gzip.compress(LOG.encode()))
    (raw / "Toys_item2attributes.json.gz").write_bytes(gzip.compress(b'{"a": [7]}'))
    code, out, _ = command("--dataset", "sequences", "--raw_dir", raw, "--out_dir", tmp_path / "data")
    assert code == 0 and "6 interactions, 3 users, 4 items" in out
    assert {user: rows for user, (_, rows) in decoded(str(tmp_path / "data")).items()} == {
        "u1": [("c",)],
        "u10": [("b",), ("d",)],
        "u2": [("a",), ("b",), ("a",)],
    }
    manifest = manifests.load(str(tmp_path / "data"))
    assert manifest.name == "sequences" and manifest.attributes == {"categories": "list"}
    assert str(tmp_path) not in (tmp_path / "data" / "dataset.json").read_text()


@pytest.mark.parametrize("block_bytes", [4, 5, 1000])
def test_whitespace_blank_lines_and_pairs(tmp_path, block_bytes):
    """Lines that follow each other go on with a user's sequence, as in files of pairs."""
    path = tmp_path / "log.txt"
    path.write_bytes(b"\xef\xbb\xbfu2  a\t b \r\n \n\nu2 a\nu1 c\r\nu10 b\nu10 d")
    tables = [table for table, _ in sequences._read(str(path), BadLines("error", {}), block_bytes)]
    assert [tuple(row.values()) for table in tables for row in table.to_pylist()] == ROWS


@pytest.mark.parametrize(
    "line, kind, message",
    [
        (b"u9", "fields", "expected a user and at least one item: 'u9'"),
        (b"u2 d", "user", "user 'u2' has a sequence already, which began on line 2"),
        (b"u9 \xff", "encoding", r"not UTF-8: b'u9 "),
        (b"u8 a\ru9 b", "fields", "a line break without a line feed: 'u8 a"),
    ],
)
def test_bad_line_is_named_or_counted(tmp_path, line, kind, message):
    (tmp_path / "log.txt").write_bytes(b"\nu2 a b a\nu1 c\n" + line + b"\nu10 b d\n")
    with pytest.raises(InputError, match=rf"log\.txt:4: {message}"):
        read(open_log(tmp_path))
    log = open_log(tmp_path, on_bad_line="skip")
    assert read(log) == ROWS
    assert log.provenance["bad_lines"] == {kind: 1}


def test_only_spaces_and_tabs_separate(tmp_path):
    other_spaces = "x\u00a0\x0b\u2028\u3000\x85\x1cy"
    (tmp_path / "log.txt").write_bytes(f"u\t{other_spaces} \t b \r\n\t\nv  b\n".encode())
    assert read(open_log(tmp_path)) == [("u", other_spaces), ("u", "b"), ("v", "b")]
    (tmp_path / "log.txt").write_text("u a\nu \u3000\n")
    with pytest.raises(InputError, match=r"log\.txt:2: a name that is blank: '\\u3000'"):
        read(open_log(tmp_path))


def test_which_files(tmp_path):
    with pytest.raises(InputError, match="raw_dir: required for dataset sequences"):
        sequences.open_log("sequences", DEFAULTS)
    with pytest.raises(InputError, match="nowhere: no such directory"):
        open_log(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no log \(\.txt\); it is empty"):
        open_log(tmp_path)
    (tmp_path / "B_item2attributes.json").write_text('{"b": [1]}')
    with pytest.raises(InputError, match=r"no log \(\.txt\); it holds B_item2attributes\.json"):
        open_log(tmp_path)
    (tmp_path / "A.txt").write_text(LOG)
    assert list(open_log(tmp_path).provenance["raw_files"]) == ["A.txt", "B_item2attributes.json"]
    (tmp_path / "B.txt").write_text("u z\n")
    with pytest.raises(InputError, match=r"2 files that may be the log \(\.txt\): A\.txt, B\.txt; choose with file"):
        open_log(tmp_path)
    # Which log an attribute file belongs to, its name says, or the user.
    assert list(open_log(tmp_path, file="A.txt").provenance["raw_files"]) == ["A.txt"]
    assert open_log(tmp_path, file="A.txt").attributes == {}
    assert list(open_log(tmp_path, file="B.txt").provenance["raw_files"]) == ["B.txt", "B_item2attributes.json"]
    chosen = open_log(tmp_path, file="A.txt", attributes_file="B_item2attributes.json")
    assert attributes(chosen) == [("categories", "b", "1")]
    with pytest.raises(InputError, match=r"file C\.txt: no such file in .*did you mean"):
        open_log(tmp_path, file="C.txt")
    with pytest.raises(InputError, match="file .*: expected the name of a file in raw_dir"):
        open_log(tmp_path, file=str(tmp_path / "A.txt"))
    (tmp_path / "B.txt").unlink()
    (tmp_path / "C_item2attributes.json").write_text("{}")
    with pytest.raises(InputError, match="choose with attributes_file NAME"):
        open_log(tmp_path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b'{"a": [1],\n "b": [1,}', r"\.json:2: not JSON: .*: '}'"),
        (b'{"a": [' + b"9" * 5000 + b"]}", r"\.json:1: not JSON that can be read: Exceeds the limit"),
        (b'{"a":\n["\xff"]}', r"\.json:2: not UTF-8"),
        (b'[["a", [1]]]', r"expected an object from item to list, got '\[\[.a"),
        (b"", r"\.json: empty"),
        (b" \n", "expected an object from item to list, got ''"),
        (b'{"a": [1]', r"\.json:1: not JSON: Expecting '}'"),
        (b'{"a": [1]}\n{', r"\.json:2: not JSON: Extra data: '{'"),
        (b'{"a": [1],\n}', r"\.json:2: not JSON: Expecting value: '}'"),
        (b'{"a" [1]}', r"\.json:1: not JSON: Expecting ':'"),
        (b"{5: [1]}", r"\.json:1: not JSON: Expecting property name"),
        (b'{"a": ["\xe4', r"\.json:1: not UTF-8"),
        (b'{"a": 7}', "item 'a': expected a list, got 7"),
        (b'{"a": {"b": 1}}', "item 'a': expected a list, got "),
        (b'{"a": [1.5]}', "item 'a': expected text or a whole number, got 1.5"),
        (b'{"a": [true]}', "item 'a': expected text or a whole number, got True"),
        (b'{"a": [NaN]}', "item 'a': expected text or a whole number, got nan"),
        (b'{"a": [null]}', "item 'a': expected text or a whole number, got None"),
        (b'{"a": [" "]}', "item 'a': expected text or a whole number, got ' '"),
        (b'{"a": ["x\\ny"]}', "item 'a': expected text or a whole number, got 'x"),
        (b'{" ": [1]}', "not the name of an item: ' '"),
        (b'{"a": ["\\ud800"]}', "not valid Unicode: '.ud800'"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_bad_attributes(tmp_path, content, message):
    (tmp_path / "log.txt").write_text(LOG)
    (tmp_path / "log_item2attributes.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        attributes(open_log(tmp_path))


def test_blocks_keep_users_and_lines(tmp_path):
    """A user is found again, and lines are counted, across blocks; the last block ends the progress."""
    path = tmp_path / "log.txt"
    path.write_text(LOG)
    parts = list(sequences._read(str(path), BadLines("error", {}), 4))
    assert len(parts) == 3 and parts[-1][1] == 1.0
    path.write_text(LOG + "u1 a\n")
    with pytest.raises(InputError, match=r"log\.txt:4: user 'u1' has a sequence already, which began on line 2"):
        list(sequences._read(str(path), BadLines("error", {}), 4))
