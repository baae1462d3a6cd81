"""Progress with an ETA: one rewritten line on a terminal, otherwise a plain line now and then."""

import contextlib
import contextvars
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from tfrecs.errors import shown, shown_lines

_is_quiet = contextvars.ContextVar("is_quiet", default=False)


@contextlib.contextmanager
def quiet(on: bool = True) -> Iterator[None]:
    """A context within which progress and notes are not printed; results and errors are.

    Example:
        >>> with quiet():
        ...     ProgressLine(sys.stdout).line("epoch 1/3")
    """
    token = _is_quiet.set(on or _is_quiet.get())
    try:
        yield
    finally:
        _is_quiet.reset(token)


class _Printer:
    """Prints lines, and one line that is rewritten in place on a terminal.

    Args:
        stream: text stream, or None to print nothing.
        interval: float, seconds between progress lines where the stream is not a terminal.
        clock: function that returns seconds.
    """

    def __init__(self, stream: TextIO | None, interval: float, clock: Callable[[], float]) -> None:
        stream = None if _is_quiet.get() else stream
        self.stream, self.clock = stream, clock
        self.terminal = stream is not None and stream.isatty()
        self.interval = 0.2 if self.terminal else interval
        self._last = clock()

    def line(self, text: object) -> None:
        """Prints lines above any progress."""
        if self.stream is not None:
            self._write(("\r\x1b[K" if self.terminal else "") + shown_lines(text) + "\n")

    def _is_due(self) -> bool:
        """Whether the interval is over; if so, the next one starts."""
        now = self.clock()
        if self.stream is None or now - self._last < self.interval:
            return False
        self._last = now
        return True

    def _rewrite(self, text: str) -> None:
        """Prints the progress line: over the last one on a terminal, otherwise below it."""
        self._write(f"\r{shown(text)}\x1b[K" if self.terminal else f"{shown(text)}\n")

    def _write(self, text: str) -> None:
        if self.stream is not None:
            self.stream.write(text)
            self.stream.flush()


class ProgressLine(_Printer):
    """Prints how far a long task is, with the time left.

    Args:
        stream: text stream; default standard error.
        interval: float, seconds between plain lines where there is no terminal.
    """

    def __init__(self, stream: TextIO | None = None, interval: float = 10.0) -> None:
        super().__init__(stream or sys.stderr, interval, time.monotonic)

    def update(self, text: str, done: float, total: float, started: float) -> None:
        """Shows `text` and the time left, not more often than the interval.

        Args:
            text: str.
            done, total: floats, the work done and all of it; `total` 0 is unknown.
            started: float, `time.monotonic()` when `done` was 0.
        """
        if not self._is_due():
            return
        if total and done:
            text += f", {done / total:.0%}, ETA {duration((self._last - started) * (total / done - 1))}"
        self._rewrite(text)


class StageProgress(_Printer):
    """Reports the named stages of a long task.

    Args:
        stream: text stream, or None to print nothing.
        interval: float, seconds between lines where the stream is not a terminal.
        clock: function that returns seconds; tests pass their own.

    Example:
        >>> progress = StageProgress(None)
        >>> progress.start("reading")
        >>> progress.update(0.5, 1000)
        >>> progress.finish()
    """

    def __init__(
        self, stream: TextIO | None, interval: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream, interval, clock)

    def start(self, stage: str) -> None:
        """Begins a stage; `stage` is its name."""
        self.stage = stage
        self.started = self._last = self.clock()
        if self.terminal:
            self._rewrite(f"{stage} ...")

    def update(self, fraction: float, rows: int) -> None:
        """Reports a share of the stage's work, 0 to 1, and the rows handled so far."""
        if not self._is_due():
            return
        elapsed = self._last - self.started
        left = f", {elapsed * (1 - fraction) / fraction:.0f} s left" if fraction > 0 else ""
        self._rewrite(f"{self.stage}: {100 * fraction:.0f} %, {rows:,} rows, {elapsed:.0f} s{left}")

    def finish(self, result: str = "") -> None:
        """Ends the stage; `result` is a few words on what came of it."""
        if self.stream is None:
            return
        self._rewrite(f"{self.stage}: {result + ', ' if result else ''}{self.clock() - self.started:.1f} s")
        if self.terminal:
            self._write("\n")


def note(text: object) -> None:
    """Says on standard error what a run is about to do."""
    ProgressLine().line(text)


def say(text: object) -> None:
    """Prints a result on standard output; tokens in it cannot steer the terminal."""
    print(shown_lines(text), flush=True)


def duration(seconds: float) -> str:
    """A short reading of a time span.

    Example:
        >>> duration(3725)
        '1:02:05'
    """
    minutes, seconds = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
