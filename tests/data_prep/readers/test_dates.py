import datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.readers import dates

TIMES = st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30))
ZONES = st.sampled_from(["", "Z", "+00:00", "-05:30", "+0900", "+02"])


@settings(max_examples=300, deadline=None)
@given(TIMES, st.sampled_from(["T", " "]), ZONES, st.sampled_from(["minutes", "seconds", "microseconds"]))
def test_one_by_one_and_in_columns_alike(time, separator, zone, detail):
    text = time.isoformat(separator, detail) + zone
    aware = datetime.datetime.fromisoformat(text)  # of Python 3.11 and later, an oracle
    aware = aware if aware.tzinfo else aware.replace(tzinfo=datetime.timezone.utc)
    since = aware - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    expected = since // datetime.timedelta(seconds=1), since.microseconds
    assert dates.parse(text) == expected
    columns = dates.parse_column(pa.array([text]))
    if columns is not None:
        assert tuple(column[0].as_py() for column in columns) == expected
    assert columns is not None or zone == "+02" or not 1678 < time.year < 2262


@pytest.mark.parametrize(
    "text",
    ["", "2024", "2024-01", "2024-1-31", "20240131", "2024-01-31T", "2024-01-31 10", "2024-02-30", "31-01-2024", "now"]
    + [
        "2024-01-31 24:00",
        "2024-01-31 10:60",
        "2024-01-31Z",
        "2024-01-31 10:00+99",
        "2024-01-31 10:00 UTC",
        "٢٠٢٤-01-31",
    ],
)
def test_what_is_no_date(text):
    assert dates.parse(text) is None
    assert dates.parse_column(pa.array([text])) is None
    assert dates.parse_column(pa.array(["2024-01-31", text])) is None
