import json
import os
import shutil

import pytest

from data_prep.data_directory import staged_directory
from tfrecs.errors import InputError


def make(path, text, overwrite=False):
    """Makes a directory of a manifest and of one shard, called `text`."""
    with staged_directory(str(path), overwrite) as directory:
        contents = {"dataset.json": json.dumps({"shards": [{"path": text}], "vocabularies": {}}), text: text}
        for name, content in contents.items():
            with open(os.path.join(directory, name), "w") as file:
                file.write(content)


def names(path):
    return sorted(os.listdir(path))


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_nothing(tmp_path, failure):
    with pytest.raises(failure):
        with staged_directory(str(tmp_path / "data")) as directory:
            open(os.path.join(directory, "half"), "w").close()
            raise failure
    assert names(tmp_path) == []


def test_appears_at_the_end_with_usual_permissions(tmp_path):
    with staged_directory(str(tmp_path / "a" / "data")):
        assert not (tmp_path / "a" / "data").exists()
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "a" / "data").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert names(tmp_path / "a") == ["data"]


def test_exists_and_overwrite(tmp_path):
    make(tmp_path / "data", "old")
    with pytest.raises(InputError, match="exists already; overwrite=True replaces it"):
        make(tmp_path / "data", "new")
    assert names(tmp_path / "data") == ["dataset.json", "old"]
    make(tmp_path / "data", "new", overwrite=True)
    assert names(tmp_path / "data") == ["dataset.json", "new"]
    assert names(tmp_path) == ["data"]


def test_failed_overwrite_keeps_the_old(tmp_path):
    make(tmp_path / "data", "old")
    with pytest.raises(RuntimeError):
        with staged_directory(str(tmp_path / "data"), True):
            raise RuntimeError
    assert names(tmp_path / "data") == ["dataset.json", "old"]


def test_overwrite_spares_other_directories(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").touch()
    with pytest.raises(InputError, match="holds other files but no dataset.json"):
        make(tmp_path / "thesis", "new", overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="not a directory"):
        make(tmp_path / "file", "new", overwrite=True)
    assert names(tmp_path / "thesis") == ["chapter"]


def test_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/data: cannot be written"):
        make(tmp_path / "file" / "data", "new")


@pytest.mark.parametrize("name", ["notes.txt", "vocab/notes.txt", ".hidden", "empty/", "run/config.json"])
def test_overwrite_spares_a_directory_with_foreign_files(tmp_path, name):
    make(tmp_path / "data", "old")
    foreign = tmp_path / "data" / name
    foreign.mkdir(parents=True) if name.endswith("/") else foreign.parent.mkdir(exist_ok=True)
    if not name.endswith("/"):
        foreign.write_text("mine")
    with pytest.raises(InputError, match="which is not part of the prepared data"):
        make(tmp_path / "data", "new", overwrite=True)
    assert foreign.exists() and (tmp_path / "data" / "old").exists()
    assert names(tmp_path) == ["data"]


def test_a_foreign_file_that_appears_meanwhile_is_spared(tmp_path):
    make(tmp_path / "data", "old")
    with pytest.raises(InputError, match="'notes', which is not part of the prepared data"):
        with staged_directory(str(tmp_path / "data"), True):
            (tmp_path / "data" / "notes").write_text("mine")
    assert names(tmp_path / "data") == ["dataset.json", "notes", "old"] and names(tmp_path) == ["data"]


@pytest.mark.parametrize("content", ["{", "[]", '{"shards": 5}', '{"shards": [5], "vocabularies": {}}', "[" * 99_999])
def test_overwrite_spares_a_directory_whose_files_are_unknown(tmp_path, content):
    make(tmp_path / "data", "old")
    (tmp_path / "data" / "dataset.json").write_text(content)
    with pytest.raises(InputError, match="dataset.json is damaged, so it is unknown which files are the data's"):
        make(tmp_path / "data", "new", overwrite=True)
    assert names(tmp_path / "data") == ["dataset.json", "old"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_directory_that_appears_meanwhile_is_spared(tmp_path, overwrite):
    path = tmp_path / "data"
    for content in ([], ["another"]):
        with pytest.raises(InputError, match="appeared while the data were prepared"):
            with staged_directory(str(path), overwrite) as directory:
                open(os.path.join(directory, "new"), "w").close()
                for folder in (path, *(path / name for name in content)):
                    folder.mkdir()
        assert names(path) == content and names(tmp_path) == ["data"]
        shutil.rmtree(path)


def test_a_directory_that_another_one_took_the_place_of_is_spared(tmp_path):
    make(tmp_path / "data", "old")
    with pytest.raises(InputError, match="replaced by another process while the data were prepared"):
        with staged_directory(str(tmp_path / "data"), True):
            os.rename(tmp_path / "data", tmp_path / "moved")
            make(tmp_path / "other", "another")
            os.rename(tmp_path / "other", tmp_path / "data")
    assert names(tmp_path / "data") == ["another", "dataset.json"]
    assert names(tmp_path / "moved") == ["dataset.json", "old"]


def test_two_preparations_of_one_directory(tmp_path):
    with staged_directory(str(tmp_path / "data")) as directory:
        open(os.path.join(directory, "first"), "w").close()
        with pytest.raises(InputError, match=f"out_dir {tmp_path / 'data'}: another process is writing there"):
            make(tmp_path / "data", "second")
    assert names(tmp_path / "data") == ["first"] and names(tmp_path) == ["data"]
