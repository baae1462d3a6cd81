"""Smoke test of benchmarks/kill_resume.py: one kill of a small run."""

import pytest

from data_prep.prepare import prepare
from tfrecs.progress import StageProgress


@pytest.mark.slow
def test_smoke(program, tmp_path, capsys):
    data_dir = str(tmp_path / "data")
    prepare("sample", data_dir, StageProgress(None), num_users=60, num_items=160)
    flags = ["--data_dir", data_dir, "--run_dir", str(tmp_path / "runs"), "--kills", "1", "--epochs", "2"]
    assert program("kill_resume").main([*flags, "--seconds", "0.2"]) == 0
    assert "EQUAL: 1 kills" in capsys.readouterr().out
