"""Programs that are interrupted while they start: one line, and the exit code of the signal."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = {
    "run.py": [str(ROOT / "examples" / "run.py"), "--model", "attrec"],
    "prepare.py": ["-m", "data_prep.prepare", "--dataset", "sample", "--out_dir", "out"],
    "python -m tfrecs.importers": ["-m", "tfrecs.importers", "check", "nothing.npz"],
}
# In the place of duckdb or TensorFlow: it says that its import has begun, and takes long.
SLOW_IMPORT = "import sys, time\nprint('importing', flush=True)\ntime.sleep(100)\n"


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_program_starts(tmp_path, program, number, code):
    (tmp_path / "stub").mkdir()
    for name in ("duckdb", "numpy", "tensorflow"):
        (tmp_path / "stub" / f"{name}.py").write_text(SLOW_IMPORT)
    paths = [str(tmp_path / "stub"), str(ROOT)]
    process = subprocess.Popen(
        [sys.executable, *PROGRAMS[program]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "importing\n"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (code, f"{program}: interrupted\n")
    assert os.listdir(tmp_path) == ["stub"]


WORKING = """
import sys, time
from tfrecs.startup import exit_code
def main():
    try:
        print("working", flush=True)
        time.sleep(100)
    except KeyboardInterrupt as error:
        return exit_code(error)
    finally:
        print("cleaned up", flush=True)
"""


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_later_on_is_cleaned_up_after(tmp_path, number, code):
    (tmp_path / "working.py").write_text(WORKING)
    process = subprocess.Popen(
        [sys.executable, "-c", "from tfrecs.startup import launch; launch('p', 'working')"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "working\n"
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == "cleaned up\n"
    assert process.returncode == code


DROPPED = """
import os, signal, time
from tfrecs.startup import exit_code
class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.{number})
        for _ in range(1000):
            pass
def main():
    try:
        Last()
        time.sleep(60)
        print("went on")
    except KeyboardInterrupt as error:
        return exit_code(error)
"""


@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_within_a_finalizer_is_not_dropped(tmp_path, name, code):
    """Graphs of TensorFlow have finalizers: training went on, and a traceback was printed."""
    (tmp_path / "working.py").write_text(DROPPED.format(number=name))
    done = subprocess.run(
        [sys.executable, "-c", "from tfrecs.startup import launch; launch('p', 'working')"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


REPLACED = """
import os, signal
def interrupted(*_, **__):
    try:
        os.kill(os.getpid(), signal.{number})
        while True:
            pass
    except KeyboardInterrupt:
        raise RuntimeError("pybind11::error_already_set: REPLACED BY KeyboardInterrupt") from None
{patch} = interrupted
from tfrecs.startup import catch
catch()
raise SystemExit(main({arguments}))
"""
MAINS = {
    "tfrecs export": ("from tfrecs.command_line import main as module", "module._export", ["export"]),
    "run.py": (
        "from tfrecs.command_line import run as module, train",
        "train.run",
        ["--model", "attrec"],
    ),
    "prepare.py": (
        "from data_prep import prepare as module",
        "module.prepare",
        ["--dataset", "sample", "--out_dir", "out"],
    ),
    "python -m tfrecs.importers": (
        "from tfrecs.command_line import originals as module; from tfrecs.importers import check",
        "check.check",
        ["check", "nothing.npz"],
    ),
}


@pytest.mark.parametrize(
    "program", [name if name == "tfrecs export" else pytest.param(name, marks=pytest.mark.slow) for name in MAINS]
)
@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_that_c_code_turned_into_another_exception(tmp_path, program, name, code):
    """TensorFlow's SavedModel does so when Ctrl-C arrives while it calls Python."""
    load, patch, arguments = MAINS[program]
    text = f"{load}\nmain = module.main\n" + REPLACED.format(number=name, patch=patch, arguments=arguments)
    result = subprocess.run(
        [sys.executable, "-c", text],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == code, result.stderr
    assert "interrupted" in result.stderr and "Traceback" not in result.stderr


NOISY = """
import os
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
os.write(2, b"I0000 00:00:1795868317.658346 10928 port.cc:153] oneDNN custom operations are on.\\n")
os.write(2, b"E0000 00:00:1795868317.658346 10928 hbm.cc:7] out of memory\\n")
class config:
    def list_physical_devices():
        os.write(2, b"E0000 00:00:1795868319.732237 10928 cuda_platform.cc:52] failed call to cuInit: INTERNAL\\n")
"""


@pytest.mark.parametrize("level, lines", [("2", 1), ("0", 4)])
def test_notes_of_tensorflow_are_hidden_and_its_errors_are_not(tmp_path, level, lines):
    (tmp_path / "tensorflow.py").write_text(NOISY)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from tfrecs.startup import load; load('p', 'tensorflow'); import os; os.write(2, b'I')",
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "TF_CPP_MIN_LOG_LEVEL": level},
        capture_output=True,
        text=True,
    )
    *written, last = done.stderr.splitlines()
    assert done.returncode == 0 and len(written) == lines and last == "I"
    assert any(line.endswith("out of memory") for line in written)
