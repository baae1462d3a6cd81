"""Sides of a comparison: processes that are asked for timed rounds in turns, and the ratios within each round."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfrecs.errors import InputError


class SideFailed(Exception):
    """A side ended or reported an error; the message has the last lines of its log."""


class Side:
    """A process that runs `server.serve`, started at once.

    Args:
        command: list of str.
        log: str, the file for what it prints otherwise.

    Raises:
        SideFailed: it ended before it was ready.
    """

    def __init__(self, command: Sequence[str], log: str) -> None:
        self.log = log
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
            )
        self._answer("READY")

    def _answer(self, beginning: str) -> str:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line[len(beginning) :].strip()
            with open(self.log, "a", encoding="utf-8") as file:
                file.write(line)
        raise SideFailed(f"{self.log}: the side ended\n{self._tail()}")

    def _tail(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]

    def ask(self, name: str, **options: Any) -> dict[str, float]:
        """One round.

        Args:
            name: str, the round.
            **options: its options.

        Returns:
            dict of numbers.

        Raises:
            SideFailed: the round failed.
        """
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"round": name, **options}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, float] = json.loads(self._answer("RESULT "))
        if "error" in answer:
            raise SideFailed(f"{answer['error']}\n{self._tail()}")
        return answer

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def prepare(flags: Sequence[str], named: str) -> None:
    """Prepares data in a process of its own.

    Args:
        flags: list of str for `data_prep.prepare`.
        named: str, what a message begins with: the flag that the data follow from, and its value.

    Raises:
        InputError: they cannot be prepared.
    """
    command = [sys.executable, "-m", "data_prep.prepare", "-q", *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{named}: {done.stderr.strip().partition('error: ')[2]}")


def our_side(data_dir: str, flags: Sequence[str], log: str) -> Side:
    """tfrecs as a side, see `ours.py`.

    Args:
        data_dir: str, prepared data.
        flags: list of str for `examples/run.py`.
        log: str, the file for what it prints.
    """
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ours.py")
    return Side([sys.executable, script, data_dir, *flags], log)


def note(line: str) -> None:
    """Tells of progress."""
    print(line, file=sys.stderr, flush=True)


def alternate(asks: Mapping[str, Callable[[], dict[str, float]]], rounds: int) -> dict[str, list[dict[str, float]]]:
    """Asks the sides in turns: A B C A B C ...

    Args:
        asks: dict of name to `f() -> dict of numbers`.
        rounds: int.

    Returns:
        dict of name to the answers, one per round.
    """
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in asks}
    started = time.monotonic()
    for number in range(rounds):
        for name, ask in asks.items():
            answers[name].append(ask())
            shown = ", ".join(f"{key} {value:.4g}" for key, value in answers[name][-1].items())
            done = sum(map(len, answers.values()))
            left = (time.monotonic() - started) / done * (rounds * len(asks) - done)
            note(f"round {number + 1} of {rounds}: {name}: {shown}; {left:.0f} s left")
    return answers


def ratios(ours: Sequence[Mapping[str, float]], theirs: Sequence[Mapping[str, float]], key: str) -> list[float]:
    """Ratios within rounds.

    Args:
        ours, theirs: the answers of two sides, by round.
        key: str, the number compared.

    Returns:
        list of float, one per round.

    Example:
        >>> ratios([{"rate": 6.0}, {"rate": 9.0}], [{"rate": 2.0}, {"rate": 3.0}], "rate")
        [3.0, 3.0]
    """
    return [own[key] / base[key] for own, base in zip(ours, theirs, strict=True)]


def with_range(values: Sequence[float], form: str = ".1f", unit: str = "") -> str:
    """The median, with the least and the greatest.

    Example:
        >>> with_range([2.0, 3.0, 5.0], unit="x")
        '3.0x [2.0, 5.0]'
    """
    return f"{statistics.median(values):{form}}{unit} [{min(values):{form}}, {max(values):{form}}]"
