import io

import pytest

from tfrecs.progress import ProgressLine, duration
from tfrecs.runs.config import TrainConfig
from tfrecs.runs.listing import Progress
from tfrecs.training import loop


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands where the test puts it."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


# 10 batches of 64 an epoch, 5 epochs. (where it began, where it stands, seconds since, what is shown)
@pytest.mark.parametrize(
    "began, now, seconds, shown",
    [
        ((0, 0), (0, 5), 2.0, "epoch 1/5 step 5, 160 examples/s\n"),
        ((1, 0), (1, 5), 2.0, "epoch 2/5 step 5, 160 examples/s, 12%, ETA 0:00:14\n"),
        ((1, 5), (1, 10), 10.0, "epoch 2/5 step 10, 32 examples/s, 14%, ETA 0:01:00\n"),
        ((4, 0), (4, 9), 9.0, "epoch 5/5 step 9, 64 examples/s, 90%, ETA 0:00:01\n"),
    ],
)
def test_the_line_shows_a_rate_and_the_time_left(clock, began, now, seconds, shown):
    def at(epoch, step):
        return Progress(epoch=epoch, step=step, examples=(epoch * 10 + step) * 64)

    stream = io.StringIO()
    meter = loop._Meter(ProgressLine(stream, interval=1.0), TrainConfig(epochs=5, batch_size=64), at(*began))
    clock[0] += seconds
    meter.show(at(*now))
    meter.show(at(*now))
    assert stream.getvalue() == shown, "once an interval"


def test_a_new_epoch_measures_its_own_rate(clock):
    stream = io.StringIO()
    meter = loop._Meter(ProgressLine(stream, interval=0.0), TrainConfig(epochs=2, batch_size=10), Progress())
    clock[0] += 100
    meter.restart(Progress(epoch=1, examples=100))
    clock[0] += 2
    meter.show(Progress(epoch=1, step=1, examples=110))
    assert "step 1, 5 examples/s" in stream.getvalue()


@pytest.mark.parametrize(
    "seconds, text", [(0, "0:00:00"), (59.4, "0:00:59"), (59.6, "0:01:00"), (3600, "1:00:00"), (-1, "0:00:00")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
