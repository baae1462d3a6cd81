"""Which unit timestamps are in, over a whole log, from files; what is refused, and why."""

import datetime

import pyarrow as pa
import pyarrow.parquet
import pytest

from data_prep.prepare import main, prepare
from tfrecs.errors import InputError
from tfrecs.progress import StageProgress

SECONDS = [1_700_000_000, 1_600_000_000, 1_650_000_000]


@pytest.fixture
def make(tmp_path, read_records):
    """Prepares a log of one user and an item for each time; gives (items, seconds, provenance)."""

    def run(times, suffix=".csv", **options):
        path = tmp_path / f"log{suffix}"
        if suffix == ".parquet":
            table = {"user": ["u"] * len(times), "item": [f"i{n}" for n in range(len(times))], "t": times}
            pyarrow.parquet.write_table(pa.table(table), path)
        else:
            path.write_text("user,item,t\n" + "".join(f"u,i{n},{time}\n" for n, time in enumerate(times)))
        options = {"path": str(path), "timestamp_column": "t", "num_shards": 2} | options
        manifest = prepare("delimited", tmp_path / "data", StageProgress(None), **options)
        record = read_records(tmp_path / "data", manifest.fields)[1][1]
        return [item - 1 for item in record["item"]], record["timestamp"], manifest.provenance["timestamps"]

    return run


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("unit, ticks", [("seconds", 1), ("milliseconds", 1_000), ("microseconds", 1_000_000)])
def test_units_are_recognised(make, suffix, unit, ticks):
    items, seconds, said = make([second * ticks + ticks - 1 for second in SECONDS], suffix)
    assert items == [1, 2, 0] and seconds == sorted(SECONDS)
    assert said == {"unit": unit, "first": "2020-09-13T12:26:40Z", "last": "2023-11-14T22:13:20Z"}


@pytest.mark.parametrize(
    "times",
    [
        ["2023-11-14 22:13:20", "2020-09-13 12:26:40", "2022-04-15 05:20:00"],
        ["2023-11-14T22:13:20Z", "2020-09-13T12:26:40.999Z", "2022-04-15T06:20:00+01:00"],
        ["2023-11-14 22:13:20.999999999", "2020-09-13 14:26:40+0200", "2022-04-15 05:20"],
    ],
)
def test_dates_in_text(make, times):
    items, seconds, said = make(times)
    assert items == [1, 2, 0] and seconds == sorted(SECONDS) and said["unit"] == "dates"


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", "Asia/Tokyo"), pa.string()])
def test_dates_in_parquet(make, kind):
    times = pa.array([datetime.datetime.fromtimestamp(second, datetime.timezone.utc) for second in SECONDS])
    times = (
        times.cast(pa.timestamp("us")).cast(kind) if kind != pa.string() else times.cast(pa.timestamp("s")).cast(kind)
    )
    items, seconds, said = make(times, ".parquet")
    assert items == [1, 2, 0] and seconds == sorted(SECONDS) and said["unit"] == "dates"


def test_days_in_parquet(make):
    _, seconds, said = make(pa.array([datetime.date(1970, 1, 3), datetime.date(1970, 1, 2)]), ".parquet")
    assert seconds == [86_400, 172_800] and said["first"] == "1970-01-02T00:00:00Z"


@pytest.mark.parametrize("times", [[3, 1, 2], [0, 5], [-5, 7], [0, 1_700_000_000], [100_000_000, 7_305]])
def test_counters_and_times_since_a_start_are_seconds(make, times):
    _, seconds, said = make(times)
    assert seconds == sorted(times) and said["unit"] == "seconds"


