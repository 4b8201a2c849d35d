"""Times in ISO 8601: the compiled reader against the plain one."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.profiles.fast_times import read_iso8601
from streamer.profiles.timestamps import parse_iso8601

ZONES = ("", "Z", "+00:00", "-03:30", "+1400", " +0100", "  Z")


def read(text: str) -> float | None:
    encoded = np.frombuffer(text.encode(), np.uint8)
    known, time_us = read_iso8601(encoded, 0, len(encoded))
    return float(time_us) if known else None


@settings(max_examples=300, deadline=None)
@given(
    st.datetimes(datetime.fromisoformat("1970-01-01"), datetime.fromisoformat("2400-01-01")),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
    st.sampled_from("T "),
    st.sampled_from(ZONES),
)
def test_usual_times_are_read_to_the_same_microsecond(
    moment: datetime, precision: str, between: str, zone: str
) -> None:
    text = moment.isoformat(between, precision) + zone
    assert read(text) == parse_iso8601(text)


@settings(max_examples=300, deadline=None)
@given(
    st.text("0123456789", min_size=1, max_size=3), st.integers(0, 25), st.sampled_from("0123+-:.TZ")
)
def test_a_damaged_time_is_read_as_the_plain_reader_has_it_or_not_at_all(
    fraction: str, place: int, sign: str
) -> None:
    text = f"2024-02-29T23:59:59.{fraction}+01:00"
    damaged = text[:place] + sign + text[place + 1 :]
    found = read(damaged)
    assert found is None or found == parse_iso8601(damaged)


@pytest.mark.parametrize(
    "text",
    ["2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z", "soon", "2024-01-01"],
)
def test_what_is_no_usual_time_is_left_to_the_plain_reader(text: str) -> None:
    assert read(text) is None
