"""What a device did on a day: its segments, cut to the day of a time zone."""

import datetime as dt
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from streamer.contracts.segments import ActivitySegment
from streamer.errors import DataError

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day in a time zone: 23 to 25 hours.

    Attributes:
        date: its date.
        zone: the time zone.
        start_ms: its first moment, milliseconds since the epoch.
        end_ms: the first moment of the next day.
    """

    date: dt.date
    zone: ZoneInfo
    start_ms: int
    end_ms: int

    @classmethod
    def of(cls, date: dt.date, zone: ZoneInfo) -> "Day":
        """Return the day of a date.

        Raises:
            DataError: the calendar ends there.
        """
        try:
            bounds = [
                round(dt.datetime.combine(each, dt.time(), zone).timestamp() * 1000)
                for each in (date, date + dt.timedelta(days=1))
            ]
        except (OverflowError, ValueError):
            raise DataError(f"the day {date} is at the end of the calendar") from None
        return cls(date, zone, *bounds)

    @property
    def changes_clocks(self) -> bool:
        """Whether the clocks are changed on this day."""
        return self.local(self.start_ms).utcoffset() != self.local(self.end_ms).utcoffset()

    def local(self, time_ms: int) -> dt.datetime:
        """Return a moment as the clocks of the zone show it."""
        return dt.datetime.fromtimestamp(time_ms / 1000, self.zone)

    def clock(self, time_ms: int, form: str = "%H:%M") -> str:
        """Write a moment as time of day, with the offset from UTC if the clocks are changed."""
        return self.local(time_ms).strftime(f"{form} %z" if self.changes_clocks else form)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a segment that lies in a day.

    Attributes:
        segment: the whole segment.
        start_ms: where the part starts.
        end_ms: where it ends, exclusive.
        is_open: whether the segment has not ended; it goes on at least up to its end here.
    """

    segment: ActivitySegment
    start_ms: int
    end_ms: int
    is_open: bool

    @property
    def minutes(self) -> float:
        """Return how long it lasts."""
        return (self.end_ms - self.start_ms) / MINUTE_MS


@dataclass(frozen=True, slots=True)
class ActivityTotal:
    """What a day has of one activity.

    Attributes:
        activity: its name.
        minutes: how long it lasted.
        stretches: how often it began, or went on from the day before.
        confidence: mean confidence, weighted by time; None if no model answered.
    """

    activity: str
    minutes: float
    stretches: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class DayReport:
    """What a device did on a day.

    Attributes:
        device_id: the device.
        day: the day.
        stretches: what it did, in order of time. They do not overlap.
    """

    device_id: str
    day: Day
    stretches: Sequence[Stretch]

    @property
    def totals(self) -> list[ActivityTotal]:
        """Return the activities of the day, the longest one first."""
        by_activity: dict[str, list[Stretch]] = {}
        for stretch in self.stretches:
            by_activity.setdefault(stretch.segment.activity, []).append(stretch)
        totals = [_total(activity, theirs) for activity, theirs in by_activity.items()]
        return sorted(totals, key=lambda total: (-total.minutes, total.activity))

    @property
    def minutes_with_data(self) -> float:
        """Return how long the device sent readings that could be labelled."""
        return sum(stretch.minutes for stretch in self.stretches)

    @property
    def minutes_without_data(self) -> float:
        """Return the rest of the day."""
        return (self.day.end_ms - self.day.start_ms) / MINUTE_MS - self.minutes_with_data


def find_zone(name: str) -> ZoneInfo:
    """Return the time zone of a name, such as Europe/Paris.

    Raises:
        DataError: there is none, with the name that is probably meant.
    """
    known = available_timezones()
    if name in known:
        return ZoneInfo(name)
    # Cities are better known than their continents.
    cities = [zone for zone in sorted(known) if zone.rpartition("/")[2].lower() == name.lower()]
    close = cities or difflib.get_close_matches(name, known, n=1)
    meant = f"; is {close[0]} meant?" if close else "; write it as Europe/Paris"
    if not known:
        meant = "; this system has no time zones, install its package tzdata"
    raise DataError(f"there is no time zone {name!r}{meant}")


def find_date(text: str) -> dt.date:
    """Return the date that a text says.

    Raises:
        DataError: it says none.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise DataError(f"{text!r} is not a day: write it as 2026-11-27") from None


def make_report(
    device_id: str,
    day: Day,
    segments: Iterable[ActivitySegment],
    open_segment: ActivitySegment | None = None,
) -> DayReport:
    """Return what a device did on a day.

    Args:
        device_id: the device.
        day: the day.
        segments: of the device, in any order; those of other days are left out. A segment that
            occurs again counts once.
        open_segment: the segment that has not ended, as far as it is known.
    """
    found = {segment.segment_id: segment for segment in segments}
    last = open_segment if open_segment and open_segment.segment_id not in found else None
    whole = [*found.values(), *([last] if last else [])]
    stretches: list[Stretch] = []
    free_ms = day.start_ms
    for segment in sorted(whole, key=lambda segment: segment.segment_start):
        # A device that has sent old readings again may have segments that overlap.
        start_ms, end_ms = max(segment.segment_start, free_ms), min(segment.segment_end, day.end_ms)
        if start_ms < end_ms:
            stretches.append(Stretch(segment, start_ms, end_ms, segment is last))
            free_ms = end_ms
    return DayReport(device_id, day, stretches)


def find_minutes(report: DayReport) -> Iterator[list[str | None]]:
    """Yield the activities of each hour of a day: what lasted longest in each of its minutes.

    None stands for a minute without data. The first hour begins with the day.
    """
    day, stretches = report.day, list(report.stretches)
    for hour_ms in range(day.start_ms, day.end_ms, HOUR_MS):
        minutes: list[str | None] = []
        for start_ms in range(hour_ms, min(hour_ms + HOUR_MS, day.end_ms), MINUTE_MS):
            end_ms = start_ms + MINUTE_MS
            lasted: dict[str, int] = {}
            while stretches and stretches[0].end_ms <= start_ms:
                del stretches[0]
            for stretch in stretches:
                if stretch.start_ms >= end_ms:
                    break
                part_ms = min(stretch.end_ms, end_ms) - max(stretch.start_ms, start_ms)
                activity = stretch.segment.activity
                lasted[activity] = lasted.get(activity, 0) + part_ms
            minutes.append(max(lasted, key=lasted.__getitem__, default=None))
        yield minutes


def _total(activity: str, stretches: Sequence[Stretch]) -> ActivityTotal:
    minutes = sum(stretch.minutes for stretch in stretches)
    told = [
        (stretch.minutes, stretch.segment.confidence)
        for stretch in stretches
        if stretch.segment.confidence is not None
    ]
    weight = sum(each for each, _ in told)
    confidence = sum(each * share for each, share in told) / weight if told else None
    return ActivityTotal(activity, minutes, len(stretches), confidence)
