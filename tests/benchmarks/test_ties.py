"""Smoke test of benchmarks/ties.py, and what it counts."""

import pytest


@pytest.mark.slow
def test_smoke(program, raw_dir, tmp_path, capsys):
    program("ties").main(["--raw_dir", str(raw_dir), "--orders", "2", "--results", str(tmp_path / "results")])
    report = (tmp_path / "results" / "ties.md").read_text()
    assert report in capsys.readouterr().out
    assert "- 6 of 12 test items share their second with the validation item" in report  # the odd users
    assert "| highest of 2 shuffled orders | " in report


def test_popularity_by_hand_in_either_order_of_a_tie(program):
    lines = [
        f"{user}\t{item}\t5\t{time}\n".encode() for user in (1, 2, 3) for time, item in enumerate((7, 8, 9, 10), 5)
    ]
    first, second, tied, too = b"4\t1\t5\t1\n", b"4\t2\t5\t2\n", b"4\t7\t5\t3\n", b"4\t11\t5\t3\n"
    ties = program("ties")
    assert ties.tied_users([*lines, first, second, tied, too]) == (4, 1)
    # Training counts: 7 and 8 three each, 1 and 2 one each, the rest none. The first three users' item 10 stands behind
    # 1, 2 and, tied, 11. The fourth's item 11 stands behind 8 and, tied, 9 and 10; its item 7 behind 8, tied.
    assert ties.popularity([*lines, first, second, tied, too])["mrr"] == pytest.approx((3 / 4 + 1 / 4) / 4)
    assert ties.popularity([*lines, first, second, too, tied])["mrr"] == pytest.approx((3 / 4 + 1 / 2) / 4)
