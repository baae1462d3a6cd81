"""Every program of benchmarks/ has a smoke test, so that none can stop working unseen."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
BENCHMARKS = TESTS.parents[1] / "benchmarks"


def is_program(path):
    """Whether a file does something when it is run: statements beyond definitions, imports and names."""
    definitions = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
    body = ast.parse(path.read_text(encoding="utf-8")).body[1:]  # without the docstring
    return any(not isinstance(statement, definitions) for statement in body)


def test_programs_are_told_from_modules():
    names = {path.name for path in BENCHMARKS.glob("*.py") if is_program(path)}
    assert {"run.py", "attrec_speed.py", "attrec_original.py"} <= names and "leaderboard.py" not in names


@pytest.mark.parametrize("path", sorted(filter(is_program, BENCHMARKS.glob("*.py"))), ids=lambda path: path.name)
def test_every_program_has_a_smoke_test(path):
    test = TESTS / f"test_{path.name}"
    assert test.exists(), f"{path.name}: no {test.name}"
    functions = [node.name for node in ast.parse(test.read_text()).body if isinstance(node, ast.FunctionDef)]
    assert "test_smoke" in functions, f"{test.name}: no test_smoke"
    assert f"{path.stem}" in test.read_text()
