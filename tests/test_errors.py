"""What tfrecs prints: no token, header or file name steers a terminal, and no message is endless."""

import ast
import dataclasses
import io
import pathlib
import re

import pytest

from data_prep import prepare as data_prep
from tests.prepared import write
from tfrecs.command_line import run
from tfrecs.data import manifest as manifests
from tfrecs.errors import LONGEST_MESSAGE, InputError
from tfrecs.models import MODELS
from tfrecs.progress import ProgressLine, StageProgress

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
# Clears the screen, sets the window's title, goes back over the line, turns the direction of what follows.
STEERING = "\x1b[2J\x1b]0;title\x07\b\r\x9b1m\u202e\u2066"


def assert_harmless(text):
    assert not set(text) & set(STEERING) - set("[2J]0;title1m"), ascii(text)


def test_a_message_is_harmless():
    assert_harmless(str(InputError(f"--user {STEERING}: unknown")))
    assert str(InputError("line 3:\nbad caf\u00e9 \u65e5")) == r"line 3:\nbad caf" + "\u00e9 \u65e5"
    assert str(InputError("\ud800")) == r"\ud800"


@pytest.mark.parametrize("value", ["x" * 1_000_000, "x " * 500_000, "\x1b" * 1_000_000, "\u65e5" * 5000])
def test_a_message_is_bounded_and_keeps_its_ends(value):
    text = str(InputError(f"--file {value}: not a file"))
    assert len(text) <= LONGEST_MESSAGE and text.startswith("--file ") and text.endswith(": not a file")


def test_one_long_value_leaves_room_for_the_others():
    text = str(InputError(f"{'a' * 5000} is not {'b' * 5000}"))
    assert " is not " in text and len(text) <= 610


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_harmless(terminal):
    class Stream(io.StringIO):
        def isatty(self):
            return terminal

    stream = Stream()
    line = ProgressLine(stream, interval=-1)
    line.interval = -1
    line.update(STEERING, 1, 2, 0.0)
    line.line(STEERING)
    progress = StageProgress(stream, interval=0)
    progress.start(STEERING)
    progress.line(STEERING)
    progress.finish(STEERING)
    printed = stream.getvalue()
    assert printed.count("u202e") >= 4
    for own in ("\r\x1b[K", "\x1b[K", "\r") if terminal else ():  # those of a line that is written anew
        printed = printed.replace(own, "")
    assert_harmless(printed)


def test_a_header_is_harmless(tmp_path, capsys):
    path = tmp_path / "log.csv"
    path.write_text(f"user,item{STEERING.replace(chr(13), '')},{'x' * 5000}\na,b,1\n", encoding="utf-8")
    argv = ["--dataset", "delimited", "--path", str(path), "--out_dir", str(tmp_path / "data")]
    code = data_prep.main([*argv, "--user_column", "user", "--item_column", "item"])
    err = capsys.readouterr().err
    assert code == 2 and len(err) < 2100
    assert_harmless(err)


@pytest.mark.slow
def test_tokens_are_harmless(tmp_path, capsys):
    """Of show_details and of the recommendations that a run prints."""
    directory = tmp_path / "data"
    rows = {user: ((2, 3), {"item": [1, 2, 3, 4]}) for user in (1, 2, 3)}
    manifest = write(str(directory), rows, 5)
    vocabularies = {}
    for name in ("user", "item"):
        path = directory / "vocab" / f"{name}.txt"
        path.write_text(path.read_text().replace(name, STEERING.replace("\r", "") + name), encoding="utf-8")
        vocabularies[name] = dataclasses.replace(manifest.vocabularies[name], sha256=manifests.digest(str(path))[0])
    manifests.save(str(directory), dataclasses.replace(manifest, vocabularies=vocabularies))
    assert data_prep.main(["--show_details", str(directory)]) == 0
    argv = ["--model", "attrec", "--data_dir", str(directory), "--run_dir", str(tmp_path / "run"), "--epochs", "1"]
    assert run.main([*argv, "--do_eval", "0", "--num_recommendations", "2", "--strategy", "none"]) == 0
    out, err = capsys.readouterr()
    assert out.count("x1b") >= 4
    assert_harmless(out + err)


def test_a_file_name_is_harmless(tmp_path, capsys):
    argv = ["--model", "attrec", "--data_dir", str(tmp_path / STEERING), "--run_dir", str(tmp_path / "run")]
    assert run.main(argv) == 2
    assert_harmless(capsys.readouterr().err)


def test_messages_name_the_argument_from_python_and_the_flag_from_a_command_line(capsys):
    with pytest.raises(InputError, match="^dim: expected a multiple of num_heads 4, got 10$"):
        MODELS["sasrec"](3, 9, dim=10, num_heads=4)
    assert run.main(["--model", "sasrec", "--dim", "10"]) == 2
    assert "error: --dim: expected a multiple of --num_heads 4, got 10\n" in capsys.readouterr().err
    with pytest.raises(InputError, match="^dim: "):  # the command line is over
        MODELS["sasrec"](3, 9, dim=10, num_heads=4)


@pytest.mark.parametrize("package", ["tfrecs", "data_prep"])
def test_only_command_lines_name_flags(package):
    """Everything else asks `errors.option`, but for what to run instead; `options` and `errors` make the flags."""
    found = []
    for path in (pathlib.Path(run.__file__).parents[2] / package).rglob("*.py"):
        about_flags = {"command_line", "presets", "original_flags"} & {path.stem, path.parent.name}
        if about_flags or path.stem in ("options", "errors"):
            continue
        tree = ast.parse(path.read_text())
        documented = [node for node in ast.walk(tree) if isinstance(node, DOCUMENTED) and ast.get_docstring(node)]
        docstrings = {node.body[0].value for node in documented}
        parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            text = ""
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings | parts:
                text = node.value
            if re.search(r"(?<![\w-])--\w", text) and not re.search(r"data_prep\.prepare|examples/run\.py", text):
                found.append(f"{path.name}:{node.lineno}: {text}")
    assert not found
