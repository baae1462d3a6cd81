from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def golden():
    """The folder of numbers read off the originals."""
    return Path(__file__).parents[1] / "golden"


@pytest.fixture
def altered(golden, tmp_path):
    """Copies a golden file with one array replaced: `change(array) -> array`, or None to leave it out."""

    def alter(name, key, change):
        with np.load(golden / name) as file:
            arrays = {entry: file[entry] for entry in file.files}
        value = change(arrays.pop(key).copy())
        path = tmp_path / f"{key.replace('/', '-')}.npz"
        np.savez(path, **arrays, **({} if value is None else {key: value}))
        return str(path)

    return alter
