"""Progress with an ETA: one rewritten line on a terminal, otherwise a plain line now and then."""

import sys
import time

from tfrecs.errors import shown, shown_lines


class ProgressLine:
    """Prints where a long piece of work is.

    Args:
        stream: text stream; default standard error.
        interval: float, seconds between plain lines where there is no terminal.
    """

    def __init__(self, stream=None, interval=10.0):
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.interval = 0.2 if self.terminal else interval
        self._last = time.monotonic()

    def update(self, text, done, total, started):
        """Shows `text` and the time left, not more often than the interval.

        Args:
            text: str.
            done, total: floats, the work done and all of it; `total` 0 is unknown.
            started: float, `time.monotonic()` when `done` was 0.
        """
        now = time.monotonic()
        if now - self._last < self.interval:
            return
        self._last = now
        if total and done:
            text += f", {done / total:.0%}, ETA {duration((now - started) * (total / done - 1))}"
        text = shown(text)
        self.stream.write(f"\r\x1b[K{text}" if self.terminal else f"{text}\n")
        self.stream.flush()

    def line(self, text):
        """Prints a whole line, above any progress."""
        text = shown_lines(text)
        self.stream.write(f"\r\x1b[K{text}\n" if self.terminal else f"{text}\n")
        self.stream.flush()


def note(text):
    """Says on standard error what a run is about to do."""
    ProgressLine().line(text)


def say(text):
    """Prints a result on standard output; tokens in it cannot steer the terminal."""
    print(shown_lines(text), flush=True)


def duration(seconds):
    """A short reading of a time span.

    Example:
        >>> duration(3725)
        '1:02:05'
    """
    minutes, seconds = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
