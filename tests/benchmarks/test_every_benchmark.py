"""Every program of benchmarks/ has a smoke test, so that none can stop working unseen."""

import ast
import os
import subprocess
import sys
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
    assert {"run.py", "ours.py"} <= names and "leaderboard.py" not in names


@pytest.mark.parametrize("path", sorted(filter(is_program, BENCHMARKS.glob("*.py"))), ids=lambda path: path.name)
def test_every_program_has_a_smoke_test(path):
    test = TESTS / f"test_{path.name}"
    assert test.exists(), f"{path.name}: no {test.name}"
    functions = [node.name for node in ast.parse(test.read_text()).body if isinstance(node, ast.FunctionDef)]
    assert "test_smoke" in functions, f"{test.name}: no test_smoke"
    assert f"{path.stem}" in test.read_text()


PROGRAMS = ("data_prep_scale", "kill_resume", "run seeds", "run compare", "run speed", "run serving", "ties")


@pytest.mark.parametrize("program_and_first", PROGRAMS)
def test_help_and_misspelled_flags_answer_without_tensorflow(program_and_first):
    name, *first = program_and_first.split()
    path = BENCHMARKS / f"{name}.py"
    code = f"import runpy, sys; sys.argv = [{str(path)!r}, *sys.argv[1:]]; sys.path.insert(0, {str(BENCHMARKS)!r})\n"
    code += "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
    code += "finally:\n    print('tensorflow' in sys.modules, file=sys.stderr)"
    environment = os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)}
    for flag, expected in (("--help", 0), ("--halp", 2)):
        command = [sys.executable, "-c", code, *first, flag]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == expected and done.stderr.endswith("False\n"), done.stderr
    assert f"{name}.py: error: unknown flag '--halp'; " in done.stderr


@pytest.mark.parametrize(
    "name, argv, message",
    [
        ("run", ("seeds", "--data_dir", "d", "--seeds", "0"), "--seeds: expected an integer of at least 1, got '0'"),
        ("run", ("seeds", "--data_dir", "d"), "--name: required for seeds"),
        ("run", ("seeds", "--data_dir", "d", "--name", "n", "--row", "attrec=--w 1"), "--row: only for a leaderboard"),
        ("run", ("leaderboard",), "--data_dir: required"),
        (
            "run",
            ("leaderboard", "--data_dir", "d", "--protocols", "recbol"),
            "unknown value 'recbol'; did you",
        ),
        ("data_prep_scale", ("--millions", "1", "x"), "--millions: expected a number of at least 0.001, got 'x'"),
        ("kill_resume", ("--data_dir", "d", "--run_dir", str(TESTS)), f"--run_dir {TESTS}: exists"),
        ("ties", ("--raw_dir", "nowhere", "--ordres", "2"), "unknown flag '--ordres'; did you mean '--orders'?"),
        ("ties", ("--raw_dir", "nowhere"), "--raw_dir nowhere: no u.data there"),
    ],
)
def test_bad_flags_are_named(program, capsys, name, argv, message):
    assert program(name).main(list(argv)) == 2
    assert message in capsys.readouterr().err


def test_words_and_repeated_flags_are_one_list(program):
    run = program("run")
    argv = ["leaderboard", "--data_dir", "d", "--protocols", "recbole", "full_ranking", "--row", "attrec=--w 0.5"]
    options = run.flags.parse([*argv, "--row", "dif_sr=--fields a,b"], run.OPTIONS, run.__doc__, ("leaderboard",))
    assert options.what == "leaderboard" and options.seeds == 5 and options.name is None
    assert options.protocols == ("recbole", "full_ranking") and options.row == ("attrec=--w 0.5", "dif_sr=--fields a,b")
