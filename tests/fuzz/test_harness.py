"""The harness finds what is planted: a traceback, a silent change, a hang, an answer that breaks an invariant."""

import time

import numpy as np
import pytest

from data_prep.sources import sequences
from tests.fuzz import data_sets, kills, mutations, run_directories, served, sources, stored
from tests.fuzz.harness import Report, SilentChange
from tfrecs.data import manifest as manifests
from tfrecs.data import verification
from tfrecs.errors import InputError
from tfrecs.models import MODELS
from tfrecs.runs import directory as runs
from tfrecs.runs import listing
from tfrecs.runs.checkpoints import Checkpoints
from tfrecs.runs.config import TrainConfig


def outcomes(report):
    return {outcome for _, outcome, _ in report.findings}


def run_sequences(tmp_path, share=0.003):
    report = Report(1, share)
    sources.run(report, str(tmp_path), ("sequences",))
    return report


def test_sound_code_passes_and_equal_seeds_make_equal_cases(tmp_path):
    report, again = run_sequences(tmp_path), run_sequences(tmp_path)
    assert report.passed, str(report)
    row = report.rows["sequences"]
    assert row["cases"] == 30 and row["refused"] > 3 and row["answered"] > 3
    assert all(row[name] == again.rows["sequences"][name] for name in ("refused", "answered"))
    assert str(report).splitlines()[1].split()[:3] == ["target", "cases", "refused"]


def test_a_planted_traceback_is_found(tmp_path, monkeypatch):
    def broken(name, options):
        raise KeyError("planted")

    monkeypatch.setattr(sequences, "open_log", broken)
    report = run_sequences(tmp_path)
    assert outcomes(report) == {"tracebacks"} and "planted" in str(report)


def test_a_planted_silent_change_of_a_log_is_found(tmp_path, monkeypatch):
    sound = sequences.open_log

    def broken(name, options):
        log = sound(name, options)
        if options["on_bad_line"] == "skip":
            chunks = log.chunks
            log.chunks = lambda: ((table.slice(1), fraction) for table, fraction in chunks())
        return log

    monkeypatch.setattr(sequences, "open_log", broken)
    assert "silent changes" in outcomes(run_sequences(tmp_path))


def test_a_planted_silent_change_of_prepared_data_is_found(tmp_path, monkeypatch):
    directory = data_sets.make_data(str(tmp_path / "data"))
    chosen = dict(choose=lambda name: name == "vocab/item.txt")

    def found():
        report = Report(0, 0.03)
        stored.damage_regions(
            report, "data", directory, data_sets.REGIONS, lambda _: data_sets.read_data(directory), **chosen
        )
        return outcomes(report)

    assert not found()
    monkeypatch.setattr(verification, "verify", lambda *_: None)
    assert "silent changes" in found()
    assert manifests.load(directory)


def test_damage_to_an_older_checkpoint_is_looked_at(tmp_path):
    run_dir, model = str(tmp_path / "run"), MODELS["attrec"](num_users=3, num_items=5, embedding_dim=2)
    runs.write_run(run_dir, "attrec", model, TrainConfig())
    Checkpoints(run_dir, model).save(listing.Progress(epoch=1))
    read = run_directories.RunReader(run_dir)
    older, newer = read("cp-0000.index"), read("cp-0001.index")
    assert older != newer and read("history.csv") == newer
    with stored.replaced(run_dir, {"cp-0000.data-00000-of-00001": b"x" * 500}):
        assert read("history.csv") == newer
        with pytest.raises(InputError, match="cp-0000: damaged"):
            read("cp-0000.data-00000-of-00001")
    assert read("cp-0000.index") == older


def test_a_hang_is_found():
    report = Report(0, limit=1)
    assert report.case("target", "case", time.sleep, 5) == "tracebacks"
    assert "no end within the limit" in str(report)


def test_endless_work_is_found():
    def work():
        while True:
            pass

    assert Report(0, limit=1).case("target", "case", work) == "tracebacks"


def test_a_slow_machine_is_no_hang():
    """Work within the limit, though other processes take most of the time."""

    def work():
        began = time.process_time()
        while time.process_time() - began < 0.5:
            time.sleep(0.2)
            end = time.monotonic() + 0.05
            while time.monotonic() < end:
                pass
        return "equal"

    assert Report(0, limit=1).case("target", "case", work) == "equal"


@pytest.mark.parametrize(
    "change",
    [
        {"items": [[b"a", b"b", b"b", b"", b""]]},
        {"items": [[b"a", b"x", b"b", b"", b""]]},
        {"items": [[b"c", b"a", b"b", b"", b""]]},
        {"items": [[b"a", b"b", b"", b"", b""]]},
        {"scores": [[1, 2, 0, -np.inf, -np.inf]]},
        {"scores": [[2, np.nan, 0, -np.inf, -np.inf]]},
        {"scores": [[2, 1, 0, 0, -np.inf]]},
        {"items": [[b"a"]], "scores": [[1]]},
    ],
)
def test_an_answer_that_breaks_an_invariant_is_found(change):
    sound = {"items": [[b"a", b"b", b"d", b"", b""]], "scores": [[2, 1, 0, -np.inf, -np.inf]]}
    items = [b"a", b"b", b"c", b"d"]
    served.check({name: np.array(value) for name, value in sound.items()}, [[b"c", b"?"]], items)
    with pytest.raises(SilentChange):
        served.check({name: np.array(value) for name, value in (sound | change).items()}, [[b"c", b"?"]], items)


def test_regions_cover_every_byte():
    for size in (0, 1, 7, 100, 1001):
        parts = mutations.regions(bytes(size), 10)
        assert [end for _, end in parts[:-1]] == [begin for begin, _ in parts[1:]]
        assert not parts or (parts[0][0], parts[-1][1]) == (0, size)


def test_a_lost_foreign_file_is_found(tmp_path):
    world = kills.World(str(tmp_path / "world"))
    world.check_foreign()
    (tmp_path / "world" / "exports" / "1.tmp").unlink()
    with pytest.raises(kills.Wrong, match="exports/1.tmp: a foreign file is gone"):
        world.check_foreign()


@pytest.mark.slow
def test_a_few_kills(tmp_path):
    import os
    import subprocess
    import sys

    command = [sys.executable, "-m", "tests.fuzz.kills", "8"]
    done = subprocess.run(command, cwd=os.getcwd(), capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "8 kills" in done.stdout
