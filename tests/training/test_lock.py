"""One process at a time writes into a run directory."""

import os
import signal
import socket
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest

from tfrecs.errors import InputError
from tfrecs.runs import directory as runs
from tfrecs.runs import lock

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from tfrecs.runs import lock
with lock.exclusive(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(100)
"""
FLAGS = ("--epochs", "2", "--save_checkpoints_steps", "2", "--keep_checkpoints", "2")


@pytest.fixture
def other():
    """Locks a directory in a process of its own, which is killed in the end; gives the process."""
    started = []

    def hold(directory):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(directory)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "locked\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path, other):
    process = other(tmp_path)
    with pytest.raises(InputError) as error, lock.exclusive(tmp_path):
        pass
    holder = f"pid {process.pid} on {socket.gethostname()}"
    assert str(error.value).startswith(f"{tmp_path}: another process is writing there ({holder})")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with lock.exclusive(tmp_path):
        assert (tmp_path / "run.lock").read_text() == f"pid {os.getpid()} on {socket.gethostname()}\n"


@pytest.mark.parametrize("flags", [("--load_model", "1"), ("--overwrite", "1"), ("--do_train", "0")])
def test_training_overwriting_and_judging_take_the_lock(run_dir, command, other, flags):
    before = {path.name: path.read_bytes() for path in run_dir.iterdir() if path.name != "run.lock"}
    process = other(run_dir)
    code, _, stderr = command(run_dir, *FLAGS, *flags)
    assert code == 2 and f"{run_dir}: another process is writing there (pid {process.pid} on " in stderr
    assert {path.name: path.read_bytes() for path in run_dir.iterdir() if path.name != "run.lock"} == before


def test_a_thread_may_lock_again_and_another_may_not(tmp_path):
    refused = []

    def try_to_lock():
        try:
            with lock.exclusive(tmp_path):
                pass
        except InputError as error:
            refused.append(str(error))

    with lock.exclusive(tmp_path):
        with lock.exclusive(tmp_path):
            pass
        thread = threading.Thread(target=try_to_lock)
        thread.start()
        thread.join()
    assert len(refused) == 1 and f"pid {os.getpid()} on " in refused[0]
    with lock.exclusive(tmp_path):
        pass


def test_a_foreign_file_of_the_name_is_left_alone(tmp_path):
    (tmp_path / "run.lock").write_text("mine\n")
    with pytest.raises(InputError, match="run.lock: not a lock of tfrecs"), lock.exclusive(tmp_path):
        pass
    with pytest.raises(InputError, match="holds run.lock"):
        runs.check_start(str(tmp_path), fresh=True)
    assert (tmp_path / "run.lock").read_text() == "mine\n"


def test_without_flock_bytes_are_locked(tmp_path, monkeypatch):
    """The branch of Windows, with what Python documents of `msvcrt.locking`: OSError EACCES where it is locked."""
    locked = set()

    def locking(descriptor, mode, count):
        key = os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR), count
        if key in locked:
            raise OSError(13, "Permission denied")
        locked.add(key)

    monkeypatch.setattr(lock, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2))
    with lock.exclusive(tmp_path):
        ((_, position, count),) = locked
        assert position > 300 and count == 1, "beyond the text, which other processes read"
        thread_error = []
        thread = threading.Thread(target=lambda: thread_error.append(_error(tmp_path)))
        thread.start()
        thread.join()
    assert f"another process is writing there (pid {os.getpid()} on " in thread_error[0]


def _error(directory):
    with pytest.raises(InputError) as error, lock.exclusive(directory):
        pass
    return str(error.value)
