"""What type checkers see of the front door, whose names are imported only when they are used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tfrecs

ROOT = Path(__file__).parents[1]
USER = """
import tfrecs
run = tfrecs.train("attrec", "data", epochs=3)
run.recommend(k=3)
tfrecs.models.SASRec(num_users=3, num_items=4)
tfrecs.load(3)
tfrecs.train("attrec")
tfrecs.nonsense()
tfrecs.models.Nonsense
run.recommend(k="3")
"""
WRONG = {6: "arg-type", 7: "call-arg", 8: "attr-defined", 9: "attr-defined", 10: "arg-type"}


def test_the_stub_has_the_names_there_are():
    body = ast.parse((ROOT / "tfrecs" / "__init__.pyi").read_text()).body
    imported = {alias.asname for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported | {"__version__"} == set(tfrecs.__all__)


@pytest.mark.slow
def test_a_program_of_a_user_is_checked(tmp_path):
    (tmp_path / "user.py").write_text(USER)
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path / "cache")]
    command = [sys.executable, "-m", "mypy", *options, str(tmp_path / "user.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    found = {int(line.split(":")[1]): line.rpartition("[")[2].rstrip("]") for line in lines}
    assert found == WRONG, done.stdout + done.stderr
