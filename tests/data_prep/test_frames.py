"""DataFrames: the records of the same rows in a file, and what is refused."""

import calendar
import datetime
import json

import numpy as np
import pandas as pd
import pytest

from data_prep import frames
from data_prep.prepare import prepare
from tfrecs.data import manifest as manifests
from tfrecs.errors import InputError
from tfrecs.progress import StageProgress

LOG = pd.DataFrame(
    {
        "customer": [f"u{i % 5}" for i in range(40)],
        "sku": [i * 7 % 11 for i in range(40)],
        "bought_at": [1_599_998_400 + 3_600 * (i * 13 % 40) for i in range(40)],
        "how": ["view" if i % 3 else "buy" for i in range(40)],
        "stars": [1 + i % 5 / 2 for i in range(40)],
    }
)
ITEMS = pd.DataFrame(
    {
        "sku": range(11),
        "kind": ["item", "coupon"] * 5 + ["item"],
        "brand": ["Ace", None, " Bolt "] * 3 + ["Ace", np.nan],
        "year": [1999, np.nan] * 5 + [2001],
        "tags": [["a", "b"], ("b",), np.array(["c", "a"]), [], None] * 2 + [["a"]],
    }
)
NAMES = {"user": "customer", "item": "sku"}
ALL = NAMES | {"timestamp": "bought_at", "rating": "stars", "action": "how"}


@pytest.fixture
def make(tmp_path):
    """Prepares a DataFrame into `tmp_path / folder`."""

    def run(df, folder="shop", **arguments):
        return frames.prepare(df, tmp_path / folder, progress=StageProgress(None), num_shards=2, **arguments)

    return run


def test_the_records_of_the_same_data_in_a_file(tmp_path, make):
    log, items = tmp_path / "log.csv", tmp_path / "items.csv"
    LOG.to_csv(log, index=False)
    written = ITEMS.assign(
        tags=[None if tags is None else "|".join(tags) for tags in ITEMS["tags"]], year=ITEMS["year"].astype("Int64")
    )
    written.to_csv(items, index=False)
    columns = {f"{role}_column": column for role, column in ALL.items()}
    lists = {"items": str(items), "items_lists": "tags", "items_columns": "kind,brand,year"}
    options = {"num_shards": 2, "split": "ratio", "min_item_interactions": 2}
    file = prepare("delimited", tmp_path / "file", StageProgress(None), path=str(log), **columns, **lists, **options)
    frame = make(LOG, item_features=ITEMS, **ALL, split="ratio", min_item_interactions=2)
    assert frame.shards == file.shards and len(frame.shards) == 2
    assert frame.vocabularies == file.vocabularies and set(frame.vocabularies) >= {"brand", "tags", "year", "kind"}
    assert frame.attributes == file.attributes == {n: "list" if n == "tags" else "token" for n in ITEMS.columns[1:]}
    assert frame.attributes_sha256 == file.attributes_sha256 is not None
    assert frame.split == file.split and frame.num_interactions == file.num_interactions
    assert frame.name == "shop" and frame.provenance["source"] == "frames"
    assert frame.provenance["columns"] == ALL


@pytest.mark.parametrize(
    "ids",
    [
        lambda s: s.astype(str),
        lambda s: s.astype(object),
        lambda s: s.astype("category"),
        lambda s: s.astype(str).astype("category"),
        lambda s: s.astype("Int64"),
        lambda s: s.astype("uint8"),
        lambda s: s.astype("int64[pyarrow]"),
        lambda s: s.astype(str).astype("string"),
        lambda s: s.astype(str).astype(object),
        lambda s: s.astype(object) + 2**70 - 2**70,
    ],
)
def test_ids_of_any_type(make, ids):
    expected = make(LOG, "expected", **NAMES)
    manifest = make(LOG.assign(sku=ids(LOG["sku"])), **NAMES)
    assert manifest.shards == expected.shards and manifest.vocabularies == expected.vocabularies


DATES = pd.Series(pd.to_datetime(LOG["bought_at"], unit="s"))


