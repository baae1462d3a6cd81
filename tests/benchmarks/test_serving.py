"""benchmarks/run.py serving: exports next to a bare product, in turns."""

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("model", ["attrec", "dif_sr", "sasrec"])
def test_smoke(program, tmp_path, capsys, model):
    flags = ["--model", model, "--num_items", "30", "60", "--calls", "3", "--results", str(tmp_path)]
    assert program("serving").main(flags) == 0
    report = (tmp_path / f"serving-{model}.md").read_text()
    assert report in capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.splitlines() if line.startswith("|")]
    assert [row[:2] for row in rows[2:]] == [["30", "1"], ["30", "8"], ["60", "1"], ["60", "8"]]
    assert all(float(row[2]) > 0 and float(row[4]) > 0 for row in rows[2:])
    assert (tmp_path / f"serving-{model}.png").read_bytes().startswith(b"\x89PNG")


def test_ratios_are_of_medians(program):
    times = {(30, batch, name): [1.0, 9.0, base] for batch in (1, 8) for name, base in (("export", 3.0), ("bare", 2.0))}
    assert "| 30 | 1 | 3.00 | 9.00 | 2.00 | 9.00 | 1.50x |" in program("serving").report("attrec", times, 0.1)


@pytest.mark.parametrize("values", [["9"], ["many"], ["30", "30"]])
def test_bad_input_is_named(program, tmp_path, capsys, values):
    flags = ["--model", "attrec", "--num_items", *values, "--results", str(tmp_path / "results")]
    assert program("serving").main(flags) == 2
    assert "--num_items: expected" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
