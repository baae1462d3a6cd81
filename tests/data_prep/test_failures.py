"""What is refused or cut short leaves nothing behind: full disks, signals, too little memory, wrong options."""

import contextlib
import os
import resource
import signal
import socket
import threading
import time

import numpy as np
import pytest

from data_prep import filters
from data_prep.engines import interruption, local
from data_prep.prepare import OPTIONS, main, prepare
from data_prep.sources import SOURCES
from tfrecs import startup
from tfrecs.data.records import ShardWriter
from tfrecs.errors import InputError
from tfrecs.options import Option
from tfrecs.progress import StageProgress

ENDLESS = "select count(*) from range(100000000000) numbers where hash(numbers.range) = 3"


@pytest.fixture
def raw(tmp_path):
    """Atomic files of 30,000 interactions and 500 items."""
    directory = tmp_path / "raw"
    directory.mkdir()
    rows = [f"u{n % 150}\ti{n * 7919 % 500}\t3\t{n}\n" for n in range(30_000)]
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (directory / "log.inter").write_text(header + "".join(rows))
    items = [f"i{n}\ttag-{n} tag-{n * 7}\n" for n in range(500)]
    (directory / "log.item").write_text("item_id:token\ttags:token_seq\n" + "".join(items))
    return directory


@contextlib.contextmanager
def largest_file(size):
    """Writing more into one file fails, as it does where the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "size, flags",
    [(1 << 10, ()), (1 << 13, ()), (1 << 14, ()), (1 << 16, ()), (1 << 18, ("--min_user_interactions", 2))],
)
def test_disk_full(tmp_path, raw, command, size, flags):
    with largest_file(size):
        code, _, err = command("--dataset", "atomic", "--raw_dir", raw, "--out_dir", tmp_path / "data", *flags)
    assert code == 2
    assert f"error: --out_dir {tmp_path / 'data'}: cannot be written: " in err and "File too large" in err
    assert os.listdir(tmp_path) == ["raw"]


def test_disk_full_while_attributes_are_written(tmp_path, raw, command, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    code, _, err = command("--dataset", "atomic", "--raw_dir", raw, "--out_dir", tmp_path / "data")
    assert code == 2 and "cannot be written: No space left on device" in err
    assert os.listdir(tmp_path) == ["raw"]


def test_disk_full_while_shards_are_written(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: cannot be written: .*File too large"):
        with largest_file(1 << 12), ShardWriter(str(tmp_path), 2) as writer:
            for user in range(1, 3000):
                writer.write(user, (1, 2), {"item": np.arange(1, 500)})


@pytest.mark.parametrize("kind, expected", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_inside_a_query(tmp_path, raw, monkeypatch, capsys, kind, expected):
    """At once, whichever thread of duckdb works on the query; to its end it takes two minutes."""
    sent = []

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), kind)

    def endless(connection, *_, **__):
        threading.Timer(0.3, send).start()
        connection.execute(ENDLESS).fetchall()

    monkeypatch.setattr(filters, "apply", endless)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    startup.catch()
    try:
        arguments = ["--dataset", "atomic", "--raw_dir", str(raw), "--out_dir", str(tmp_path / "data")]
        assert main(arguments) == expected
        assert time.monotonic() - sent[0] < 20
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert "interrupted; nothing was left behind" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["raw"]


def test_a_signal_that_closes_the_watchers_socket_is_no_failure_of_its_thread(monkeypatch):
    """As where a second signal comes while the first one's query is being left."""
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    reader, writer = socket.socketpair()
    writer.close()
    reader.close()
    watcher = threading.Thread(target=interruption._watch, args=(reader, None))
    watcher.start()
    watcher.join()
    assert not failures


def test_more_than_the_disk_holds_is_refused_before_anything_is_made(tmp_path, command):
    code, _, err = command("--dataset", "sample", "--num_users", 1000000000, "--out_dir", tmp_path / "data")
    assert code == 2 and "32,000,000,000 interactions of sample take about 894 GiB of disk" in err
    assert os.listdir(tmp_path) == []


