"""benchmarks/run.py speed: tables and plots over a flag, and over a size of the sample."""

import pytest

ANSWER = {"ms": 2.0, "rate": 500.0, "examples": 500.0, "tokens": 900.0, "fill": 0.9, "read": 0.25, "evaluated": 70.0}
COST = {"gflop": 0.05, "batches": 700, "mb": 3.0, "peak_mb": 900.0, "matmul": 100.0, "copy": 20.0}


def rows_of(path):
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("over, values", [("batch_size", ("16", "32")), ("num_items", ("200", "400"))])
def test_smoke(program, tmp_path, capsys, over, values):
    flags = ["--model", "attrec", "--over", over, "--values", *values, "--steps", "2", "--rounds", "2"]
    assert program("speed").main([*flags, "--results", str(tmp_path), "--", "--embedding_dim", "4"]) == 0
    rows = rows_of(tmp_path / f"speed-attrec-{over}.md")
    assert [row[0] for row in rows] == list(values)
    assert all(float(row[1].split(" ")[0]) > 0 for row in rows)
    assert (tmp_path / f"speed-attrec-{over}.png").read_bytes().startswith(b"\x89PNG")
    assert "-- --embedding_dim 4`" in capsys.readouterr().out


def test_a_row_says_medians_and_the_share_of_the_machine(program):
    rounds = [ANSWER | {"ms": ms} for ms in (1.0, 5.0, 2.0)]
    report = program("speed").report("attrec", "dim", "command", {"8": rounds}, {"8": COST}, 0.3)
    assert (
        "| 8 | 2.0 [1.0, 5.0] | 1.4 | 500 [500, 500] | 900 | 0.90 | 0.25 | 0.05 | 25% | 3 | 900 | 70 [70, 70] |"
        in report
    )


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--values", "8", "8"], "--values: expected different ones, got 8 8"),
        (["--values", "8", "big"], "--values: expected numbers, got 'big'"),
        (["--over", "num_items", "--data_dir", "data"], "--data_dir data: --over num_items makes the sample"),
        (["--over", "batch_siz", "--values", "8"], "--over: unknown value 'batch_siz'; did you mean 'batch_size'?"),
    ],
)
def test_bad_input_is_named(program, tmp_path, capsys, flags, message):
    assert program("speed").main(["--model", "attrec", *flags, "--results", str(tmp_path / "results")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
