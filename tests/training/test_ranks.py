"""What a run writes about each user: ranks.parquet, and intervals over users in metrics.json."""

import json

import numpy as np
import pytest
from pyarrow import parquet

import tfrecs
from tfrecs.command_line import main
from tfrecs.data.manifest import load, read_vocabulary
from tfrecs.errors import InputError
from tfrecs.runs import history

JUDGE = ("--do_train", "0")


def judged(run_dir):
    """`(users, ranks, metrics.json)` of a run directory."""
    table = parquet.read_table(run_dir / "ranks.parquet").to_pydict()
    return table["user"], np.array(table["rank"]), json.loads((run_dir / "metrics.json").read_text())


def test_ranks_are_those_of_every_test_user_and_give_the_metrics(run_dir, data_dir, command):
    assert command(run_dir, *JUDGE)[0] == 0
    users, ranks, metrics = judged(run_dir)
    manifest = load(data_dir)
    assert users == read_vocabulary(data_dir, manifest, "user")  # all of the sample's have a test item
    assert len(users) == metrics["test_users"] and ranks.min() >= 1 and ranks.max() <= manifest.num_items
    assert metrics["test_hr@10"] == pytest.approx((ranks <= 10).mean())
    assert metrics["test_mrr"] == pytest.approx((1 / ranks).mean(), rel=1e-6)
    gains = np.where(ranks <= 20, 1 / np.log2(ranks + 1), 0)
    assert metrics["test_ndcg@20"] == pytest.approx(gains.mean(), rel=1e-6)


@pytest.mark.slow
def test_ranks_do_not_depend_on_batches_or_replicas(run_dir, command):
    found = []
    for flags in ("--eval_batch_size", "7"), ("--eval_batch_size", "10", "--strategy", "mirrored"):
        assert command(run_dir, *JUDGE, *flags)[0] == 0
        found.append((run_dir / "ranks.parquet").read_bytes())
    assert found[0] == found[1]


def test_test_metrics_have_their_interval_over_users(run_dir, command):
    code, printed, _ = command(run_dir, *JUDGE)
    assert code == 0 and "equal timestamps in input order" in printed
    assert "\n95 % low" in printed and "95 %: bootstrap interval over users" in printed
    _, ranks, metrics = judged(run_dir)
    names = [name for name in metrics if name.startswith("test_") and "@" in name or name == "test_mrr"]
    whole = [name for name in names if not name.endswith(("_low", "_high"))]
    assert {f"test_{name}" for name in ("hr@10", "ndcg@10", "mrr")} <= set(whole)
    for name in whole:
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"]
    draws = np.random.default_rng(5).integers(len(ranks), size=(20_000, len(ranks)))
    expected = np.quantile((ranks <= 10)[draws].mean(1), [0.025, 0.975])
    found = [metrics["test_hr@10_low"], metrics["test_hr@10_high"]]
    assert found == pytest.approx(expected, abs=1.01 / len(ranks))  # means are multiples of 1 / users


def test_auc_has_an_interval_and_no_ranks_of_an_earlier_protocol_stay(run_dir, command):
    assert command(run_dir, *JUDGE)[0] == 0
    assert command(run_dir, *JUDGE, "--protocol", "pair_auc", "--num_eval_negatives", "5")[0] == 0
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["test_auc_low"] < metrics["test_auc"] < metrics["test_auc_high"]
    assert not (run_dir / "ranks.parquet").exists()


def test_what_is_given_is_checked_with_the_protocol_of_the_run(tmp_path, command, capfd):
    run_dir = tmp_path / "run"
    assert command(run_dir, "--protocol", "pair_auc", "--epochs", "1", "--do_eval", "0")[0] == 0
    negatives = ("--num_eval_negatives", "3")
    assert command(run_dir, *JUDGE, *negatives)[0] == 0
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert main.main(["evaluate", "--run_dir", str(run_dir), *negatives]) == 0
    assert json.loads((run_dir / "metrics.json").read_text())["test_auc"] == metrics["test_auc"]
    found = tfrecs.load(run_dir).evaluate(num_eval_negatives=3)
    assert found["test_auc"] == metrics["test_auc"] and found["popularity_auc"] == metrics["popularity_auc"]
    code, _, stderr = command(run_dir, *JUDGE, "--topk", "7")
    assert code == 2 and "--topk: --protocol pair_auc ranks no list" in stderr
    with pytest.raises(InputError, match="^num_eval_negatives 3: has no effect with protocol recbole$"):
        tfrecs.load(run_dir).evaluate(protocol="recbole", num_eval_negatives=3)
    code, _, stderr = command(run_dir, "--load_model", "1", *negatives)
    assert code == 2 and "--num_eval_negatives 3 (the run has 1); leave them out" in stderr


def test_a_failed_write_leaves_the_old_ranks(tmp_path, monkeypatch):
    ranks = np.array([2, 1]), np.array([7, 3])
    history.write_ranks(str(tmp_path), ["a", "b"], ranks)
    assert parquet.read_table(tmp_path / "ranks.parquet").to_pydict() == {"user": ["a", "b"], "rank": [3, 7]}
    before = (tmp_path / "ranks.parquet").read_bytes()
    monkeypatch.setattr("os.replace", lambda *paths: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        history.write_ranks(str(tmp_path), ["c", "d"], ranks)
    assert (tmp_path / "ranks.parquet").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
