"""What `tfrecs.prepare` is given: a DataFrame, a file or a source; messages name the arguments that the caller used."""

import os

import pandas as pd
import pytest

import tfrecs
from data_prep.prepare import main
from tfrecs.errors import InputError
from tfrecs.progress import StageProgress

LOG = pd.DataFrame({"user": ["a", "a", "b", "b"], "item": ["x", "y", "y", "z"]})
QUIET = StageProgress(None)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"out_dir": None}, "out_dir: expected a path, got None"),
        ({"out_dir": ""}, "out_dir: empty"),
        ({"data": 5}, "data: expected a pandas DataFrame or a path, got 5"),
        ({"progress": 5}, "progress: expected a StageProgress, got 5"),
        ({"overwrite": "no"}, "overwrite: expected True or False, got 'no'"),
        ({"split": "half"}, "split: unknown value 'half'"),
        ({"num_shards": 0}, "num_shards: expected an integer from 1 to 1000, got 0"),
        ({"num_shard": 3}, "num_shard: not an option of DataFrames; did you mean 'num_shards'"),
        ({"valid_fraction": 0.5}, "valid_fraction 0.5: has no effect with split leave_one_out"),
        ({"min_rating": 3}, "min_rating: dataset data has no ratings"),
        ({"keep_fraction": 0.5}, "keep_fraction 0.5: dataset data has no timestamps"),
        ({"user": "usr"}, "user: data has no column 'usr'; did you mean 'user'"),
        ({"item_features": 5}, "item_features: expected a pandas DataFrame or a path, got 5"),
        ({"item_features": "none.csv"}, "none.csv: No such file or directory"),
        ({"df": LOG}, "df: data says what is prepared; leave it out"),
        ({"dataset": "sample"}, "dataset: data says what is prepared; leave it out"),
    ],
)
def test_arguments_of_prepare_for_a_frame(tmp_path, values, message):
    arguments = {"data": LOG, "out_dir": tmp_path / "data", "user": "user", "item": "item", "progress": QUIET}
    with pytest.raises(InputError, match=f"^{message}"):
        tfrecs.prepare(**{**arguments, **values})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "values, message",
    [
        ({"user": 0}, "user: expected text, got 0"),
        ({"user": "usr"}, r"log.csv: no column 'usr' \(user\); did you mean 'user'"),
        ({"user_column": "usr"}, r"log.csv: no column 'usr' \(user_column\); did you mean 'user'"),
        ({"user": "user", "user_column": "u"}, "user_column: the same as user, which is given"),
        ({"path": "other.csv"}, "path: the same as data, which is given"),
        ({"item_features": "items.csv", "items": "items.csv"}, "items: the same as item_features, which is given"),
        ({"item_features": LOG}, "item_features: expected the path of a table, since data is one, got a DataFrame"),
        ({"items_kind": "type"}, "items_kind type: has no effect without item_features"),
        ({"delimiter": "::"}, "delimiter: expected one ASCII character, got '::'"),
    ],
)
def test_arguments_of_prepare_for_a_file(tmp_path, monkeypatch, values, message):
    monkeypatch.chdir(tmp_path)
    LOG.to_csv("log.csv", index=False)
    with pytest.raises(InputError, match=f"^{message}"):
        tfrecs.prepare("log.csv", "data", progress=QUIET, **values)
    assert os.listdir() == ["log.csv"]


def test_a_frame_with_a_table_of_items_in_a_file(tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("item,brand,tags\nx,b1,t1|t2\ny,b2,\nz,b1,t1\n")
    given = {"user": "user", "item": "item", "progress": QUIET, "num_shards": 1}
    data = tfrecs.prepare(LOG, tmp_path / "data", item_features=items, items_lists="tags", **given)
    assert data.manifest.attributes == {"brand": "token", "tags": "list"}
    table = pd.DataFrame({"item": ["x", "y", "z"], "brand": ["b1", "b2", "b1"], "tags": [["t1", "t2"], [], ["t1"]]})
    other = tfrecs.prepare(LOG, tmp_path / "other", item_features=table, **given)
    assert (data.manifest.vocabularies, data.manifest.shards) == (other.manifest.vocabularies, other.manifest.shards)
    with pytest.raises(InputError, match=r"items.csv: no column 'sku' \(item\)"):
        tfrecs.prepare(
            LOG.rename(columns={"item": "sku"}), tmp_path / "new", user="user", item="sku", item_features=items
        )


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--test_ratio", "0.2", "--split", "leave_one_out"), "--test_ratio 0.2: has no effect with --split leave_one"),
        (("--test_ratio", "0.2", "--split", "time", "--valid_from", "5"), "--test_ratio 0.2: has no effect with --val"),
        (("--data_path", "nowhere"), "--data_path nowhere/ml-1m: no such directory"),
        (("--raw_dir", "nowhere", "--data_path", "there"), "--raw_dir nowhere: no such directory"),
    ],
)
def test_the_originals_flags_are_named_where_they_were_given(capsys, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    assert main(["--dataset", "ml-1m", "--out_dir", "data", *flags]) == 2
    assert f"error: {message}" in capsys.readouterr().err
