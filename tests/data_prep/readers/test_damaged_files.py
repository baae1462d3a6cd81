"""Files that are damaged, or made to fill memory: each is refused by file and line."""

import gzip
import json
import os
import random

import pyarrow as pa
import pyarrow.parquet
import pytest

from data_prep.readers import attribute_json, blocks, parquet, text
from data_prep.readers.log import BadLines
from tfrecs import files
from tfrecs.errors import InputError

COLUMNS = {"user": "u", "item": "i"}
LAYOUT = blocks.Layout({"user": 0, "item": 1}, 2, ",", quoted=True, header=False)


def read_text(path, block_bytes=blocks.BLOCK_BYTES, layout=LAYOUT):
    tables = [table for table, _ in text.read(str(path), layout, BadLines("error", {}), block_bytes)]
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


def test_gzip_damaged_anywhere(tmp_path):
    """Damage raises EOFError, OSError or zlib.error, depending on where it is."""
    path = tmp_path / "log.csv.gz"
    generator = random.Random(5)
    rows = [(f"u{n}", f"i{generator.randrange(10**9)}") for n in range(500)]
    sound = gzip.compress("".join(f"{u},{i}\n" for u, i in rows).encode(), mtime=0)
    lines = set()
    for _ in range(300):
        place = generator.randrange(10, len(sound))
        path.write_bytes(sound[:place] + bytes([sound[place] ^ (1 << generator.randrange(8))]) + sound[place + 1 :])
        with pytest.raises(InputError, match=r"log\.csv\.gz:\d+: ") as caught:
            assert read_text(path) == rows
            raise InputError("log.csv.gz:0: as it was")
        lines.add(str(caught.value).partition(".gz:")[2].partition(":")[0])
    assert len(lines) > 3


@pytest.mark.parametrize("name, layout", [("log.csv", LAYOUT), ("log.inter", blocks.Layout({}, 0, "\t", False, True))])
def test_a_file_of_carriage_returns(tmp_path, name, layout):
    path = tmp_path / name
    path.write_bytes(b"user,item\rann,a\rbob,b\r")
    if layout.quoted:
        with pytest.raises(InputError, match=r"log\.csv:1: new-line character seen in unquoted field: b'user"):
            text.read_header(str(path), ",")
        with pytest.raises(InputError, match=r"log\.csv:1: new-line character"):
            read_text(path)
    path.write_bytes(b"ann,a\nbob\r,b\n")
    with pytest.raises(InputError, match=rf"{name}:2: "):
        read_text(path)


def test_a_byte_order_mark_is_dropped_at_the_start_of_the_file_only(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"\xef\xbb\xbfann,a\n\xef\xbb\xbfbob,b\nann,\xef\xbb\xbfc\n")
    expected = [("ann", "a"), ("\ufeffbob", "b"), ("ann", "\ufeffc")]
    for block_bytes in (1, 5, 9, 1000):
        assert read_text(path, block_bytes) == expected
    # After the header a mark stands at the start of what is parsed, too.
    path.write_bytes(b"\xef\xbb\xbfu,i\n\xef\xbb\xbfbob,b\n")
    header = blocks.Layout({"user": 0, "item": 1}, 2, ",", quoted=True, header=True)
    assert read_text(path, layout=header) == [("\ufeffbob", "b")]


def test_a_gzipped_file_that_unpacks_out_of_proportion(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "UNPACKED_ANYWAY", 1 << 20)
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(b"ann,a\n" * 2_000_000))
    with pytest.raises(InputError, match=r"log\.csv\.gz: unpacks to over .* more than 200 times its size"):
        read_text(tmp_path / "log.csv.gz")


def test_a_line_without_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "LONGEST_RECORD", 1 << 16)
    (tmp_path / "log.txt").write_bytes(b"ann,a\n" + b"x" * (1 << 18))
    with pytest.raises(InputError, match=r"log\.txt:2: a line longer than 65,536 bytes: b'xxx") as caught:
        list(blocks.blocks(str(tmp_path / "log.txt"), blocks.LINES, 1 << 12))
    assert len(str(caught.value)) < 300


def test_attributes_are_read_in_bounded_memory(tmp_path):
    path = tmp_path / "a.json"
    content = {f"i{n}": [f"value {n}", n, "é"] for n in range(150_000)}
    path.write_text(json.dumps(content, indent=1))
    tables = list(attribute_json.read(str(path)))
    assert len(tables) == 5 and max(table.num_rows for table in tables) <= attribute_json.VALUES_PER_TABLE + 3
    rows = [(item, value) for table in tables for item, value in zip(*table.to_pydict().values(), strict=True)]
    assert rows == [(item, str(value)) for item, values in content.items() for value in values]


