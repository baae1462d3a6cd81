"""The command line on several kinds of objects: the unified model, its metrics by kind, its lists by kind."""

import csv
import json
import os

import pytest

from data_prep.prepare import prepare
from tfrecs.command_line import arguments, run
from tfrecs.errors import InputError
from tfrecs.progress import StageProgress

KINDS = ("coupon", "item", "query")
SMALL = ("--item_dim", "4", "--attribute_dim", "2", "--action_dim", "2", "--hidden_units", "8", "--num_heads", "2")
SMALL += ("--max_history", "8", "--batch_size", "128", "--strategy", "none")
MULTI = ("--model", "atrank", "--preset", "multi")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A working directory where the sample with kinds, tiny, is what the preset `multi` finds prepared."""
    home = tmp_path_factory.mktemp("home")
    options = {"num_users": 60, "num_items": 60, "mean_length": 10, "num_shards": 1, "kinds": 1}
    prepare("sample", str(home / "data" / "sample-kinds"), StageProgress(None), **options)
    return home


def metrics_of(run_dir):
    with open(os.path.join(run_dir, "metrics.json"), encoding="utf-8") as file:
        return json.load(file)


def check_metrics(metrics):
    for group in ("test", "popularity", "transitions", "oracle"):
        assert {f"{group}_auc", *(f"{group}_auc_{kind}" for kind in KINDS)} <= metrics.keys()
        assert all(0 <= metrics[f"{group}_auc_{kind}"] <= 1 for kind in KINDS)
    assert metrics["dataset"] == "sample-kinds" and metrics["unseen_items_share"] == "kind"
    assert metrics["test_loss"] > 0


@pytest.mark.parametrize(
    "name, history, target",
    [("att-a2a", "", ""), ("att-a2i", "", "item"), ("att-i2i", "item", "item"), ("att-c2q", "coupon", "query")],
)
def test_the_kinds_that_a_network_reads_and_predicts(name, history, target):
    recipe = arguments.parse([*MULTI, "--net_type", name]).recipe
    flags = [f"--history_kind={history}"] * bool(history) + [f"--target_kind={target}"] * bool(target)
    ours = arguments.parse([*MULTI, *flags]).recipe
    unset = {"history_kind": "", "target_kind": ""}
    assert recipe.model_arguments == unset | ours.model_arguments and ours.model_arguments["object_type"] == "kind"
    assert recipe.config == ours.config and recipe.data_options == {"kinds": 1}
    with pytest.raises(InputError, match=f"^--target_kind other: contradicts --net_type {name}$"):
        arguments.parse([*MULTI, "--net_type", name, "--target_kind", "other"])
    other = arguments.parse([*MULTI, "--net_type", name, "--object_type", "sort"]).recipe
    assert other.model_arguments["object_type"] == "sort"


@pytest.mark.slow
def test_the_unified_model(home, monkeypatch, capfd):
    monkeypatch.chdir(home)
    assert run.main([*MULTI, "--epochs", "2", *SMALL, "--num_recommendations", "3"]) == 0
    out, err = capfd.readouterr()
    run_dir = os.path.join("runs", "atrank-multi-sample-kinds")
    check_metrics(metrics_of(run_dir))
    with open(os.path.join(run_dir, "history.csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for number, row in enumerate(rows, 1):
        shown = [f"test_auc {float(row['test_auc']):.4f}", f"test_loss {float(row['test_loss']):.4f}"]
        shown += [f"test_auc_{kind} {float(row[f'test_auc_{kind}']):.4f}" for kind in KINDS]
        (line,) = [line for line in err.splitlines() if line.startswith(f"epoch {number}/2  loss ")]
        assert all(text in line for text in shown) and "gauc" not in line
    assert "against unseen items of the same kind" in out
    lists = out.partition("run directory")[2].split("3 recommendations of kind ")
    assert [part.partition(" ")[0] for part in lists[1:]] == list(KINDS)
    for kind, text in zip(KINDS, lists[1:], strict=True):
        assert text.count(f". item {kind[0]}") == text.count("score ") == 3


@pytest.mark.slow
def test_one_model_per_kind_is_chosen_by_its_own_auc(home, monkeypatch, tmp_path):
    monkeypatch.chdir(home)
    flags = ("--epochs", "2", *SMALL, "--num_recommendations", "0", "--run_dir", str(tmp_path / "run"))
    one = ("--history_kind", "query", "--target_kind", "query", "--select_metric", "auc_query")
    assert run.main([*MULTI, *flags, *one]) == 0
    with open(tmp_path / "run" / "history.csv", encoding="utf-8") as file:
        values = [float(row["test_auc_query"]) for row in csv.DictReader(file)]
    metrics = metrics_of(tmp_path / "run")
    assert metrics["best_epoch"] == 1 + values.index(max(values))
    assert metrics["train_examples"] % 4 == 0  # a positive and a negative each, in 2 epochs
    with open(os.path.join("data", "sample-kinds", "dataset.json"), encoding="utf-8") as file:
        content = json.load(file)
    assert 0 < metrics["train_examples"] < 2 * 2 * content["num_interactions"] / 3


def test_a_kind_that_the_data_lacks_chooses_no_epoch(home, monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(home)
    run_dir = tmp_path / "run"
    assert run.main([*MULTI, *SMALL, "--run_dir", str(run_dir), "--select_metric", "auc_querry"]) == 2
    message = "--select_metric: no metric 'auc_querry' of --protocol pair_auc; did you mean 'auc_query'?"
    assert message in capfd.readouterr().err and not run_dir.exists()
    assert run.main([*MULTI, *SMALL, "--run_dir", str(run_dir), "--select_metric", "mrr_query"]) == 2


@pytest.mark.slow
def test_other_models_are_judged_within_kinds_too(home, monkeypatch, tmp_path):
    monkeypatch.chdir(home)
    flags = ("--model", "attrec", "--data_dir", "data/sample-kinds", "--embedding_dim", "4", "--epochs", "1")
    flags += ("--strategy", "none", "--protocol", "pair_auc", "--num_recommendations", "0")
    assert run.main([*flags, "--run_dir", str(tmp_path / "run")]) == 0
    metrics = metrics_of(tmp_path / "run")
    assert {f"valid_auc_{kind}" for kind in KINDS} | {f"test_auc_{kind}" for kind in KINDS} <= metrics.keys()


@pytest.mark.slow
@pytest.mark.parametrize("dataset", [(), ("--dataset", "sample")])
def test_one_command_prepares_and_trains(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    size = (
        "--item_dim",
        "16",
        "--attribute_dim",
        "8",
        "--action_dim",
        "8",
        "--hidden_units",
        "32",
        "--batch_size",
        "256",
    )
    assert run.main([*MULTI, *dataset, "--epochs", "1", *size, "--learning_rate", "0.5"]) == 0
    assert os.path.isdir(os.path.join("data", "sample-kinds")) and not os.path.exists(os.path.join("data", "sample"))
    metrics = metrics_of(os.path.join("runs", "atrank-multi-sample-kinds"))
    check_metrics(metrics)
    assert metrics["num_interactions"] == 48059 and metrics["test_auc"] > metrics["popularity_auc"]
