"""Counts what becomes of damaged input: refused, equal, answered, or a finding."""

import collections
import os
import random
import signal
import sys
import time
import traceback

from tfrecs.errors import InputError

COLUMNS = ("cases", "refused", "equal", "answered", "tracebacks", "silent changes", "seconds")
# Findings of one kind that are printed in full.
SHOWN = 3
# Of the time there is, what a process gets at least of a processor when it does not wait.
LEAST_WORK = 0.002


class SilentChange(Exception):
    """A result that differs from the one without damage, or breaks an invariant, and nothing was said."""


class Hang(BaseException):
    """A case that did not end."""


class _Clock:
    """Rings after `limit` seconds; again and again, as long as the case works and has not worked for that long."""

    def __init__(self, limit):
        self.limit = limit
        self.began = self.last = time.process_time()
        signal.alarm(limit)

    def ring(self):
        now = time.process_time()
        if now - self.began >= self.limit or now - self.last < LEAST_WORK * self.limit:
            raise Hang("no end within the limit")
        self.last = now
        signal.alarm(self.limit)


class Report:
    """The table of a run.

    Args:
        seed: int; equal seeds make equal cases.
        share: float, the part of the full number of cases.
        limit: int, seconds of work, or of waiting without work, after which a case counts as a hang. A process that
            others leave little time to is slow, and does not hang.
    """

    def __init__(self, seed, share=1.0, limit=30):
        self.seed, self.share, self.limit = seed, share, limit
        self._clock = None
        self.rows = collections.defaultdict(collections.Counter)
        self.findings = collections.defaultdict(list)

    def count(self, full):
        """How many of `full` cases this run makes."""
        return max(1, round(full * self.share))

    def random(self, *names):
        """The random numbers of one case, the same for the same seed and names."""
        return random.Random(f"{self.seed}/" + "/".join(map(str, names)))

    def case(self, target, name, function, *arguments, cases=1, limit=None):
        """Runs one case.

        Args:
            target: str, the row of the table.
            name: str, what reproduces the case.
            function: called with the arguments; it returns `equal` or `answered`, or raises `InputError` or
                `SilentChange`. Whatever else it raises is a finding.
            cases: int, how many cases it stands for.
            limit: int, seconds; default the report's own.

        Returns:
            the outcome, a name of `COLUMNS`.
        """
        began, where = time.monotonic(), None
        previous = signal.signal(signal.SIGALRM, self._alarm)
        self._clock = _Clock(limit or self.limit)
        try:
            outcome = function(*arguments)
        except InputError:
            outcome = "refused"
        except SilentChange as error:
            outcome, where = "silent changes", str(error)
        except (Exception, Hang, SystemExit) as error:
            outcome, (where, message) = "tracebacks", _where(error)
            name = f"{name}: {message}"
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, previous)
        row = self.rows[target]
        row["cases"] += cases
        row[outcome] += cases
        row["seconds"] += time.monotonic() - began
        if where is not None:
            if (target, outcome, where) not in self.findings:
                note(f"{target}: {outcome}: {where}: {ascii(name)[:200]}")
            self.findings[target, outcome, where].append(name)
        return outcome

    def _alarm(self, *_):
        self._clock.ring()

    @property
    def passed(self):
        """Whether nothing was found."""
        return not self.findings

    def __str__(self):
        table = [("target", *COLUMNS)]
        for target, row in self.rows.items():
            table.append((target, *(f"{row[column]:,.0f}" for column in COLUMNS)))
        sums = {column: sum(row[column] for row in self.rows.values()) for column in COLUMNS}
        table.append(("all", *(f"{sums[column]:,.0f}" for column in COLUMNS)))
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = [f"seed {self.seed}, share {self.share:g}"]
        for row in table:
            lines.append("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))))
        for (target, outcome, where), names in self.findings.items():
            lines.append(f"\n{target}: {len(names)} {outcome}: {where}")
            lines += [f"  {ascii(name)[:400]}" for name in names[:SHOWN]]
        return "\n".join(lines)


def _where(error):
    """The exception and the innermost line of the project that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and "/tests/fuzz/" not in f.filename] or frames
    last = own[-1] if own else None
    place = f"{os.path.relpath(last.filename)}:{last.lineno}" if last else "?"
    return f"{type(error).__name__} at {place}", ascii((str(error).splitlines() or [""])[0])[:160]


def note(text):
    """Says on standard error how far a run is."""
    print(text, file=sys.stderr, flush=True)
