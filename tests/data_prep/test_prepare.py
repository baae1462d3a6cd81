import hashlib
import json
import os
import subprocess
import sys

import pytest

from data_prep.engines import local
from data_prep.prepare import prepare
from data_prep.sources import SOURCES
from tfrecs.data import manifest as manifests
from tfrecs.errors import InputError
from tfrecs.progress import StageProgress

SMALL = {"num_users": 40, "num_items": 80, "mean_length": 8}
SMALL_FLAGS = [f"--{name}={value}" for name, value in SMALL.items()]
CSV = "user,item,time,stars\nb,y,50,4\nb,x,40,2\na,x,5,5\na,y,6,5\na,z,7,3\n"


@pytest.fixture
def csv_file(tmp_path):
    path = tmp_path / "raw" / "log.csv"
    path.parent.mkdir()
    path.write_text(CSV)
    return path


def csv_flags(path):
    columns = ["--timestamp_column", "time", "--rating_column", "stars"]
    return ["--dataset", "delimited", "--path", path, *columns]


def test_delimited_end_to_end(tmp_path, csv_file, command, decoded):
    out_dir = tmp_path / "data"
    code, out, _ = command(*csv_flags(csv_file), "--out_dir", out_dir, "--num_shards", 3)
    assert code == 0
    assert "5 interactions, 2 users, 3 items, density 83.3 %" in out
    assert decoded(str(out_dir)) == {
        "a": ((1, 2), [("x", 5, 5), ("y", 6, 5), ("z", 7, 3)]),
        "b": ((1, 1), [("x", 40, 2), ("y", 50, 4)]),
    }
    manifest = manifests.load(str(out_dir))
    assert [shard.num_sequences for shard in manifest.shards] == [1, 1, 0]
    assert manifest.oracle is None
    digest = hashlib.sha256(CSV.encode()).hexdigest()
    assert manifest.provenance["raw_files"] == {"log.csv": digest}
    assert manifest.provenance["rows_read"] == 5
    assert manifest.provenance["options"]["path"] == "log.csv"
    assert str(tmp_path) not in (out_dir / "dataset.json").read_text()
    assert sorted(os.listdir(tmp_path)) == ["data", "raw"]


def test_same_input_gives_the_same_bytes(tmp_path):
    def content(name):
        prepare("sample", str(tmp_path / name), StageProgress(None), **SMALL)
        return {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }

    first = content("first")
    assert len(first) == 8 + 5 + 2  # shards, vocabularies, attributes and manifest
    assert first == content("second")


def test_oracle_only_while_it_holds(tmp_path):
    def oracle(name, **options):
        return prepare("sample", str(tmp_path / name), StageProgress(None), **SMALL, **options).oracle

    assert 0.3 < oracle("plain")["hr@10"] < 1
    assert oracle("ratio", split="ratio") is None
    assert oracle("filtered", min_rating=3) is None
    assert oracle("unchanged", min_user_interactions=2) == oracle("plain2")


def test_time_split_by_cuts(tmp_path, csv_file, command, decoded):
    out_dir = tmp_path / "data"
    cuts = ["--split", "time", "--valid_from", 7, "--test_from", 50]
    assert command(*csv_flags(csv_file), "--out_dir", out_dir, *cuts)[0] == 0
    assert {user: split for user, (split, _) in decoded(str(out_dir)).items()} == {
        "a": (2, 3),
        "b": (0, 1),
    }


def test_skipped_lines_are_counted_and_said(tmp_path, csv_file, command):
    csv_file.write_text(CSV + "a\n,q,1,2\nb,q,1,x\nb,q,1,y\n")
    out_dir = tmp_path / "data"
    flags = [*csv_flags(csv_file), "--out_dir", out_dir]
    code, _, err = command(*flags)
    assert code == 2 and "log.csv:7: expected 4 fields, found 1: 'a'" in err
    assert sorted(os.listdir(tmp_path)) == ["raw"]
    code, _, err = command(*flags, "--on_bad_line", "skip")
    assert code == 0 and "skipped 4 bad lines: fields 1, rating 2, user 1" in err
    provenance = manifests.load(str(out_dir)).provenance
    assert provenance["bad_lines"] == {"fields": 1, "rating": 2, "user": 1}
    assert provenance["rows_read"] == 5


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--dataset", "ml-100"], "unknown dataset 'ml-100'; did you mean 'ml-100k'?"),
        (["--num_user", "3"], "unknown flag '--num_user'; did you mean '--num_users'?"),
        (["--num_user=3"], "unknown flag '--num_user'; did you mean '--num_users'?"),
        (["data"], "unknown argument 'data'"),
        (["--num_users", "0"], "--num_users: expected an integer from 1 to 1000000000, got '0'"),
        (["--num_users"], "--num_users: expected one argument"),
        (["--raw_dir", "x"], "--raw_dir: not an option of dataset sample"),
        (["--overwrite", "2"], "--overwrite: expected an integer from 0 to 1"),
        (["--split", "leave_one"], "did you mean 'leave_one_out'?"),
        (["--valid_fraction", ".1"], "--valid_fraction 0.1: has no effect"),
        (["--num_items", "20"], "--num_items 20: at least"),
        (["--min_user_interactions", "99"], "40 users with 80 items after --min_user_interactions 99"),
    ],
)
def test_bad_flags_exit_2_and_leave_nothing(tmp_path, command, flags, message):
    given = [flag for flag in SMALL_FLAGS if flag.partition("=")[0] not in flags]
    code, out, err = command("--out_dir", tmp_path / "data", *given, *flags)
    assert code == 2
    assert message in err.splitlines()[-1]
    assert out == ""
    assert os.listdir(tmp_path) == []


