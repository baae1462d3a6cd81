"""Every code block of the README, CONTRIBUTING and the model cards: its flags are parsed, and its commands run.

A command runs as it is written, in a folder with what it reads, through the function behind its entry point. Only this
is changed, so that it takes seconds:

- `PLACEHOLDERS`: names in capitals are replaced;
- what a command reads is made first, small and in the original format, by `World`;
- `SHORTER`: flags are added, and one of `SMALLER` is replaced;
- a leaderboard has two of its rows.

`LISTED` has the commands that cannot run here, each with what is checked instead.
"""

import contextlib
import http.server
import importlib.util
import json
import os
import re
import shlex
import threading
from pathlib import Path

import pytest

import data_prep.prepare
import tfrecs.command_line.main
import tfrecs.command_line.originals
import tfrecs.command_line.run
from data_prep import show, writing
from tests.block_inputs import GOLDEN, World
from tests.code_blocks import BLOCKS, COMMANDS, PLACEHOLDERS, ROOT, SECTIONS, SHELL, commands_of, program_of, shortened
from tfrecs.command_line import arguments
from tfrecs.importers import check, convert

LISTED = {
    "make": "the target is in the Makefile; `make run` runs what the Makefile says",
    ".ci/run": "the file is there and can be executed",
    "pip": "the extra is in setup.py; tests/test_install.py installs the package",
    "docker": "the folder is what `make run` exports, and the client's URL has its port and its name",
    "benchmarks/run.py compare": "its flags are parsed; it needs a checkout and the original's Python",
    "benchmarks/run.py speed": "its flags are parsed; tests/benchmarks/test_speed.py runs it",
    "benchmarks/run.py serving": "its flags are parsed; tests/benchmarks/test_serving.py runs it",
}


def load_program(path):
    """A program of `benchmarks/` or `examples/`, imported as when it is run."""
    spec = importlib.util.spec_from_file_location(f"program_{Path(path).stem}", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str((ROOT / path).parent))
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def model_server():
    """A server that answers as TensorFlow Serving does; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert request["inputs"] == {"user": ["u1"], "history": [["i1", "i2"]]}
            body = json.dumps({"outputs": {"items": [["i3"]], "scores": [[1.5]]}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Prints nothing."""

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"localhost:{server.server_port}"
    server.shutdown()


def client(flags):
    """Runs the client against a server of our own."""
    with model_server() as address:
        return load_program("examples/serving_client.py").main(
            [flag.replace("localhost:8501", address) for flag in flags]
        )


def benchmark(flags):
    program = load_program("benchmarks/run.py")
    rows = program.leaderboard.ROWS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program.leaderboard, "ROWS", {name: rows[name] for name in ("attrec", "sasrec")})
        return program.main(flags)


def check_listed(program, flags):
    """What is checked of a command that cannot run here."""
    makefile = (ROOT / "Makefile").read_text()
    if program == "make":
        assert re.search(rf"^{flags[0]}:", makefile, re.M), f"make {flags[0]}: no such target"
    elif program == ".ci/run":
        assert os.access(ROOT / program, os.X_OK)
    elif program == "pip":
        extra = re.fullmatch(r"\.(?:\[(\w+)\])?", flags[1])
        assert flags[0] == "install" and extra, flags
        assert not extra[1] or f'"{extra[1]}": [' in (ROOT / "setup.py").read_text(), extra[1]
    elif program == "docker":
        mount = re.fullmatch(r"\$PWD/(\S+):/models/(\w+)", flags[flags.index("-v") + 1])
        assert f"--export_dir {mount[1]}" in makefile
        assert flags[-2:] == [f"MODEL_NAME={mount[2]}", "tensorflow/serving"]
        port = re.fullmatch(r"(\d+):8501", flags[flags.index("-p") + 1])[1]
        assert f"http://localhost:{port}/v1/models/{mount[2]}:predict" in (ROOT / "README.md").read_text()
    else:
        run = load_program("benchmarks/run.py")
        own, passed_on = run.flags.split(flags)
        measurement = getattr(run, program.split()[1])
        options = run.flags.parse(own, measurement.OPTIONS, measurement.__doc__)
        if passed_on:
            arguments.parse(["--model", options.model, *passed_on])


