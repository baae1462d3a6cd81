"""The table of items of a delimited log: token, list and kind columns, text and parquet."""

import pyarrow as pa
import pyarrow.parquet
import pytest

from data_prep.prepare import prepare
from data_prep.sources import delimited, options
from tfrecs.data import manifest as manifests
from tfrecs.data.training_batches import item_attributes
from tfrecs.errors import InputError
from tfrecs.progress import StageProgress

DEFAULTS = {name: option.default for name, option in options.DELIMITED.items()}
LOG = "user,item,when,how\nu1,i1,10,view\nu1,q1,5,search\nu1,c1,20,receive\nu2,i2,7,buy\nu2,i9,9,view\n"
ITEMS = 'item,type,brand,tags,title\ni1,item,A,"x, with a comma|y",One\ni2,item,,y| x,Two\nq1,query,,,\nc1,coupon,A,,\n'
ITEMS += "z,item,B,z,Absent\n"
COLUMNS = {"timestamp_column": "when", "action_column": "how", "items_kind": "type", "items_lists": "tags"}


@pytest.fixture
def files(tmp_path):
    """Writes the log and `items.csv` with the given content; gives the options."""

    def write(items=ITEMS, name="items.csv"):
        (tmp_path / "log.csv").write_text(LOG)
        (tmp_path / name).write_bytes(items if isinstance(items, bytes) else items.encode())
        return {"path": str(tmp_path / "log.csv"), "items": str(tmp_path / name)} | COLUMNS

    return write


def attributes(options):
    log = delimited.open_log("delimited", DEFAULTS | options)
    found = {}
    for name, table in log.attribute_chunks():
        for row in table.to_pylist():
            found.setdefault(name, []).append((row["item"], row["value"]))
    return log, found


EXPECTED = {
    "kind": [("i1", "item"), ("i2", "item"), ("q1", "query"), ("c1", "coupon"), ("z", "item")],
    "brand": [("i1", "A"), ("c1", "A"), ("z", "B")],
    "tags": [("i1", "x, with a comma"), ("i1", "y"), ("i2", "y"), ("i2", "x"), ("z", "z")],
}


def test_token_list_and_kind_columns(files):
    log, found = attributes(files())
    assert log.fields == ("timestamp", "action")
    assert log.attributes == {"brand": "token", "tags": "list", "kind": "token"}
    assert found == EXPECTED
    assert log.provenance["columns_left_out"] == {"items.csv": ["title"]}
    assert list(log.provenance["raw_files"]) == ["log.csv", "items.csv"]


def test_parquet_lists(files, tmp_path):
    options = files() | {"items": str(tmp_path / "items.parquet"), "items_lists": None}
    columns = {
        "item": ["i1", "i2", "q1", "c1", "z"],
        "type": ["item", "item", "query", "coupon", "item"],
        "brand": ["A", None, None, "A", "B"],
        "tags": [["x, with a comma", "y"], ["y", " x"], [], None, ["z", ""]],
        "title": ["One", "Two", None, None, "Absent"],
    }
    pyarrow.parquet.write_table(pa.table(columns), options["items"])
    log, found = attributes(options)
    assert log.attributes == {"brand": "token", "tags": "list", "kind": "token"} and found == EXPECTED


def test_prepared_data_have_actions_and_attributes(files, tmp_path, decoded):
    data_dir = str(tmp_path / "data")
    manifest = prepare("delimited", data_dir, StageProgress(None), num_shards=2, **files())
    assert manifest.fields == ("item", "timestamp", "action")
    assert manifest.attributes == {"brand": "token", "tags": "list", "kind": "token"}
    assert decoded(data_dir)["u1"] == ((1, 2), [("q1", 5, "search"), ("i1", 10, "view"), ("c1", 20, "receive")])
    items, kinds = (manifests.read_vocabulary(data_dir, manifest, name) for name in ("item", "kind"))
    values, row_splits = item_attributes(data_dir, manifest)["kind"]
    rows = [values[row_splits[i + 1] : row_splits[i + 2]] for i in range(len(items))]
    found = {item: [kinds[value - 1] for value in row] for item, row in zip(items, rows, strict=True)}
    assert found == {"c1": ["coupon"], "i1": ["item"], "i2": ["item"], "i9": [], "q1": ["query"]}
    counts = manifest.provenance["item_attributes"]
    assert counts["items_not_in_log"] == 1  # z
    assert counts["items_without"] == {"brand": 3, "tags": 3, "kind": 1}  # i9 is not in the table
    assert manifest.provenance["options"]["items"] == "items.csv"