def test_too_little_memory(tmp_path, raw, command, monkeypatch):
    def greedy(connection, *_, **__):
        connection.execute("set memory_limit='2MB'")
        connection.execute("create table big as select range, hash(range) from range(10000000) order by 2")

    monkeypatch.setattr(filters, "apply", greedy)
    code, _, err = command("--dataset", "atomic", "--raw_dir", raw, "--out_dir", tmp_path / "data")
    assert code == 2 and "error: --memory_limit_mb 400: not enough memory" in err
    assert os.listdir(tmp_path) == ["raw"]


@pytest.mark.parametrize(
    "flags",
    [
        ("--memory_limit_mb", 10**18),
        ("--memory_limit_mb", "9" * 5000),
        ("--memory_limit_mb", 99),
        ("--seed", 2**63),
        ("--seed", "9" * 4000),
        ("--seed", -1),
        ("--valid_from", 10**30),
        ("--min_user_interactions", 2**70),
        ("--min_rating", "1e400"),
        ("--num_users", 10**17),
        ("--num_shards", 0),
        ("--split", "\x1b[2J"),
    ],
)
def test_options_out_of_range(tmp_path, command, flags):
    code, _, err = command("--out_dir", tmp_path / "data", *flags)
    assert code == 2 and f"error: {flags[0]}: " in err and len(err) < 1000
    assert os.listdir(tmp_path) == []


class Table:
    """What a DataFrame is to the options: neither text nor a number."""


@pytest.mark.parametrize(
    "dataset, options, message",
    [
        ("delimited", {"path": Table()}, "^path: expected text, got a Table$"),
        ("delimited", {"path": 5}, "^path: expected text, got 5$"),
        ("delimited", {"path": b"a.csv"}, "^path: expected text, got a bytes$"),
        ("delimited", {"path": "a\0.csv"}, "^path: expected text, got "),
        ("delimited", {"path": "a\udcff.csv"}, "^path: expected text, got "),
        ("delimited", {"path": "none.csv"}, "^none.csv: No such file or directory$"),
        ("delimited", {}, "^path: required for dataset delimited$"),
        ("delimited", {"paths": "a.csv"}, "^paths: not an option of dataset delimited; did you mean 'path'"),
        ("sample", {"num_users": "many"}, "^num_users: expected an integer from 1 to 1000000000, got 'many'$"),
        ("sample", {"num_users": float("inf")}, "^num_users: expected an integer from 1 to 1000000000, got inf$"),
        ("sample", {"num_users": float("nan")}, "^num_users: expected an integer from 1 to 1000000000, got nan$"),
        ("sample", {"num_users": True}, "^num_users: expected an integer from 1 to 1000000000, got True$"),
        ("sample", {"num_users": [20]}, "^num_users: expected an integer from 1 to 1000000000, got a list$"),
        ("sample", {"min_item_interactions": 2**63}, "^min_item_interactions: .* from 1 to 9223372036854775807, got"),
        ("sample", {"min_user_interactions": "9" * 22}, "^min_user_interactions: expected an integer from 1 to 9223"),
        ("sample", {"split": 5}, "^split: expected text, got 5$"),
        ("sample", {"out_dir": 5}, "^out_dir: expected text, got 5$"),
        ("sample", {"out_dir": b"data"}, "^out_dir: expected text, got a bytes$"),
        ("sample", {"out_dir": "a\0b"}, "^out_dir: expected text, got "),
        ("sample", {"out_dir": ""}, "^out_dir: empty$"),
        ("sampel", {}, "^dataset: unknown dataset 'sampel'; did you mean 'sample'"),
        (["sample"], {}, r"^dataset: unknown dataset \['sample'\]"),
        (None, {}, "^dataset: unknown dataset None"),
    ],
)
def test_wrong_arguments_from_python(tmp_path, dataset, options, message):
    with pytest.raises(InputError, match=message):
        prepare(dataset, **({"out_dir": str(tmp_path / "data"), "progress": StageProgress(None)} | options))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("delimiter", ["€", "😀", "::", '"', "\n"])
