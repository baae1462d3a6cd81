import datetime
import hashlib

import pyarrow as pa
import pyarrow.parquet
import pytest

from data_prep.sources import delimited, options
from tfrecs.errors import InputError

DEFAULTS = {name: option.default for name, option in options.DELIMITED.items()}


def open_log(path, **options):
    return delimited.open_log("delimited", DEFAULTS | {"path": str(path)} | options)


def read(log):
    tables = (table.select(["user", "item", *log.fields]) for table, _ in log.chunks())
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


@pytest.mark.parametrize(
    "name, delimiter, options",
    [
        ("log.csv", ",", {}),
        ("log.tsv", "\t", {}),
        ("log.dat", "|", {"delimiter": "|"}),
        ("log.log", "\t", {"delimiter": "\\t"}),
    ],
)
def test_columns_by_name(tmp_path, name, delimiter, options):
    rows = [["when", "what", "who", "how"], ["7", "i1", "u1", "buy"], ["5", "i2", "u1", "view"]]
    path = tmp_path / name
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows))
    columns = {"user_column": "who", "item_column": "what", "timestamp_column": "when"}
    log = open_log(path, action_column="how", **columns, **options)
    assert log.fields == ("timestamp", "action")
    assert read(log) == [("u1", "i1", 7, "buy"), ("u1", "i2", 5, "view")]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert log.provenance["raw_files"] == {name: digest}


@pytest.mark.parametrize(
    "content, options, message",
    [
        ("user,itme\na,b\n", {}, "no column 'item'.*did you mean 'itme'.*'user', 'itme'"),
        ("user,item,user\na,b,c\n", {}, "2 columns are called 'user'"),
        ("", {}, "empty"),
        ("\n\n", {}, "empty"),
        ("user,item\n", {"delimiter": "::"}, "delimiter: expected one ASCII character, got '::'"),
        (b"us\xffer,item\n", {}, r"log\.csv:1: not UTF-8"),
    ],
)
def test_bad_header(tmp_path, content, options, message):
    path = tmp_path / "log.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        open_log(path, **options)


def test_path(tmp_path):
    with pytest.raises(InputError, match="path: required"):
        delimited.open_log("delimited", DEFAULTS)
    with pytest.raises(InputError, match="nowhere.csv: No such file"):
        open_log(tmp_path / "nowhere.csv")
    (tmp_path / "log.data").write_text("user item\n")
    with pytest.raises(InputError, match="which delimiter"):
        open_log(tmp_path / "log.data")


def test_parquet(tmp_path):
    path = tmp_path / "log.parquet"
    times = [datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC), None]
    table = {"user": [7, 8], "item": ["a", "b"], "time": times, "stars": [4.5, 2.0]}
    pyarrow.parquet.write_table(pa.table(table), path)
    columns = {"timestamp_column": "time", "rating_column": "stars"}
    with pytest.raises(InputError, match=r"log\.parquet:2: timestamp is not a number: ''"):
        read(open_log(path, **columns))
    log = open_log(path, **columns, on_bad_line="skip")
    assert read(log) == [("7", "a", 86400, 4.5)]
    assert log.provenance["bad_lines"] == {"timestamp": 1}


def test_parquet_that_is_none(tmp_path):
    path = tmp_path / "log.parquet"
    path.write_text("user,item\n")
    with pytest.raises(InputError, match="not a parquet file"):
        open_log(path)


def test_parquet_of_lists(tmp_path):
    path = tmp_path / "log.parquet"
    pyarrow.parquet.write_table(pa.table({"user": [[1]], "item": ["a"]}), path)
    with pytest.raises(InputError, match="the user column holds list"):
        read(open_log(path))
