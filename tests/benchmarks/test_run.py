"""benchmarks/run.py: a smoke test of either table, and what the tables say, with a stand-in for `examples/run.py`."""

import csv
import json

import pytest

from data_prep.prepare import prepare
from tfrecs.progress import StageProgress

# Metrics follow from the seed and from whether seen items are kept, the recipe from the flags.
STAND_IN = """
import json, os, sys
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if flags["--model"] == "arerec":
    sys.exit("run.py: error: --model arerec: %s has no rating; models that work on it: attrec" % flags["--data_dir"])
protocol, seed = flags.get("--protocol", "full_ranking"), int(flags["--seed"])
kept = protocol == "recbole"
names = ("recall@20", "ndcg@20", "recall@10", "ndcg@10") if kept else ("hr@10", "hr@50", "ndcg@10", "mrr")
metrics = dict(model=flags["--model"], preset="recommended", dataset="toy", protocol=protocol, seed=seed,
    exclude_seen=not kept, retrained_on_validation=False, num_users=3, num_items=9, num_interactions=27, best_epoch=2,
    train_seconds=1.5, test_users=3, version_tensorflow="2", version_keras="3")
for name in names:
    metrics["test_" + name] = .25 + .05 * seed + .5 * kept
    metrics["test_" + name + "_low"], metrics["test_" + name + "_high"] = .125 + .05 * seed, .875
    metrics["popularity_" + name] = .0625
os.makedirs(flags["--run_dir"], exist_ok=True)
json.dump(metrics, open(os.path.join(flags["--run_dir"], "metrics.json"), "w"))
"""


@pytest.fixture
def data_dir(tmp_path):
    directory = str(tmp_path / "toy")
    prepare("sample", directory, StageProgress(None), num_users=40, num_items=60, mean_length=10)
    return directory


@pytest.fixture
def quick(program, tmp_path, monkeypatch):
    """`run.py` with the stand-in."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(program("run"), "RUN", str(tmp_path / "stand_in.py"))
    return program("run")


def test_seeds_tell_the_spread_over_seeds_from_the_interval_over_users(quick, data_dir, tmp_path):
    results = str(tmp_path / "results")
    flags = ["--data_dir", data_dir, "--name", "toy", "--seeds", "3", "--results", results]
    assert quick.main(["seeds", *flags, "--", "--model", "attrec"]) == 0
    report = (tmp_path / "results" / "toy.md").read_text()
    assert "| attrec, test, mean over seeds | 0.3000 ± 0.0500 |" in report
    assert "| 95 % interval over users | [0.1750, 0.8750] |" in report
    assert "| 1 | 0.3000 [0.1750, 0.8750] |" in report
    assert "| popularity | 0.0625 |" in report
    assert "±: standard deviation over training seeds" in report and "equal timestamps in input order" in report


def test_a_mean_below_expectation_is_an_error(quick, data_dir, tmp_path, monkeypatch, capsys):
    expected = {"toy": {"metrics": {"test_hr@10": {"mean": 0.5, "tolerance": 0.1}}}}
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    monkeypatch.setattr(quick, "HERE", str(tmp_path))
    flags = ["--data_dir", data_dir, "--name", "toy", "--seeds", "2", "--results", str(tmp_path / "results")]
    assert quick.main(["seeds", *flags, "--", "--model", "attrec"]) == 1
    assert "below expectation: test_hr@10 0.2750, expected 0.5 - 0.1" in capsys.readouterr().err
    expected["toy"]["metrics"]["test_hr@10"]["mean"] = 0.35
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    assert quick.main(["seeds", *flags, "--", "--model", "attrec"]) == 0


def test_a_block_of_the_leaderboard_has_one_rule_for_every_row(quick, data_dir, tmp_path):
    results = str(tmp_path / "results")
    flags = ["--data_dir", data_dir, "--results", results, "--protocols", "recbole", "full_ranking"]
    assert quick.main(["leaderboard", *flags, "--row", "sasrec=--select_metric ndcg@10"]) == 0
    report = (tmp_path / "results" / "leaderboard-toy.md").read_text()
    head, kept, out = report.split("\n## ")
    assert "equal timestamps in input order" in head and "training seed (0)" in head and "over users" in head
    assert kept.startswith("`recbole`: seen items kept") and out.startswith("`full_ranking`: seen items excluded")
    assert "| attrec | 0.7500 [0.1250, 0.8750] |" in kept and "| attrec | 0.2500 [0.1250, 0.8750] |" in out
    for block, protocol in ((kept, "recbole"), (out, "full_ranking")):
        recipes = [line for line in block.splitlines() if line.startswith("- ") and "python" in line]
        assert len(recipes) == 4 and all(f"--protocol {protocol} " in line for line in recipes)
        assert "| popularity | 0.0625 |" in block
        assert "- arerec: --model arerec: DIR has no rating; models that work on it: attrec" in block
    with open(tmp_path / "results" / "leaderboard-toy.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["protocol"] for row in rows} == {"recbole", "full_ranking"} and len(rows) == 12
    assert (tmp_path / "results" / "leaderboard-toy.png").read_bytes().startswith(b"\x89PNG")


def test_finished_runs_are_taken_as_they_are(quick, data_dir, tmp_path):
    flags = ["--data_dir", data_dir, "--name", "toy", "--seeds", "1", "--results", str(tmp_path / "results")]
    flags += ["--run_dirs", str(tmp_path / "runs")]
    assert quick.main(["seeds", *flags, "--", "--model", "attrec"]) == 0
    (tmp_path / "stand_in.py").write_text("raise SystemExit('trained again')")
    assert quick.main(["seeds", *flags, "--", "--model", "attrec"]) == 0
    assert quick.main(["seeds", *flags, "--", "--model", "atrank"]) == 2


@pytest.mark.parametrize("flags", [["leaderboard", "--protocols", "recbole", "--", "--protocol", "recbole"]])
def test_a_protocol_named_twice_is_refused(quick, data_dir, flags, capsys):
    assert quick.main([*flags[:1], "--data_dir", data_dir, *flags[1:]]) == 2
    assert "--protocol: --protocols names it already" in capsys.readouterr().err


SMALL = ["--epochs", "1", "--strategy", "none"]


@pytest.mark.slow
def test_smoke(program, data_dir, tmp_path):
    """Real runs: one seed of AttRec."""
    flags = ["--data_dir", data_dir, "--name", "toy", "--seeds", "1", "--results", str(tmp_path)]
    assert program("run").main(["seeds", *flags, "--", "--model", "attrec", "--embedding_dim", "8", *SMALL]) == 0
    assert "| 95 % interval over users | [" in (tmp_path / "toy.md").read_text()


@pytest.mark.slow
def test_smoke_of_the_leaderboard(program, data_dir, tmp_path, monkeypatch):
    """Real runs: two rows under two protocols."""
    leaderboard = program("run").leaderboard
    monkeypatch.setattr(leaderboard, "ROWS", {name: leaderboard.ROWS[name] for name in ("attrec", "sasrec")})
    flags = ["--data_dir", data_dir, "--results", str(tmp_path), "--protocols", "recbole", "full_ranking"]
    assert program("run").main(["leaderboard", *flags, "--", "--batch_size", "64", *SMALL]) == 0
    report = (tmp_path / "leaderboard-toy.md").read_text()
    assert report.count("| attrec | 0.") == report.count("| transitions | 0.") == 2
