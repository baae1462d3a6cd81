"""benchmarks/run.py compare: sides in turns; the published code's side is a script that answers at once."""

import json
import sys
from pathlib import Path

import pytest

SIDE = """#!{python}
import json, sys
print("a line of its own")
print("READY", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print("RESULT", json.dumps({answer}), flush=True)
"""


@pytest.fixture
def python(tmp_path):
    def write(answer='{"rate": 100.0 if asked["round"] == "train" else 10.0}'):
        path = tmp_path / "python37"
        path.write_text(SIDE.format(python=sys.executable, answer=answer))
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def compare(program, monkeypatch):
    """The module, with one small side of ours."""
    module = program("compare")
    row = module.Row(("--batch_size", "16", "--embedding_dim", "4"), 3, "published code, batch 256")
    small = module.dataclasses.replace(module.COMPARISONS["attrec"], ours={"small": row})
    monkeypatch.setitem(module.COMPARISONS, "attrec", small)
    return module


def flags(tmp_path, raw_dir, python, *more):
    paths = ["--original", str(tmp_path), "--python", python, "--raw_dir", str(raw_dir)]
    return ["--model", "attrec", *paths, "--rounds", "2", "--results", str(tmp_path / "results"), *more]


@pytest.mark.slow
def test_smoke(compare, python, raw_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compare, "below_expectation", lambda expected, model, answers: [])
    assert compare.main(flags(tmp_path, raw_dir, python())) == 0
    report = (tmp_path / "results" / "compare-attrec.md").read_text()
    assert report in capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.splitlines()[-2:]]
    assert rows[0] == ["published code, batch 256", "", "100", "", "10", ""]
    assert rows[1][:2] == ["small", "`--batch_size 16 --embedding_dim 4`"]
    assert all(float(cell.replace(",", "")) > 0 for cell in rows[1][2::2]) and "x [" in rows[1][3]


def test_ratios_are_medians_within_rounds_with_their_range(compare):
    answers = {
        kind: {
            "published code, batch 256": [{"rate": base} for base in (100.0, 200.0, 50.0)],
            "small": [{"rate": own} for own in (300.0, 400.0, 250.0)],
        }
        for kind in ("train", "evaluate")
    }
    assert "| 300 | 3.0x [2.0, 5.0] | 300 | 3.0x [2.0, 5.0] |" in compare.report("attrec", answers, 0.5)
    assert compare.below_expectation({"small": {"ratio": 3.1, "tolerance": 0.1}}, "attrec", answers) == []
    assert compare.below_expectation({"small": {"ratio": 4, "tolerance": 0.1}}, "attrec", answers) == [
        "small: 3.00x, expected 4x less 10% at most"
    ]


def test_a_side_that_fails_is_named_with_what_it_said(compare, python, raw_dir, tmp_path, capsys):
    assert compare.main(flags(tmp_path, raw_dir, python('{"error": "no such variable"}'))) == 2
    assert "no such variable" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "change, message",
    [
        (["--model", "attrek"], "--model: unknown value 'attrek'; did you mean 'attrec'?"),
        (["--original", "nowhere"], "--original nowhere: no such directory"),
        (["--python", "nothing"], "--python nothing: no program"),
        (["--rounds", "0"], "--rounds: expected an integer of at least 1, got '0'"),
        (["--raw_dir", "."], "--raw_dir .: "),
    ],
)
def test_bad_input_is_named(compare, python, raw_dir, tmp_path, capsys, change, message):
    assert compare.main(flags(tmp_path, raw_dir, python(), *change)) == 2
    assert message in capsys.readouterr().err


def test_every_side_of_ours_is_compared_with_one_of_the_original_s_and_has_flags_that_are_accepted(program):
    from tfrecs.command_line.arguments import parse

    for model, comparison in program("compare").COMPARISONS.items():
        for row in comparison.ours.values():
            assert row.against in comparison.originals
            assert parse(["--model", model, *row.flags]).recipe.model == model


def test_expected_ratios_are_of_sides_there_are(program):
    module = program("compare")
    expected = json.loads((Path(module.HERE) / "expected.json").read_text(encoding="utf-8"))
    for name, entry in expected.items():
        if name.startswith("compare-"):
            assert set(entry.get("ratios", {})) <= set(module.COMPARISONS[name.removeprefix("compare-")].ours)