def test_a_log_may_be_its_own_table_of_items(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item,genre\nu1,a,x\nu2,a,x\nu1,b,y\n")
    log, found = attributes({"path": str(path), "items": str(path), "items_columns": "genre"})
    assert found == {"genre": [("a", "x"), ("a", "x"), ("b", "y")]} and list(log.provenance["raw_files"]) == ["log.csv"]


@pytest.mark.parametrize(
    "items, options, message",
    [
        ("item,type\ni1,\n", {"items_lists": None}, r"items\.csv:2: type is empty: ''"),
        ("item,type\ni1,item\n,item\n", {"items_lists": None}, r"items\.csv:3: item is empty: ''"),
        ("item,type\ni1,item,x\n", {"items_lists": None}, r"items\.csv:2: expected 2 fields, found 3: 'i1,item,x'"),
        (b"item,type\ni1,it\xffem\n", {"items_lists": None}, r"items\.csv:2: not UTF-8"),
        ('item,type\ni1,"a\nb"\n', {"items_lists": None}, r"items\.csv:2: type contains a line break: 'a\\nb'"),
        (ITEMS, {"items_kind": "kinds"}, r"no column 'kinds' \(items_kind\).*The columns are 'item', 'type'"),
        (ITEMS, {"items_lists": "tag"}, r"no column 'tag' \(items_lists\); did you mean 'tags'"),
        (ITEMS, {"items_columns": "brand,brand"}, "items_columns brand,brand: 'brand' is named twice"),
        (ITEMS, {"items_item_column": "sku"}, r"no column 'sku' \(items_item_column\)"),
        (ITEMS, {"items_columns": "item"}, "column 'item' names the items"),
        (ITEMS, {"items_kind": "tags"}, "items_kind tags: the kind is one value"),
        ("item,type,kind\ni1,item,k\n", {"items_lists": None}, "items_kind type: .* has another column 'kind'"),
        ("item,title\ni1,One\n", {"items_kind": None, "items_lists": None}, "no column becomes an attribute"),
        ("", {}, "items.csv: empty"),
        (ITEMS, {"items": None, "items_lists": None}, "items_kind type: has no effect without items"),
        (ITEMS, {"items_delimiter": "::"}, "items_delimiter: expected one ASCII character, got '::'"),
    ],
)
def test_what_is_wrong_is_named(files, items, options, message):
    with pytest.raises(InputError, match=message):
        attributes(files(items) | options)


def test_bad_rows_of_parquet_are_named(files, tmp_path):
    options = files() | {"items": str(tmp_path / "items.parquet"), "items_lists": None}
    pyarrow.parquet.write_table(pa.table({"item": ["a", "b"], "type": ["item", None]}), options["items"])
    with pytest.raises(InputError, match=r"items\.parquet:2: type is empty: ''"):
        attributes(options)
    pyarrow.parquet.write_table(pa.table({"item": ["a"], "type": ["item"], "size": [{"w": 1}]}), options["items"])
    with pytest.raises(InputError, match=r"items\.parquet: column 'size' holds struct<w: int64>"):
        attributes(options)


def test_bad_lines_are_counted_where_that_is_asked_for(files):
    log, found = attributes(files("item,type\ni1,\ni2,item\n") | {"items_lists": None, "on_bad_line": "skip"})
    assert found == {"kind": [("i2", "item")]} and log.provenance["bad_lines"] == {"attributes": 1}
