"""Smoke test of benchmarks/data_prep_scale.py."""

import pytest


@pytest.mark.slow
def test_smoke(program, tmp_path, capsys):
    program("data_prep_scale").main(["--millions", "0.01", "--results", str(tmp_path)])
    report = (tmp_path / "data_prep_scale.md").read_text()
    cells = (cell.strip() for cell in report.splitlines()[-1].split("|")[1:-1])
    interactions, seconds, processor, drawing, rows, peak = cells
    assert float(processor) > float(drawing) >= 0 and int(rows.replace(",", "")) > 0
    assert 8_000 < int(interactions.replace(",", "")) < 12_000 and float(seconds) > 0 and int(peak) > 50
    assert report in capsys.readouterr().out and (tmp_path / "data_prep_scale.png").read_bytes().startswith(b"\x89PNG")
