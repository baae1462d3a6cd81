import csv
import gzip
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.readers import blocks, fields, text
from data_prep.readers.log import BadLines
from tfrecs.errors import InputError

PLAIN = blocks.Layout({"user": 0, "item": 1, "rating": 2, "timestamp": 3}, 4, "\t", False, False)
QUOTED = blocks.Layout({"user": 1, "item": 2}, 3, ",", quoted=True, header=True)


def read_all(path, layout, policy="error", block_bytes=64):
    bad_lines = BadLines(policy, {})
    rows = []
    for table, _ in text.read(str(path), layout, bad_lines, block_bytes):
        rows += [tuple(row.values()) for row in table.to_pylist()]
    return rows, bad_lines.counts


@pytest.mark.parametrize(
    "line, kind, message",
    [
        ("u\ti\t3", "fields", "expected 4 fields, found 3: 'u\\\\ti\\\\t3'"),
        ("u\ti\t3\t4\t5", "fields", "expected 4 fields, found 5"),
        ("u\ti\tgood\t4", "rating", "rating is not a number: 'good'"),
        ("u\ti\tnan\t4", "rating", "rating is not a number: 'nan'"),
        ("u\ti\tinf\t4", "rating", "rating is not a number: 'inf'"),
        ("u\ti\t1e999\t4", "rating", "rating is out of range: '1e999'"),
        ("u\ti\t\t4", "rating", "rating is not a number: ''"),
        ("u\ti\t3\t0x10", "timestamp", "timestamp is not a number: '0x10'"),
        ("u\ti\t3\tNaN", "timestamp", "timestamp is not a number: 'NaN'"),
        ("u\ti\t3\t1e19", "timestamp", "timestamp is out of range: '1e19'"),
        ("u\ti\t3\t1_000", "timestamp", "timestamp is not a number: '1_000'"),
        ("\ti\t3\t4", "user", "user is empty: ''"),
        ("u\t \t3\t4", "item", "item is empty: ' '"),
        ("u\ti\rj\t3\t4", "item", "item contains a line break"),
        (b"u\t\xff\xfe\t3\t4", "encoding", "not UTF-8: b'u"),
    ],
)
def test_bad_line_is_named_or_counted(tmp_path, line, kind, message):
    good = b"u\ti\t3\t4\n"
    bad = line if isinstance(line, bytes) else line.encode()
    path = tmp_path / "u.data"
    # Blank lines count as lines; line 43 is bad, and lies behind several blocks.
    path.write_bytes(good * 20 + b"\n\n" + good * 20 + bad + b"\n" + good * 9)
    with pytest.raises(InputError, match=rf"u\.data:43: {message}"):
        read_all(path, PLAIN)
    rows, counts = read_all(path, PLAIN, "skip")
    assert counts == {kind: 1}
    assert rows == [("u", "i", 3.0, 4)] * 49


@pytest.mark.parametrize("value, seconds", [("5", 5), ("-5", -5), ("5.9", 5), ("-0.5", -1), ("1e3", 1000), (" 7 ", 7)])
def test_timestamps(tmp_path, value, seconds):
    path = tmp_path / "u.data"
    path.write_text(f"u\ti\t1\t{value}\n")
    assert read_all(path, PLAIN)[0] == [("u", "i", 1.0, seconds)]


def test_large_timestamps_are_exact(tmp_path):
    path = tmp_path / "u.data"
    path.write_text(f"u\ti\t1\t{2**53 + 1}\nu\ti\t1\t5.5\n")
    assert [row[3] for row in read_all(path, PLAIN, block_bytes=1000)[0]] == [2**53 + 1, 5]


def test_line_numbers_with_bom_crlf_and_quoted_breaks(tmp_path):
    content = (
        b"\xef\xbb\xbf\r\n"  # 1: blank
        b'"no,te",user,item\r\n'  # 2: header
        b'"two\r\nlines ""quoted""",u1,i1\r\n'  # 3-4
        b"\r\n"  # 5
        b'5" disk,u2,"i,2"\r\n'  # 6: a quote inside a field opens nothing
        b"x,,i3\r\n"  # 7
    )
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    assert text.read_header(str(path), ",") == ["no,te", "user", "item"]
    for block_bytes in (4, 30, 1000):
        with pytest.raises(InputError, match=r"log\.csv:7: user is empty"):
            read_all(path, QUOTED, block_bytes=block_bytes)
        rows, _ = read_all(path, QUOTED, "skip", block_bytes)
        assert rows == [("u1", "i1"), ("u2", "i,2")]


def test_unclosed_quote_is_named(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('note,user,item\na,b,c\n\n"open,u,i\nd,e,f\n')
    with pytest.raises(InputError, match=r"log\.csv:4: a quote is never closed: .*open"):
        read_all(path, QUOTED, "skip")


def test_gzip_and_a_damaged_one(tmp_path):
    path = tmp_path / "u.data.gz"
    content = gzip.compress(b"u\ti\t1\t2\n" * 5000)
    path.write_bytes(content)
    assert len(read_all(path, PLAIN)[0]) == 5000
    path.write_bytes(content[:-20])
    with pytest.raises(InputError, match=r"u\.data\.gz:\d+: cannot be read"):
        read_all(path, PLAIN)


def test_several_characters_delimit(tmp_path):
    layout = blocks.Layout(PLAIN.roles, 4, "::", quoted=False, header=False)
    path = tmp_path / "ratings.dat"
    path.write_bytes(b"1::a b::4::5\n2::c\x1fd::3::6\n")
    assert read_all(path, layout)[0] == [("1", "a b", 4.0, 5), ("2", "c\x1fd", 3.0, 6)]


FIELD = st.text(st.sampled_from('ab",\n\r \u2028\x0c0é'), max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=8), size=st.integers(3, 60))
def test_blocks_agree_with_the_csv_module(tmp_path, rows, size):
    """Whatever csv writes is read back with csv's own line numbers, whatever the blocks."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(["note", "user", "item"])
    writer.writerows(rows)
    content = buffer.getvalue()
    path = tmp_path / "log.csv"
    path.write_bytes(content.encode())
    good, first_bad, line = [], None, 2
    for row in rows:
        one = io.StringIO()
        csv.writer(one, lineterminator="\r\n").writerow(row)
        if all(v.strip() and "\n" not in v and "\r" not in v for v in row[1:]):
            good.append(row[1:])
        elif first_bad is None:
            first_bad = line
        line += one.getvalue().count("\n")
    assert read_all(path, QUOTED, "skip", size)[0] == good
    if first_bad is not None:
        with pytest.raises(InputError, match=rf"log\.csv:{first_bad}: "):
            read_all(path, QUOTED, "error", size)


ODD = st.lists(
    st.sampled_from([b'"', b'""', b",", b"\n", b"\r\n", b"a", b"b c", b"1", b"\xff", b'"x"']),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(pieces=ODD)
def test_fast_and_careful_reading_agree(pieces):
    """Where the fast reader accepts a block, the careful one reads the same and finds no fault."""
    block = b"".join(pieces) + b"\n"
    layout = blocks.Layout({"user": 0, "item": 1}, 2, ",", quoted=True, header=False)
    if blocks.end_of_records(block, layout) < len(block):
        return
    fast = text._read_fast(block, layout, fields.Converter(layout.roles))
    if fast is not None:
        bad_lines = BadLines("error", {})
        rows = text._rows(block, 1, "f", layout, bad_lines)
        careful = fields.Converter(layout.roles).convert_rows(rows, "f", bad_lines)
        assert fast.to_pylist() == careful.to_pylist()
