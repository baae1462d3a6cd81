import io

from tfrecs.progress import StageProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream):
    """100 updates a second apart."""
    now = [0.0]
    progress = StageProgress(stream, clock=lambda: now[0])
    progress.start("reading")
    for step in range(1, 101):
        now[0] += 1
        progress.update(step / 100, step * 1000)
    progress.finish("100,000 rows")
    return stream.getvalue()


def test_a_line_every_ten_seconds():
    lines = run(io.StringIO()).splitlines()
    assert lines[0] == "reading: 10 %, 10,000 rows, 10 s, 90 s left"
    assert len(lines) == 11
    assert lines[-1] == "reading: 100,000 rows, 100.0 s"


def test_a_terminal_gets_one_line():
    text = run(Terminal())
    assert text.count("\n") == 1 and text.endswith("\n")
    assert text.count("\r") == 102
    assert "\rreading: 50 %, 50,000 rows, 50 s, 50 s left\x1b[K" in text