def test_delimiters_that_arrow_does_not_know(tmp_path, command, delimiter):
    (tmp_path / "log.csv").write_text(f"user{delimiter}item\na{delimiter}b\n", encoding="utf-8")
    flags = ("--dataset", "delimited", "--path", tmp_path / "log.csv", "--delimiter", delimiter)
    code, _, err = command(*flags, "--out_dir", tmp_path / "data")
    assert code == 2 and "error: --delimiter: expected one ASCII character, got " in err


def test_a_time_split_by_fractions(tmp_path):
    """A tenth of 100 interactions is the test, the tenth before it validation."""
    rows = "".join(f"u{n % 7},i{n % 11},{1000 + n}\n" for n in range(100))
    (tmp_path / "log.csv").write_text("user,item,time\n" + rows)
    options = {"path": tmp_path / "log.csv", "timestamp_column": "time", "split": "time"}
    manifest = prepare("delimited", tmp_path / "data", StageProgress(None), **options)
    assert (manifest.split["valid_from"], manifest.split["test_from"]) == (1080, 1090)


def test_paths_and_switches_from_python(tmp_path, raw):
    for _ in range(2):
        prepare("atomic", tmp_path / "data", StageProgress(None), raw_dir=raw, overwrite=True, num_shards=np.int64(2))
    assert sorted(os.listdir(tmp_path)) == ["data", "raw"]


@pytest.mark.parametrize("name", ["x" * 300, "é" * 101, "../x", "a/b", "user", "", "-x", "a b"])
def test_names_of_attributes_are_checked_before_the_log_is_read(tmp_path, command, name, monkeypatch):
    monkeypatch.setattr(local, "run", None)
    (tmp_path / "log.txt").write_text("u a b\n")
    (tmp_path / "log_item2attributes.json").write_text('{"a": [1]}')
    flags = ("--dataset", "sequences", "--raw_dir", tmp_path, f"--attribute_name={name}")
    code, _, err = command(*flags, "--out_dir", tmp_path / "out")
    assert code == 2 and ("item attribute" in err or "--attribute_name: empty" in err)
    assert len(err) < 800 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["data", "data/below", "/dev/null", "/dev/null/below", "link", "loop/below"])
def test_a_directory_that_cannot_be_made(tmp_path, command, place):
    (tmp_path / "data").write_text("mine")
    os.symlink(tmp_path / "nowhere", tmp_path / "link")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    before = sorted(os.listdir(tmp_path))
    for overwrite in (0, 1):
        flags = ("--num_users", 5, "--num_items", 160, "--overwrite", overwrite)
        code, _, err = command("--out_dir", tmp_path / place, *flags)
        assert code == 2 and f"error: --out_dir {tmp_path / place}: " in err
    assert sorted(os.listdir(tmp_path)) == before and (tmp_path / "data").read_text() == "mine"


def test_a_directory_within_that_of_the_raw_files(raw, command):
    before = sorted(os.listdir(raw))
    for overwrite in (0, 1):
        flags = ("--dataset", "atomic", "--raw_dir", raw, "--overwrite", overwrite)
        assert command(*flags, "--out_dir", raw / "data")[0] == 0
    assert sorted(os.listdir(raw)) == sorted([*before, "data"])
    code, _, err = command(*flags, "--out_dir", raw)
    assert code == 2 and "holds other files but no dataset.json" in err
    assert sorted(os.listdir(raw)) == sorted([*before, "data"])


def test_every_whole_number_has_a_range():
    options = OPTIONS | {name: option for source in SOURCES.values() for name, option in source.options.items()}
    for name, option in options.items():
        if isinstance(option, Option) and option.type is int:
            with pytest.raises(InputError, match=f"{name}: expected an integer"):
                option.convert(name, 2**63)
