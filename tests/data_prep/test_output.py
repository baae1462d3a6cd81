import os

import pytest

from data_prep.output import staged_directory
from tfrecs.errors import InputError


def make(path, text, overwrite=False):
    with staged_directory(str(path), overwrite) as directory:
        for name in ("dataset.json", text):
            with open(os.path.join(directory, name), "w") as file:
                file.write(text)


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
    with pytest.raises(InputError, match="exists already; --overwrite 1"):
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