@pytest.mark.parametrize(
    "value", [b'"' + b"x" * 3_000_000 + b'"', b"[" + b"1," * 1_500_000 + b"1]", b"[" + b" " * 3 * 10**6]
)
def test_an_attribute_without_bounds(tmp_path, value):
    (tmp_path / "a.json").write_bytes(b'{"a": [1],\n"b": ' + value + b"}")
    with pytest.raises(InputError, match=r"a\.json:2: not JSON: (a value longer than 1,048,576|Expecting)") as caught:
        list(attribute_json.read(str(tmp_path / "a.json")))
    assert len(str(caught.value)) < 400


def write_parquet(path, rows=2000, **options):
    table = pa.table({"u": [f"u{n % 50}" for n in range(rows)], "i": [f"i{n * 7919 % 999}" for n in range(rows)]})
    pyarrow.parquet.write_table(table, path, **options)
    return [(row["u"], row["i"]) for row in table.to_pylist()]


def read_parquet(path):
    parquet.column_names(str(path))
    tables = [table for table, _ in parquet.read(str(path), COLUMNS, BadLines("error", {}))]
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


def test_parquet_damaged_anywhere(tmp_path):
    path = tmp_path / "log.parquet"
    rows = write_parquet(path, compression="zstd", write_page_checksum=True)
    assert read_parquet(path) == rows
    sound = path.read_bytes()
    generator = random.Random(6)
    for _ in range(300):
        place = generator.randrange(len(sound))
        path.write_bytes(sound[:place] + bytes([generator.randrange(256)]) + sound[place + 1 :])
        try:
            assert read_parquet(path) == rows
        except InputError as error:
            assert str(path) in str(error)
    for place in range(0, len(sound), 97):
        path.write_bytes(sound[:place])
        with pytest.raises(InputError, match=r"log\.parquet"):
            read_parquet(path)


def test_parquet_whose_rows_share_a_long_text(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "MOST_TEXT_PER_BATCH", 1 << 20)
    path = tmp_path / "log.parquet"
    pyarrow.parquet.write_table(pa.table({"u": ["u" * 5000] * 60_000, "i": ["i"] * 60_000}), path)
    assert os.path.getsize(path) < 20_000
    with pytest.raises(InputError, match=r"log\.parquet:1: column 'u' holds 300,000,000 bytes of text in 60,000 rows"):
        read_parquet(path)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "log.csv")
    for path in (tmp_path / "log.csv", tmp_path, "/dev/zero"):
        with pytest.raises(InputError, match="not a regular file"):
            read_text(path)
        with pytest.raises(InputError, match="not a regular file"):
            files.open_regular(str(path))


@pytest.mark.parametrize("role", ["user", "timestamp", "rating"])
def test_parquet_text_that_is_not_utf8(tmp_path, role):
    offsets, content = pa.array([0, 1, 2, 3], pa.int32()).buffers()[1], pa.py_buffer(b"1\xff2")
    broken = pa.Array.from_buffers(pa.string(), 3, [None, offsets, content])
    path = str(tmp_path / "log.parquet")
    pyarrow.parquet.write_table(pa.table({"user": ["a", "b", "c"], "item": ["x", "y", "z"]} | {role: broken}), path)
    columns = {name: name for name in ("user", "item", role)}
    for policy in ("error", "skip"):
        with pytest.raises(InputError, match=r"log\.parquet:1: cannot be read: .*UTF8"):
            list(parquet.read(path, columns, BadLines(policy, {})))


def test_parquet_timestamps_of_nanoseconds(tmp_path):
    """Fractions are cut off downwards, a nanosecond before a second included."""
    nanoseconds = [1_500_000_000 * 10**9 + 999_999_999, 10**9, -1, -(10**9), 2**60 + 1]
    times = pa.array(nanoseconds, pa.timestamp("ns", "UTC"))
    path = str(tmp_path / "log.parquet")
    pyarrow.parquet.write_table(pa.table({"user": list("abcde"), "item": list("abcde"), "time": times}), path)
    columns = {"user": "user", "item": "item", "timestamp": "time"}
    ((table, _),) = parquet.read(path, columns, BadLines("error", {}))
    assert table["timestamp"].to_pylist() == [time // 10**9 for time in nanoseconds]
