"""The flags of ARERec's `dataset.py`."""

import json
import os

import pytest

from data_prep import original_flags
from tests.raw_files import write_u_data
from tfrecs.errors import InputError

VERSION = "ml-100k_8020_minseq20_bs128_dper1.0"
COMMAND = "--data_path Data/ --dataset ml-100k --min_seq 20 --test_ratio 0.2 --batch_size 128 --data_percent 1.0"


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """Changes to a directory with `Data/ml-100k/u.data`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Data" / "ml-100k").mkdir(parents=True)
    return write_u_data(tmp_path / "Data" / "ml-100k" / "u.data")


def test_the_command_of_its_readme_prepares_a_data_version(raw, command, tmp_path):
    code, stdout, stderr = command(*COMMAND.split())
    assert code == 0, stderr
    directory = tmp_path / "Data" / "ml-100k" / VERSION
    manifest = json.loads((directory / "dataset.json").read_text())
    assert stdout.startswith(f"Data/ml-100k/{VERSION}: ml-100k: {len(raw):,} interactions, ")
    assert manifest["split"] == {"kind": "ratio", "valid_fraction": 0.0, "test_fraction": 0.2}
    assert manifest["provenance"]["options"]["min_user_interactions"] == 20
    assert manifest["provenance"]["options"]["min_item_interactions"] == 20
    for part in ("--batch_size 128: part of the data version's name", f"--data_version {VERSION} finds them"):
        assert part in stderr
    code, stdout, _ = command("--dataset", "ml-100k", "--show_details", VERSION)
    assert code == 0 and stdout.startswith(f"ml-100k: {len(raw):,} interactions, ")
    counts = sorted(sum(row[1] == item for row in raw) for item in {row[1] for row in raw})
    assert f"interactions per item: min {counts[0]}, mean {len(raw) // len(counts)}, max {counts[-1]}\n" in stdout


def test_the_directory_may_be_named(raw, command, tmp_path):
    code, _, stderr = command(*COMMAND.split(), "--out_dir", "elsewhere")
    assert code == 0 and "--data_version" not in stderr
    assert (tmp_path / "elsewhere" / "dataset.json").exists()
    assert os.listdir(tmp_path / "Data" / "ml-100k") == ["u.data"]


def test_the_file_that_the_original_reads(raw, command, tmp_path):
    path = tmp_path / "Data" / "ml-1m"
    path.mkdir()
    rows = "".join(",".join(map(str, row)) + "\n" for row in raw)
    (path / "ml-1m_ratings.csv").write_text("user_id,movie_id,stars,time\n" + rows)
    code, stdout, stderr = command("--data_path", "Data/", "--dataset", "ml-1m")
    assert code == 0, stderr
    assert stdout.startswith(f"Data/ml-1m/ml-1m_8020_minseq20_bs128_dper1.0: ml-1m: {len(raw):,} interactions")


def test_a_smaller_share_keeps_the_earliest(raw, command, decoded, tmp_path):
    flags = "--data_path Data/ --dataset ml-100k --min_seq 1 --test_ratio 0 --data_percent 0.25 --out_dir small"
    code, _, stderr = command(*flags.split())
    assert code == 0, stderr
    earliest = sorted(raw, key=lambda row: row[3])[: len(raw) // 4]
    kept = {(user, item) for user, (_, rows) in decoded(str(tmp_path / "small")).items() for item, *_ in rows}
    assert kept == {(str(user), str(item)) for user, item, _, _ in earliest}


@pytest.mark.parametrize(
    "flags, message",
    [
        ("--data_percent 0", "--data_percent: expected a number in (0, 1], got '0'"),
        ("--data_percent 2", "--data_percent: expected a number in (0, 1], got '2'"),
        ("--test_ratio 1", "--test_ratio: expected a number in [0, 1), got '1'"),
        ("--min_seq many", "--min_seq: expected an integer, got 'many'"),
        ("--batch_size 0", "--batch_size: expected an integer of at least 1, got '0'"),
        ("--min_seq 5 --min_item_interactions 6", "--min_item_interactions and --min_seq are the same option"),
        ("--data_path Data/ --dataset sample", "--data_path Data/: dataset sample reads no directory"),
        (f"--show_details {VERSION} --min_seq 5", "--min_seq: has no effect with --show_details"),
        (f"--show_details {VERSION} --split time", "--split: has no effect with --show_details"),
    ],
)
def test_what_cannot_be_meant_is_named(flags, message, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = command("--dataset", "ml-100k", *flags.split())
    assert code == 2 and message in stderr
    assert os.listdir(tmp_path) == []


def test_a_dataset_is_refused_where_a_directory_is_shown(raw, command, tmp_path):
    assert command(*COMMAND.split(), "--out_dir", "elsewhere")[0] == 0
    code, stdout, stderr = command("--dataset", "ml-1m", "--show_details", "elsewhere")
    assert code == 2 and not stdout
    assert "--dataset ml-1m: has no effect with --show_details elsewhere, which is a directory" in stderr
    assert command("--show_details", "elsewhere")[0] == 0


def test_own_flags_come_first():
    values = {"dataset": "ml-1m", "out_dir": "x", "test_ratio": "0.3", "valid_fraction": "0.1"}
    assert original_flags.translate(values)[0]["valid_fraction"] == "0.1"
    with pytest.raises(InputError, match="--test_fraction and --test_ratio"):
        original_flags.translate(values | {"test_fraction": "0.2"})
