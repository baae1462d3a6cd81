"""A small prepared data set that every model can train on; operations that give equal bits."""

import pytest
from tensorflow.python.framework import config

from data_prep.prepare import prepare
from tfrecs.data.dataset import Dataset
from tfrecs.progress import StageProgress

pytest.register_assert_rewrite(
    *(f"tests.models.{name}" for name in ("harness", "keras_case", "replica_case", "replicas"))
)


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """`Dataset` of 40 users and 40 items with times, ratings, actions and item attributes."""
    path = str(tmp_path_factory.mktemp("shop") / "data")
    prepare("sample", path, StageProgress(None), num_users=40, num_items=40, mean_length=8)
    return Dataset(path)


@pytest.fixture
def deterministic():
    """Operations that give equal bits, for one test: XLA is off where they do."""
    before = config.is_op_determinism_enabled()
    config.enable_op_determinism()
    yield
    if not before:
        config.disable_op_determinism()
