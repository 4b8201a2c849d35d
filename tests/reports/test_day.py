"""A day of a device: bounds of the day, totals, the strip, JSON and the page."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from streamer.contracts.events import Reason
from streamer.contracts.segments import ActivitySegment
from streamer.errors import DataError
from streamer.reports.day import (
    HOUR_MS,
    MINUTE_MS,
    Day,
    DayReport,
    find_date,
    find_minutes,
    find_zone,
    make_report,
)
from streamer.reports.day_tables import choose_letters, day_as_json, day_as_tables
from tests.support.html import read

if not available_timezones():
    pytest.skip("this system has no time zones", allow_module_level=True)

PARIS, BERLIN = ZoneInfo("Europe/Paris"), "Europe/Berlin"
PLAIN = Day.of(dt.date(2026, 11, 26), PARIS)
SPRING = Day.of(dt.date(2026, 3, 29), PARIS)
AUTUMN = Day.of(dt.date(2026, 10, 25), PARIS)


def segment(
    start_ms: float,
    minutes: float,
    activity: str = "walking",
    confidence: float | None = 0.9,
    reason: Reason | None = None,
) -> ActivitySegment:
    start = round(start_ms)
    return ActivitySegment(
        segment_id=f"phone/{start}",
        device_id="phone",
        segment_start=start,
        segment_end=start + round(minutes * MINUTE_MS),
        activity=activity,
        reason=reason,
        confidence=confidence,
        windows=1,
    )


def at(day: Day, hours: float) -> float:
    """A moment some hours after the day has begun."""
    return day.start_ms + hours * HOUR_MS


def lines_of(report: DayReport) -> list[str]:
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(day_as_tables(report))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(("day", "hours"), [(PLAIN, 24), (SPRING, 23), (AUTUMN, 25)])
def test_a_day_has_the_hours_that_the_clocks_give_it(day: Day, hours: int) -> None:
    assert (day.end_ms - day.start_ms) / HOUR_MS == hours
    assert day.local(day.start_ms).hour == 0
    assert day.local(day.end_ms).date() == day.date + dt.timedelta(days=1)
    assert len(list(find_minutes(make_report("phone", day, [])))) == hours


def test_a_day_whose_midnight_does_not_exist_begins_an_hour_later() -> None:
    day = Day.of(dt.date(2018, 11, 4), ZoneInfo("America/Sao_Paulo"))
    assert day.local(day.start_ms).hour == 1
    assert (day.end_ms - day.start_ms) / HOUR_MS == 23


def test_the_last_day_of_the_calendar_is_an_error() -> None:
    with pytest.raises(DataError, match="9999-12-31 is at the end of the calendar"):
        Day.of(dt.date.max, PARIS)


# day        |.............................|
# segments ----|      |---|             |------
def test_segments_across_midnight_are_cut_to_the_day() -> None:
    report = make_report(
        "phone",
        PLAIN,
        [
            segment(at(PLAIN, 23.5), 90, "laying"),
            segment(at(PLAIN, -1), 120, "laying"),
            segment(at(PLAIN, 12), 10),
            segment(at(PLAIN, 24), 10),
            segment(at(PLAIN, -3), 180, "sitting"),
        ],
    )
    assert [(each.activity, each.minutes, each.stretches) for each in report.totals] == [
        ("laying", 90, 2),
        ("walking", 10, 1),
    ]
    assert report.minutes_without_data == 24 * 60 - 100


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        (SPRING, ["01:00 +0100", "03:00 +0200", "04:00 +0200"]),
        (AUTUMN, ["01:00 +0200", "02:00 +0200", "02:00 +0100"]),
    ],
)
def test_a_segment_while_the_clocks_are_changed_is_as_long_as_it_lasts(
    day: Day, hours: list[str]
) -> None:
    # spring   01:00     01:30     03:00     04:00
    # autumn   01:00     01:30     02:00     02:00 again
    # segment            |--------- 2 hours -------->
    report = make_report("phone", day, [segment(at(day, 1.5), 120)])
    assert report.totals[0].minutes == 120
    strip = [line for line in lines_of(report) if line[13:].strip("w·") == "" and line[13:]]
    assert [line[:11] for line in strip] == hours
    assert "".join(line[13:] for line in strip).count("w") == 120


def test_a_repeated_segment_counts_once_and_overlapping_ones_do_not_count_twice() -> None:
    once = segment(at(PLAIN, 1), 10)
    overlapping = segment(at(PLAIN, 1) + 5 * MINUTE_MS, 10, "sitting")
    report = make_report("phone", PLAIN, [once, once, overlapping])
    assert [each.minutes for each in report.totals] == [10, 5]


def test_an_open_segment_counts_up_to_its_newest_event_and_says_so() -> None:
    report = make_report(
        "phone", PLAIN, [segment(at(PLAIN, 1), 10)], segment(at(PLAIN, 2), 5, "sitting")
    )
    assert [each.is_open for each in report.stretches] == [False, True]
    assert any("sitting since 02:00:00, not ended" in line for line in lines_of(report))
    # It has ended while the topics were read.
    ended = segment(at(PLAIN, 2), 6, "sitting")
    both = make_report("phone", PLAIN, [ended], segment(at(PLAIN, 2), 5, "sitting"))
    assert [(each.minutes, each.is_open) for each in both.stretches] == [(6, False)]


def test_the_mean_confidence_is_weighted_by_time_and_absent_without_a_model() -> None:
    report = make_report(
        "phone",
        PLAIN,
        [
            segment(at(PLAIN, 1), 30, confidence=0.5),
            segment(at(PLAIN, 2), 10, confidence=0.9),
            segment(at(PLAIN, 3), 1, "unknown", None, Reason.UNAVAILABLE),
        ],
    )
    assert [each.confidence for each in report.totals] == [pytest.approx(0.6), None]


def test_the_strip_shows_the_longest_activity_of_each_minute() -> None:
    report = make_report(
        "phone",
        PLAIN,
        [
            segment(at(PLAIN, 8), 2),
            segment(at(PLAIN, 8) + 2 * MINUTE_MS, 0.7, "sitting"),
            segment(at(PLAIN, 8) + 2.7 * MINUTE_MS, 0.3, "standing"),
            segment(at(PLAIN, 10), 1, "unknown"),
        ],
    )
    lines = lines_of(report)
    start = lines.index(next(line for line in lines if line.startswith("08:00")))
    assert lines[start][7:] == "wws" + "·" * 57
    assert lines[start + 1][7:] == "·" * 60
    assert lines[start + 2][7:] == "?" + "·" * 59
    legend = "  w walking  ? unknown  s sitting  t standing  · no data"
    assert lines[start + 4].strip() == legend.strip()


def test_each_activity_has_a_letter_of_its_own() -> None:
    names = ["walking", "walking_upstairs", "walking_downstairs", "unknown", "a", "a!", "àé", "1"]
    letters = choose_letters(names)
    assert letters["walking"] == "w"
    assert letters["unknown"] == "?"
    assert len(set(letters.values())) == len(names)


HOURS = st.floats(-2, 26)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([PLAIN, SPRING, AUTUMN]),
    st.lists(st.tuples(HOURS, st.floats(0.05, 300), st.sampled_from(["a", "b"])), max_size=8),
)
def test_minutes_with_and_without_data_are_the_day(
    day: Day, parts: list[tuple[float, float, str]]
) -> None:
    report = make_report("phone", day, [segment(at(day, h), m, a) for h, m, a in parts])
    whole = (day.end_ms - day.start_ms) / MINUTE_MS
    assert sum(each.minutes for each in report.totals) == pytest.approx(report.minutes_with_data)
    assert report.minutes_with_data + report.minutes_without_data == pytest.approx(whole)
    assert 0 <= report.minutes_with_data <= whole + 1e-6
    ends = [(each.start_ms, each.end_ms) for each in report.stretches]
    assert ends == sorted(ends)
    assert all(before[1] <= after[0] for before, after in pairwise(ends))


def test_the_json_has_times_in_milliseconds_and_the_zone() -> None:
    report = make_report("phone", PLAIN, [segment(at(PLAIN, 1), 10)])
    found = day_as_json(report)
    assert (found["day"], found["time_zone"]) == ("2026-11-26", "Europe/Paris")
    assert found["activities"] == [
        {"activity": "walking", "minutes": 10.0, "segments": 1, "confidence": 0.9}
    ]
    assert found["minutes_without_data"] == 1430
    assert found["segments"][0]["start"] == at(PLAIN, 1)


def test_a_zone_that_does_not_exist_is_an_error_with_the_one_that_is_meant() -> None:
    with pytest.raises(DataError, match=r"no time zone 'Europe/Pariss'; is Europe/Paris meant\?"):
        find_zone("Europe/Pariss")
    for name in ("Europe", "../etc/passwd", "", "x" * 300, "a\0b"):
        with pytest.raises(DataError, match="there is no time zone"):
            find_zone(name)
    assert find_zone(BERLIN).key == BERLIN


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "26.11.2026", ""])
def test_an_invalid_day_is_an_error_that_shows_the_expected_form(text: str) -> None:
    with pytest.raises(DataError, match="is not a day: write it as 2026-11-27"):
        find_date(text)


def test_the_page_has_pictures_and_escapes_names() -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    from streamer.reports.day_page import day_as_page

    activity = "<b>run & jump</b>"
    stretches = [segment(at(SPRING, 1), 90, activity), segment(at(SPRING, 4), 3, "unknown")]
    report = make_report("phone <1>", SPRING, stretches, segment(at(SPRING, 5), 1))
    page = day_as_page(report)
    assert "walking" in read(page).texts
    assert page == day_as_page(report)
    assert page.count("<figure") == 2
    assert "<b>run" not in page
    assert "phone &lt;1&gt; on Sunday 2026-03-29, Europe/Paris" in page
    assert "walking since 06:00:00 +0200, not ended." in page