class Parsed(Exception):
    """The flags were parsed, and the work would begin."""


def parse_benchmark(program, flags):
    """Runs a program of `benchmarks/` until its flags are parsed."""

    def stop(*_, **__):
        raise Parsed

    module = load_program(program)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("over_seeds", "all_models", "prepare"):
            if hasattr(module, name):
                patch.setattr(module, name, stop)
        with pytest.raises(Parsed):
            module.main(flags)
    if program == "benchmarks/run.py" and "--" in flags:
        arguments.parse(flags[flags.index("--") + 1 :])


RUNNERS = {
    "examples/run.py": tfrecs.command_line.run.main,
    "data_prep.prepare": data_prep.prepare.main,
    "tfrecs.importers": tfrecs.command_line.originals.main,
    "tfrecs": tfrecs.command_line.main.main,
    "examples/serving_client.py": client,
    "benchmarks/run.py": benchmark,
}


@pytest.mark.parametrize("text, program, flags", COMMANDS, ids=[text for text, *_ in COMMANDS])
def test_every_flag_is_known(text, program, flags, monkeypatch):
    """The real parsers take the line; nothing is read or written."""
    if program in LISTED:
        check_listed(program, flags)
        return
    flags = [PLACEHOLDERS.get(flag, flag) for flag in flags]
    if program == "benchmarks/run.py":
        parse_benchmark(program, flags)
    elif program == "examples/run.py" or program == "tfrecs" and flags[0] == "train":
        arguments.parse(flags[program == "tfrecs" :])
    else:
        monkeypatch.setattr(writing, "write", lambda *_: None)
        monkeypatch.setattr(show, "summary", lambda manifest: "")
        monkeypatch.setattr(show, "show", lambda data_dir, stream: None)
        monkeypatch.setattr(convert, "convert", lambda *_: "")
        monkeypatch.setattr(check, "check", lambda path: check.Report(str(path), 0.0, 0.0, 0.0, 0.0, 0, 1))
        assert program in RUNNERS, f"{text}: add it to RUNNERS, or to LISTED with a reason"
        assert RUNNERS[program](flags) == 0, text


def test_every_block_has_a_language_that_is_checked():
    for block in BLOCKS:
        assert block.language in ("", "python", "json", "text"), block
        if block.language == "text":
            for name in re.findall(r"^(\w+)/ ", block.text, re.M):
                assert (ROOT / name).is_dir(), f"{block}: {name}"
        elif block.language == "json":
            assert json.loads(block.text).keys() == {"signature_name", "inputs"}, block
        elif block.language == "python":
            compile(block.text, str(block), "exec")
    assert {block.document for block in SHELL} >= {"README.md", "CONTRIBUTING.md"}


def make(flags):
    """What the Makefile runs for a target that is a single command of ours."""
    (recipe,) = re.findall(rf"^{flags[0]}: .*\n\t\$\(BIN\)/(python .*)$", (ROOT / "Makefile").read_text(), re.M)
    return program_of(shlex.split(recipe))


@pytest.mark.slow
@pytest.mark.parametrize("document, section", SECTIONS, ids=[": ".join(section) for section in SECTIONS])
def test_every_block_runs(document, section, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "golden").symlink_to(GOLDEN)
    world, names = World(), {}
    for block in BLOCKS:
        if (block.document, block.section) != (document, section):
            continue
        if block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
        elif block.language == "":
            for words in commands_of(block):
                program, flags = program_of(words)
                if (program, *flags) == ("make", "run"):
                    program, flags = make(flags)
                if program in LISTED:
                    continue
                flags = shortened(program, world.before(program, flags))
                code = RUNNERS[program](flags)
                output = capfd.readouterr()
                assert code == 0, f"{block}: {shlex.join(words)}\n{output.out}\n{output.err}"
                assert "Traceback" not in output.err, output.err
