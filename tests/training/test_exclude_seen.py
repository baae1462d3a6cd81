"""Whether seen items are left out: what the protocol does is what the configuration says, and nothing else is taken."""

import pytest

from tfrecs.command_line.arguments import parse
from tfrecs.errors import InputError
from tfrecs.evaluation import protocols
from tfrecs.runs.config import TrainConfig
from tfrecs.training.recipe import configure

DOES = {"full_ranking": True, "recbole": False, "pair_auc": True, "rated_list": False}


@pytest.mark.parametrize("protocol", DOES)
def test_the_configuration_says_what_the_protocol_does(protocol):
    metric = protocols.DEFAULT_METRICS[protocol]
    config = TrainConfig(protocol=protocol, select_metric=metric)
    assert config.exclude_seen is protocols.create(config).exclude_seen is DOES[protocol]
    config = configure({}, {"protocol": protocol})
    assert config.exclude_seen is DOES[protocol]


@pytest.mark.parametrize("protocol, value", [("recbole", 1), ("pair_auc", 0), ("rated_list", 1)])
def test_what_the_protocol_leaves_no_choice_in_is_refused(protocol, value):
    flags = ["--model", "attrec", "--protocol", protocol, "--exclude_seen"]
    with pytest.raises(
        InputError, match=f"--exclude_seen {value}: --protocol {protocol} .*; full_ranking has the choice"
    ):
        parse([*flags, str(value)])
    assert parse([*flags, str(1 - value)]).recipe.config.exclude_seen is not bool(value)


def test_another_protocol_has_its_own_default():
    assert configure({"protocol": "recbole", "exclude_seen": False}, {"protocol": "full_ranking"}).exclude_seen
    assert not configure({"exclude_seen": False}, {"protocol": "full_ranking"}).exclude_seen  # AttRec's `original`
    assert not configure({"exclude_seen": False}, {}).exclude_seen


def test_a_run_says_so(tmp_path, command, metrics):
    flags = ("--epochs", "1", "--protocol", "recbole", "--select_metric", "recall@20", "--decay_epochs", "0")
    assert command(tmp_path / "run", *flags)[0] == 0
    assert metrics(tmp_path / "run")["exclude_seen"] is False
    assert '"exclude_seen": false' in (tmp_path / "run" / "config.json").read_text()


@pytest.mark.slow
def test_a_phase_is_compared_with_baselines_of_what_it_trained_on(tmp_path, command, metrics):
    """Of a run that trains again on validation items: its first phase's weights have not seen these.

    That run's directory has the name of a second phase's folder, which says nothing about its weights.
    """
    flags, judge = ("--epochs", "1", "--decay_epochs", "0", "--do_eval", "0"), ("--do_train", "0")
    found = {}
    for name, retrain, checkpoint in (("once", "0", ()), ("retrain", "1", ("--load_weight_path", "best-0001"))):
        run_dir = tmp_path / name
        assert command(run_dir, *flags, "--retrain", retrain)[0] == 0
        assert command(run_dir, *judge, *checkpoint)[0] == 0
        found[name] = popularity(metrics(run_dir))
        assert metrics(run_dir)["retrained_on_validation"] is False
    assert found["retrain"] == found["once"]
    assert command(tmp_path / "retrain", *judge)[0] == 0
    second = metrics(tmp_path / "retrain")
    assert second["checkpoint"].startswith("retrain") and second["retrained_on_validation"] is True
    assert popularity(second) != found["once"]


def popularity(metrics):
    values = {name: value for name, value in metrics.items() if name.startswith("popularity_")}
    assert len(values) > 5
    return values
