"""Progress with an estimate of the time left: one rewritten line on a terminal, else lines."""

import time

from tfrecs.errors import shown, shown_lines


class Progress:
    """Reports named stages of a long job.

    Args:
        stream: a text stream, or None to say nothing.
        interval: seconds between lines where the stream is not a terminal.
        clock: function returning seconds; tests put in their own.

    Example:
        >>> progress = Progress(None)
        >>> progress.start("reading")
        >>> progress.update(0.5, 1000)
        >>> progress.finish()
    """

    def __init__(self, stream, interval=10.0, clock=time.monotonic):
        self.stream = stream
        self.clock = clock
        self.terminal = stream is not None and stream.isatty()
        self.interval = 0.2 if self.terminal else interval

    def start(self, stage):
        """Begins a stage; `stage` is its name."""
        self.stage = stage
        self.began = self.last = self.clock()
        if self.terminal:
            self._line(f"{stage} ...")

    def update(self, fraction, rows):
        """Reports a share of the stage's work, 0 to 1, and the rows handled so far."""
        now = self.clock()
        if self.stream is None or now - self.last < self.interval:
            return
        self.last = now
        elapsed = now - self.began
        left = f", {elapsed * (1 - fraction) / fraction:.0f} s left" if fraction > 0 else ""
        self._line(f"{self.stage}: {100 * fraction:.0f} %, {rows:,} rows, {elapsed:.0f} s{left}")

    def finish(self, result=""):
        """Ends the stage; `result` is a few words on what came of it."""
        if self.stream is None:
            return
        elapsed = self.clock() - self.began
        self._line(f"{self.stage}: {result + ', ' if result else ''}{elapsed:.1f} s")
        if self.terminal:
            self.stream.write("\n")
        self.stream.flush()

    def note(self, text):
        """Says something on a line of its own."""
        if self.stream is not None:
            print(shown_lines(text), file=self.stream, flush=True)

    def _line(self, text):
        text = shown(text)
        if self.terminal:
            self.stream.write(f"\r{text}\x1b[K")
        else:
            self.stream.write(text + "\n")
        self.stream.flush()
