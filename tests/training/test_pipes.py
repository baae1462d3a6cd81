"""A named pipe in a run directory or a data directory is refused or passed over; opening it would wait for ever."""

import os
import shutil

import pytest

from tests import prepared
from tfrecs.data import manifest as manifests
from tfrecs.errors import InputError
from tfrecs.runs import directory as runs

NAMES = ("config.json", "checkpoint", "cp-0002.index", "cp-0002.json", "cp-0002.data-00000-of-00001")


def pipe(path):
    os.remove(path)
    os.mkfifo(path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", NAMES)
def test_a_pipe_in_a_run_directory_does_not_hang(run_dir, name):
    pipe(run_dir / name)
    try:
        runs.load_model(str(run_dir))
    except InputError as error:
        assert str(run_dir) in str(error)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["dataset.json", "vocab/item.txt", "sequences-00000-of-00002.tfrecord"])
def test_a_pipe_in_prepared_data_is_refused(tmp_path, name):
    from tfrecs.data import verification

    directory = str(tmp_path / "data")
    prepared.write(directory, {user: ((2, 3), {"item": [1, 2, 3, 4]}) for user in (1, 2)}, 4)
    pipe(os.path.join(directory, name))
    with pytest.raises(InputError, match=os.path.basename(name)):
        verification.verify(directory, manifests.load(directory))
    shutil.rmtree(directory)
