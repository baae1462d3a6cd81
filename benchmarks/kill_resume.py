"""Kills one run many times with SIGKILL, resumes it each time, and compares it bit for bit with a run left alone.

    python benchmarks/kill_resume.py --data_dir data/sample --run_dir kill_resume --kills 30 [-- --model atrank ...]

What follows `--` goes to `examples/run.py`; by default AttRec, small, with dropout.
Checkpoints are written every few steps, so that kills fall into saving too. The moment of a kill is drawn between the
start of the process and some seconds after its first new checkpoint. Early stopping ends the first
phase and a second one (`--retrain 1`) follows. Both runs lie below `--run_dir`, which must not exist. Prints a line per
kill and a verdict; exits 0 where `history.csv` of both phases and every tensor of every checkpoint both runs have at
their end are equal, 1 where anything differs or the run ended before it was killed often enough.
"""

import glob
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import flags

from tfrecs.errors import InputError
from tfrecs.options import Option

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UNTRACKED = ("_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter/.ATTRIBUTES/VARIABLE_VALUE")
ATTREC = ("--model", "attrec", "--embedding_dim", "16", "--dropout", "0.5")
LIMIT = 900  # seconds that one process may take
OPTIONS = {
    "data_dir": Option(str, None, "prepared data; some dozens of steps an epoch do", required=True),
    "run_dir": Option(str, None, "where both runs are made; must not exist", required=True),
    "kills": Option(int, 30, "how often to kill", 1),
    "epochs": Option(int, 12, "of the run", 1),
    "seconds": Option(float, 1.5, "longest wait after a first new checkpoint", 0),
    "seed": Option(int, 0, "of the moments", 0),
}


def start(data_dir: str, run_dir: str, epochs: int, resume: bool, more: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts the run's process; its output goes to `<run_dir>.log`."""
    given = {
        "data_dir": data_dir,
        "run_dir": run_dir,
        "load_model": int(resume),
        "epochs": epochs,
        "batch_size": 128,
        "patience": 2,
        "retrain": 1,
        "save_checkpoints_steps": 2,
        "keep_checkpoints": 3,
        "strategy": "none",
        "num_recommendations": 0,
    }
    command = [sys.executable, os.path.join(ROOT, "examples", "run.py")]
    command += [part for name, value in given.items() for part in (f"--{name}", str(value))]
    command += more
    with open(f"{run_dir}.log", "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def newest(run_dir: str) -> str | None:
    """Where a run stands, over both phases, as text."""
    from tfrecs.runs import listing

    second = listing.newest(os.path.join(run_dir, "retrain"))
    return f"retrain/{second}" if second else listing.newest(run_dir)


def kill_once(
    process: subprocess.Popen[bytes], run_dir: str, moment: str, random_delay: float
) -> tuple[str, float] | None:
    """Kills a process at its moment; gives (what happened, seconds), or None where it ended before.

    Args:
        process: `subprocess.Popen`.
        run_dir: str.
        moment: `start` (a delay after the start), or `training` (a delay after its first new checkpoint).
        random_delay: float, seconds.
    """
    began, before = time.monotonic(), newest(run_dir)
    deadline = began + random_delay
    while process.poll() is None and time.monotonic() < began + LIMIT:
        if moment == "training" and newest(run_dir) != before:
            moment, deadline = "reached", time.monotonic() + random_delay
        if moment != "training" and time.monotonic() >= deadline:
            break
        time.sleep(0.003)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.returncode != -signal.SIGKILL:
        return None
    unfinished = [os.path.basename(path) for path in glob.glob(os.path.join(run_dir, "**", "*_temp"), recursive=True)]
    unfinished += [os.path.basename(path) for path in glob.glob(os.path.join(run_dir, "**", "*.tmp"), recursive=True)]
    saving = f", while saving ({', '.join(sorted(unfinished))})" if unfinished else ""
    return f"{before or 'nothing'} -> {newest(run_dir) or 'nothing'}{saving}", time.monotonic() - began


def contents(run_dir: str) -> dict[str, bytes]:
    """Everything to compare: `history.csv` files, and tensors by checkpoint and name."""
    import tensorflow as tf

    found = {}
    for folder in (run_dir, os.path.join(run_dir, "retrain")):
        phase = os.path.relpath(folder, run_dir)
        with open(os.path.join(folder, "history.csv"), "rb") as file:
            found[f"{phase}/history.csv"] = file.read()
        for path in glob.glob(os.path.join(glob.escape(folder), "*.index")):
            reader = tf.train.load_checkpoint(path.removesuffix(".index"))
            for name in reader.get_variable_to_shape_map():
                if name not in UNTRACKED:
                    found[f"{phase}/{os.path.basename(path)}:{name}"] = reader.get_tensor(name).tobytes()
    return found


@flags.program
def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit code."""
    own, passed_on = flags.split(argv)
    arguments, more = flags.parse(own, OPTIONS, __doc__), passed_on or ATTREC
    if os.path.exists(arguments.run_dir):
        raise InputError(f"--run_dir {arguments.run_dir}: exists")
    from tfrecs.runs import listing

    os.makedirs(arguments.run_dir)
    whole, killed = (os.path.join(arguments.run_dir, name) for name in ("whole", "killed"))
    began = time.monotonic()
    if start(arguments.data_dir, whole, arguments.epochs, False, more).wait():
        print(f"the reference failed: see {whole}.log")
        return 1
    alone = time.monotonic() - began
    print(f"reference: {newest(whole)}, best {listing.best(whole)}, {alone:.1f} s", flush=True)
    moments, done, saving = random.Random(arguments.seed), 0, 0
    while done < arguments.kills:
        process = start(arguments.data_dir, killed, arguments.epochs, done > 0, more)
        # One kill in ten falls into the start, before anything new is saved.
        moment = "start" if done and moments.random() < 0.1 else "training"
        result = kill_once(process, killed, moment, moments.uniform(0, arguments.seconds))
        if result is None:
            code = process.returncode
            print(f"the run ended ({code}) after {done} kills: give it more --epochs or fewer --seconds")
            break
        done += 1
        saving += "while saving" in result[0]
        print(f"kill {done:2d} after {result[1]:5.1f} s: {result[0]}", flush=True)
    last = start(arguments.data_dir, killed, arguments.epochs, True, more).wait()
    expected, found = contents(whole), contents(killed) if not last else {}
    different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    with open(f"{killed}.log", encoding="utf-8", errors="replace") as file:
        errors = re.findall(r"Traceback|run\.py: error.*|run\.py: stopped.*", file.read())
    enough = done == arguments.kills
    equal = not last and not different and not errors
    verdict = "NOT EQUAL" if not equal else "EQUAL" if enough else f"EQUAL, but fewer than {arguments.kills} kills"
    print(
        f"{verdict}: {done} kills, {saving} of them while saving; {len(expected)} files and "
        f"tensors compared, {len(different)} differ; last exit code {last}, {len(errors)} errors logged; "
        f"{time.monotonic() - began:.0f} s in all"
    )
    for name in [*different[:20], *errors[:5]]:
        print(f"  {name}")
    return 0 if equal and enough else 1


if __name__ == "__main__":
    sys.exit(main())
