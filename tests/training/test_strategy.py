"""Two replicas on two logical CPU devices: the same run as on one device, through the command line."""

import csv

import pytest

from tfrecs.runs import listing

FLAGS = ("--epochs", "2", "--dropout", "0", "--save_checkpoints_steps", "2")


def _history(run_dir):
    with open(run_dir / "history.csv", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_two_replicas_stopped_and_resumed_give_the_history_of_one(tmp_path, command, metrics, before_step):
    one, two = tmp_path / "one", tmp_path / "two"
    assert command(one, *FLAGS, "--strategy", "none")[0] == 0

    def interrupt(loop):
        assert loop.strategy.num_replicas_in_sync == 2
        raise KeyboardInterrupt

    assert before_step(10, interrupt, two, *FLAGS, "--strategy", "mirrored")[0] == 130
    _, (epoch, step) = listing.position(listing.newest(two))
    assert epoch == 1 and step > 0
    assert command(two, *FLAGS, "--strategy", "mirrored", "--load_model", "1")[0] == 0
    assert len(_history(one)) == 2
    for expected, found in zip(_history(one), _history(two), strict=True):
        assert found == pytest.approx(expected, abs=1e-5, rel=1e-5)
    expected, found = metrics(one), metrics(two)
    names = [name for name in expected if name.startswith(("test_", "popularity_", "transitions_", "valid_hr"))]
    assert len(names) > 20 and expected["test_users"] == 60
    assert {name: found[name] for name in names} == pytest.approx({name: expected[name] for name in names}, abs=1e-5)