def test_fields_that_options_need(tmp_path, csv_file, command):
    flags = ["--dataset", "delimited", "--path", csv_file, "--out_dir", tmp_path / "data"]
    code, _, err = command(*flags, "--min_rating", 3)
    assert code == 2 and "--min_rating: dataset delimited has no ratings" in err
    code, _, err = command(*flags, "--split", "time")
    assert code == 2 and "--split time: dataset delimited has no timestamps" in err


def test_no_rows(tmp_path, csv_file, command):
    csv_file.write_text("user,item,time,stars\n")
    code, _, err = command(*csv_flags(csv_file), "--out_dir", tmp_path / "data")
    assert code == 2 and "the log has no interactions" in err


def test_existing_directory(tmp_path, command):
    flags = ["--out_dir", tmp_path / "data", *SMALL_FLAGS]
    assert command(*flags)[0] == 0
    before = (tmp_path / "data" / "dataset.json").read_bytes()
    code, _, err = command(*flags, "--seed", 8)
    assert code == 2 and "exists already" in err
    assert (tmp_path / "data" / "dataset.json").read_bytes() == before
    assert command(*flags, "--seed", 8, "--overwrite", 1)[0] == 0
    assert (tmp_path / "data" / "dataset.json").read_bytes() != before
    assert os.listdir(tmp_path) == ["data"]


def test_interrupt_leaves_nothing(tmp_path, command, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(local.splits, "boundaries", interrupt)
    code, _, err = command("--out_dir", tmp_path / "data", *SMALL_FLAGS)
    assert code == 130 and "nothing was left behind" in err
    assert os.listdir(tmp_path) == []


def test_a_directory_with_quotes_in_its_name(tmp_path, csv_file, command, decoded):
    out_dir = tmp_path / 'it\'s "mine"'
    assert command(*csv_flags(csv_file), "--out_dir", out_dir)[0] == 0
    assert len(decoded(str(out_dir))) == 2


def test_show_details(tmp_path, csv_file, command):
    out_dir = tmp_path / "data"
    command(*csv_flags(csv_file), "--out_dir", out_dir)
    code, out, _ = command("--show_details", out_dir)
    assert code == 0
    assert "sequence lengths: min 2, 25 % 2, median" in out
    assert '{"kind": "leave_one_out"}: 2 training, 1 validation, 2 test' in out
    assert "user 'a', 3 interactions:\n  item 'x', timestamp 5, rating 5.0\n" in out
    assert json.dumps({"log.csv": hashlib.sha256(CSV.encode()).hexdigest()})[1:-1] in out
    shard = next(out_dir.glob("*.tfrecord"))
    shard.write_bytes(shard.read_bytes() + b"x")
    code, _, err = command("--show_details", out_dir)
    assert code == 2 and "truncated or altered" in err
    code, _, err = command("--show_details", tmp_path)
    assert code == 2 and "no prepared data here" in err


def test_python_function_checks_too(tmp_path):
    with pytest.raises(InputError, match="^out_dir: required"):
        prepare("sample")
    with pytest.raises(InputError, match="^sed: not an option.*did you mean 'seed'"):
        prepare("sample", str(tmp_path / "data"), StageProgress(None), sed=3)
    assert os.listdir(tmp_path) == []


def test_as_a_module(tmp_path):
    run = subprocess.run([sys.executable, "-m", "data_prep.prepare", "--help"], capture_output=True, text=True)
    assert run.returncode == 0
    assert "--min_user_interactions N" in run.stdout and "ml-latest-small" in run.stdout
    for source in SOURCES.values():
        assert all(f"--{name}" in run.stdout for name in source.options)
    assert "--split leave_one_out|ratio|time" in run.stdout and "--kinds 0|1" in run.stdout
    # An option that sources share is described once, and said of each, with its own default.
    assert "atomic:\n  also --raw_dir, --on_bad_line (default error)\n" in run.stdout
    assert "also --user_column (default user), --item_column (default item)," in run.stdout