@pytest.mark.parametrize("ticks", [1_000, 1_000_000])
def test_events_within_a_second_are_in_time_order(make, ticks):
    times = [1_600_000_000 * ticks + fraction * ticks // 10 for fraction in (7, 1, 4)]
    assert make(times)[:2] == ([1, 2, 0], [1_600_000_000] * 3)
    texts = [f"2020-09-13 12:26:40.{fraction}" for fraction in (7, 1, 4)]
    assert make(texts, overwrite=1)[:2] == ([1, 2, 0], [1_600_000_000] * 3)


def test_times_before_1970_round_down(make):
    assert make(["1969-12-31 23:59:59.5", "1969-12-31 23:59:58.5"])[1] == [-2, -1]
    assert make([-500, 1_500], timestamp_unit="ms", overwrite=1)[1] == [-1, 1]


def test_the_earliest_are_kept_to_the_millisecond(make):
    times = [1_600_000_000_900, 1_600_000_000_100, 1_600_000_000_500]
    assert make(times, keep_fraction=0.67)[0] == [0, 1]  # of what is left, in time order: i1, then i2


@pytest.mark.parametrize(
    "times, message",
    [
        (
            [1_700_000_000 * 10**9],
            r"1700000000000000000 \(interaction 1\) seems to count nanoseconds; .*divide by 1,000,",
        ),
        (
            [1_700_000_000, 1_700_000_000_000],
            r"mixed units: 1700000000 \(interaction 1\) seems to count seconds and 1700",
        ),
        ([1_700_000_000, 50_000_000_000], r"50000000000 \(interaction 2\) is implausible: .*before 1973 or after 2099"),
        ([20240131, 20240201], "20240131 to 20240201 are implausible as seconds: they seem to be dates, YYYYMMDD"),
        ([19_700, 19_800], "19700 to 19800 are implausible as seconds: they seem to count days since 1970"),
        (["2024-01-31", 1_700_000_000], r"log\.csv:3: timestamp is a number, those before are dates: '1700000000'"),
        ([1_700_000_000, "2024-01-31"], r"log\.csv:3: timestamp is a date, those before are numbers: '2024-01-31'"),
        (["2024-02-30"], r"log\.csv:2: timestamp is not a number: '2024-02-30', nor a date"),
        (["2024-01-31 25:00"], r"log\.csv:2: timestamp is not a number: '2024-01-31 25:00', nor a date"),
    ],
)
def test_implausible_timestamps_are_refused(make, tmp_path, times, message):
    with pytest.raises(InputError, match=message):
        make(times)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_a_unit_that_is_named_is_taken(make):
    assert make([19_700, 19_800], timestamp_unit="s")[1] == [19_700, 19_800]
    assert make([20240131, 20240201], timestamp_unit="ms", overwrite=1)[1] == [20240, 20240]
    with pytest.raises(InputError, match="^timestamp_unit ms: has no effect on timestamps that are dates"):
        make(["2024-01-31"], timestamp_unit="ms", overwrite=1)
    with pytest.raises(InputError, match="^timestamp_unit ms: dataset delimited has no timestamps"):
        make([5], timestamp_unit="ms", overwrite=1, timestamp_column=None)


def test_the_command_line_says_the_unit_and_the_flag(tmp_path, capsys):
    path = tmp_path / "log.csv"
    flags = ["--dataset", "delimited", "--path", str(path), "--timestamp_column", "t", "--out_dir", str(tmp_path / "d")]
    path.write_text("user,item,t\nu,a,1700000000000\nu,b,1600000000000\n")
    assert main(flags) == 0
    assert "timestamps: milliseconds, 2020-09-13T12:26:40Z to 2023-11-14T22:13:20Z" in capsys.readouterr().err
    path.write_text("user,item,t\nu,a,19700\nu,b,19800\n")
    assert main([*flags, "--overwrite", "1"]) == 2
    assert "multiply by 86,400; --timestamp_unit says the unit" in capsys.readouterr().err


@pytest.mark.parametrize("policy, items", [("error", None), ("skip", [0, 2])])
def test_one_form_over_all_blocks(tmp_path, policy, items):
    from data_prep.readers import blocks, text
    from data_prep.readers.log import BadLines

    path = tmp_path / "log.csv"
    path.write_text("u,i0,2024-01-31\nu,i1,17\nu,i2,2024-02-01\n")
    layout = blocks.Layout({"user": 0, "item": 1, "timestamp": 2}, 3, ",", quoted=True, header=False)
    bad_lines = BadLines(policy, {})
    if policy == "error":
        with pytest.raises(InputError, match=r"log\.csv:2: timestamp is a number, those before are dates"):
            list(text.read(str(path), layout, bad_lines, block_bytes=16))
        return
    tables = [table for table, _ in text.read(str(path), layout, bad_lines, block_bytes=16)]
    assert [int(item[1:]) for table in tables for item in table["item"].to_pylist()] == items
    assert bad_lines.counts == {"timestamp": 1}