@pytest.mark.parametrize(
    "column, unit",
    [
        (LOG["bought_at"], "seconds"),
        (LOG["bought_at"] * 1_000 + 999, "milliseconds"),
        (LOG["bought_at"] * 1_000_000 + 999_999, "microseconds"),
        (LOG["bought_at"] + 0.75, "seconds"),
        (DATES, "dates"),
        (DATES.astype("datetime64[s]"), "dates"),
        (DATES.astype("datetime64[ns]") + pd.Timedelta(999_999_999, "ns"), "dates"),
        (DATES.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"), "dates"),
        (DATES.astype("timestamp[ms][pyarrow]"), "dates"),
        (DATES.dt.tz_localize("UTC").astype("timestamp[us, tz=Asia/Tokyo][pyarrow]"), "dates"),
        (DATES.map(lambda t: t.to_pydatetime()).astype(object), "dates"),
        (DATES.map(lambda t: t.tz_localize("UTC").tz_convert("Asia/Tokyo").to_pydatetime()).astype(object), "dates"),
        (DATES.map(lambda t: t.isoformat()), "dates"),
        (DATES.map(lambda t: t.strftime("%Y-%m-%d %H:%M")), "dates"),
        (DATES.map(lambda t: (t + pd.Timedelta("9h")).isoformat() + ".25+09:00"), "dates"),
        (DATES.map(lambda t: t.isoformat() + "Z").astype("category").astype(str), "dates"),
    ],
)
def test_times_of_any_form(make, column, unit):
    expected = make(LOG, "expected", **NAMES, timestamp="bought_at")
    manifest = make(LOG.assign(bought_at=column), **NAMES, timestamp="bought_at")
    assert manifest.provenance["timestamps"]["unit"] == unit
    assert manifest.shards == expected.shards


def test_days(make, tmp_path, read_records):
    days = [datetime.date(2024, 1, day) for day in (2, 1, 3)]
    seconds = [calendar.timegm(day.timetuple()) for day in sorted(days)]
    columns = [days, [day.isoformat() for day in days], pd.Series(days).astype("date32[pyarrow]")]
    for number, column in enumerate(columns):
        manifest = make(pd.DataFrame({"user": 1, "item": [1, 2, 3], "t": column}), str(number), timestamp="t")
        record = read_records(tmp_path / str(number), manifest.fields)[1][1]
        assert record == {"item": [2, 1, 3], "timestamp": seconds}


@pytest.mark.parametrize("scale", [1_000, 1_000_000, "date"])
def test_events_within_a_second_are_in_time_order(make, tmp_path, read_records, scale):
    ticks = [1_600_000_000_900, 1_600_000_000_100, 1_600_000_000_500]
    column = pd.to_datetime(ticks, unit="ms") if scale == "date" else [tick * scale // 1_000 for tick in ticks]
    manifest = make(pd.DataFrame({"user": 1, "item": ["a", "b", "c"], "t": column}), timestamp="t")
    record = read_records(tmp_path / "shop", manifest.fields)[1][1]
    assert record == {"item": [2, 3, 1], "timestamp": [1_600_000_000] * 3}


def log(**columns):
    return pd.DataFrame({"user": ["a", "b", "a"], "item": [1, 2, 3]} | columns)


@pytest.mark.parametrize(
    "df, arguments, message",
    [
        ([1], {}, "df: expected a pandas DataFrame, got a list"),
        (log(), {"user": "usr"}, "user: df has no column 'usr'; did you mean 'user'?"),
        (log(), {"timestamp": "t"}, "timestamp: df has no column 't'; choose from item, user"),
        (log().set_index("item"), {}, r"item: df has no column 'item'; it is the index: reset_index\(\)"),
        (log(), {"user": None}, "user: expected the name of a column, got None"),
        (log(), {"user": "item"}, "user, item: both name the column 'item'"),
        (log(), {"user": ["user"]}, r"user: df has no column \['user'\]"),
        (pd.concat([log(), log()], axis=1), {}, "df: 2 columns are called 'user'"),
        (log(user=["a", None, "b"]), {}, r"df: column 'user', row 1: no value \((None|nan)\)"),
        (log(item=[1, 2, np.nan]), {}, r"df: column 'item', row 2: no value \(nan\)"),
        (log(user=["a", "b", np.nan]).set_axis(["x", "y", "z"]), {}, r"column 'user', row 2 \(index 'z'\): no value"),
        (log(user=pd.Categorical(["a", None, "b"])), {}, "df: column 'user', row 1: no value"),
        (log(r=[1, np.nan, 2.0]), {"rating": "r"}, "df: column 'r', row 1: no value"),
        (log(t=pd.to_datetime(["2024-01-01", None, None])), {"timestamp": "t"}, r"column 't', row 1: no value \(NaT\)"),
        (log(user=["a", "b", 3]), {}, "df: column 'user': mixed types, str, then int in row 2; user expects text"),
        (log(item=[1, 2.5, "x"]), {}, "df: column 'item': mixed types, int, then float in row 1"),
        (log(item=pd.Categorical([1, "x", 2])), {}, "df: column 'item': mixed types"),
        (log(item=[1.0, 2.0, 3.0]), {}, "df: column 'item': holds floating-point numbers; item expects text, integers"),
        (log(item=[True, False, True]), {}, "df: column 'item': holds booleans"),
        (log(item=[b"x", b"y", b"z"]), {}, "df: column 'item': holds bytes"),
        (log(item=[["x"], ["y"], ["z"]]), {}, "df: column 'item': holds values of the type list"),
        (log(user=["a", " ", "b"]), {}, "df: column 'user', row 1: user is empty: ' '"),
        (log(user=["a", "b", "c\nd"]), {}, r"df: column 'user', row 2: user contains a line break"),
        (log(user=pd.Series(["a", "\ud800", "b"], dtype=object)), {}, "column 'user', row 1: not valid Unicode"),
        (log(r=["5", "4", "3"]), {"rating": "r"}, "df: column 'r': holds text; rating expects numbers"),
        (log(r=[1.0, np.inf, 2.0]), {"rating": "r"}, "df: column 'r', row 1: rating is not a number: 'inf'"),
        (log(r=[1.0, 2.0, 1e300]), {"rating": "r"}, "df: column 'r', row 2: rating is out of range"),
        (log(t=["2024-01-01", "soon", "2024-01-02"]), {"timestamp": "t"}, "column 't', row 1: timestamp is not a num"),
        (log(t=["2024-01-01", "2024-02-30", "x"]), {"timestamp": "t"}, "column 't', row 1: timestamp is not a number"),
        (
            log(t=["2024-01-01", "17", "18"]),
            {"timestamp": "t"},
            "column 't', row 1: timestamp is a number, those before",
        ),
        (log(t=[1.0, np.inf, 2.0]), {"timestamp": "t"}, "df: column 't', row 1: timestamp is not a number"),
        (log(t=[True, False, True]), {"timestamp": "t"}, "df: column 't': holds booleans; timestamp expects dates"),
        (log(t=[1, "2024-01-01", 3]), {"timestamp": "t"}, "df: column 't': mixed types, int, then str in row 1"),
        (log(t=[pd.Timestamp("2024-01-01"), 5, 6]), {"timestamp": "t"}, "column 't': mixed types, Timestamp, then int"),
        (log(t=[np.datetime64(2**40, "s")] * 3), {"timestamp": "t"}, r"row 0: the year 36\d\d\d is out of range"),
        (log(), {"min_rating": 3.0}, "min_rating: dataset shop has no ratings"),
        (log(), {"splt": "ratio"}, "splt: not an option of DataFrames; did you mean"),
        (log(), {"split": "ratios"}, "split: unknown value 'ratios'; did you mean 'ratio'"),
        (log().iloc[:0], {}, "shop: the log has no interactions"),
    ],
)
def test_refused(make, tmp_path, df, arguments, message):
    with pytest.raises(InputError, match=message):
        make(df, **arguments)
    assert list(tmp_path.iterdir()) == []


def items(**columns):
    return pd.DataFrame({"item": [1, 2, 3]} | columns)


@pytest.mark.parametrize(
    "table, message",
    [
        ({"item": [1]}, "item_features: expected a pandas DataFrame, got a dict"),
        (items(), "item_features: no column besides 'item'"),
        (items(brand=["a", "b", "c"]).rename(columns={"item": "itm"}), "item: item_features has no column 'item'; did"),
        (pd.concat([items(a="x"), items()], axis=1), "item_features: 2 columns are called 'item'"),
        (items(a="x").assign(item=[1, 2, 1]), "item_features: column 'item', row 2: 1 has a row already"),
        (items(a="x").assign(item=[1, None, 3]), "item_features: column 'item', row 1: no value"),
        (items(price=[1.5, 2.0, 3.0]), "item_features: column 'price', row 0: 1.5 is no token"),
        (items(a=["x", 1, None]), "item_features: column 'a': mixed types, str, then int in row 1"),
        (items(a=pd.to_datetime(["2024-01-01"] * 3)), "item_features: column 'a': holds times; expected tokens"),
        (items(a=[{"x"}, {"y"}, {"z"}]), "item_features: column 'a': holds values of the type set"),
        (items(a=[["x"], "y", None]), "item_features: column 'a', row 1: 'y' among lists"),
        (items(a=[["x"], [1.5], None]), "item_features: column 'a', row 1: 1.5 in a list"),
        (items(a=[["x"], [1], None]), "item_features: column 'a', row 1: mixed types in lists, str, then int"),
        (items(a=["x", "y\nz", "z"]), "item_features: column 'a', row 1: a contains a line break"),
        (items(user=["x", "y", "z"]), "item attribute 'user': the name is taken by a vocabulary"),
        (items(**{"../a": ["x", "y", "z"]}), "item attribute '../a': expected up to 100 letters"),
        (items(a="x").assign(item=["x", "y", "z"]), "item attributes: no item of the log has any, and 3 items with"),
        (items(a="x").rename(columns={"a": 7}), "item_features: column 7: the name of an attribute is text"),
    ],
)
def test_items_refused(make, tmp_path, table, message):
    with pytest.raises(InputError, match=message):
        make(log(), item_features=table)
    assert list(tmp_path.iterdir()) == []


def test_categories_and_arrow_lists_of_items(make, tmp_path):
    table = items(brand=pd.Categorical(["x", None, "y"]), flag=[True, False, None])
    table["tags"] = pd.Series([["a"], None, ["b", "a"]]).astype(pd.ArrowDtype(pyarrow_list()))
    manifest = make(log(), item_features=table)
    assert manifest.attributes == {"brand": "token", "flag": "token", "tags": "list"}
    assert manifests.read_vocabulary(str(tmp_path / "shop"), manifest, "flag") == ["False", "True"]
    with np.load(tmp_path / "shop" / "item_attributes.npz") as arrays:
        assert arrays["brand/row_splits"].tolist() == [0, 0, 1, 1, 2]
        assert arrays["tags/values"].tolist() == [1, 2, 1]


def pyarrow_list():
    import pyarrow as pa

    return pa.list_(pa.string())


def test_columns_that_are_not_named_are_not_read(make):
    df = log(other=[object(), np.nan, "x"])
    assert make(df).shards == make(log(), "again").shards


def test_the_frame_is_left_as_it_is(make):
    df, table = LOG.copy(), ITEMS.copy()
    make(df, item_features=table, **ALL)
    pd.testing.assert_frame_equal(df, LOG)
    pd.testing.assert_frame_equal(table, ITEMS)


def test_a_name_and_what_the_manifest_says(make, tmp_path):
    make(LOG, name="toys", **ALL)
    content = json.loads((tmp_path / "shop" / "dataset.json").read_text())
    assert content["name"] == "toys" and content["provenance"]["options"]["split"] == "leave_one_out"
    assert "pandas" in content["versions"]
