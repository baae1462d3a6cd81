"""Smoke test of benchmarks/attrec_speed.py; the published code's side is a script that answers at once."""

import sys

import pytest

ANSWER = '{"train": 100.0, "eval": 10.0}'


@pytest.mark.slow
def test_smoke(program, raw_dir, tmp_path, capsys):
    python37 = tmp_path / "python37"
    python37.write_text(f"#!{sys.executable}\nprint('a line of its own')\nprint('{ANSWER}')\n")
    python37.chmod(0o755)
    flags = ["--original", str(tmp_path), "--python", str(python37), "--ratings", str(raw_dir / "u.data")]
    sizes = ["--steps", "2", "--rounds", "2", "--batch_sizes", "16", "--results", str(tmp_path / "results")]
    program("attrec_speed").main([*flags, *sizes])
    report = (tmp_path / "results" / "attrec_speed.md").read_text()
    assert report in capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.splitlines()[-2:]]
    assert rows[0] == ["published code, batch 256", "100", "1.0x", "10", "1.0x"]
    assert rows[1][0] == "tfrecs, batch 16" and all(float(cell.replace(",", "")) > 0 for cell in rows[1][1::2])


def test_ratios_are_medians_within_rounds_with_their_range(program):
    speed = program("attrec_speed")
    rates = {
        speed.ORIGINAL: [{"train": base, "eval": 1.0} for base in (100.0, 200.0, 50.0)],
        "tfrecs": [{"train": own, "eval": 2.0} for own in (300.0, 400.0, 250.0)],
    }
    options = type("Options", (), {"rounds": 3, "steps": 7})
    assert "| tfrecs | 300 | 3.0x [2.0, 5.0] | 2 | 2.0x [2.0, 2.0] |" in speed.report(rates, options)
