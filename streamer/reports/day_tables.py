"""What a device did on a day, on the terminal and as JSON."""

from collections.abc import Collection
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamer.contracts.activities import UNKNOWN
from streamer.printable import printable
from streamer.reports.activity_colours import ACTIVITY_COLOURS, OTHER_COLOUR
from streamer.reports.day import HOUR_MS, DayReport, find_minutes

_NOTHING = "·"
_SPARE = "0123456789"


def day_as_json(report: DayReport) -> dict[str, Any]:
    """Return a report as plain data. Times are milliseconds since the epoch."""
    day = report.day
    return {
        "device_id": report.device_id,
        "day": day.date.isoformat(),
        "time_zone": day.zone.key,
        "day_start": day.start_ms,
        "day_end": day.end_ms,
        "activities": [
            {
                "activity": total.activity,
                "minutes": round(total.minutes, 3),
                "segments": total.stretches,
                "confidence": None if total.confidence is None else round(total.confidence, 6),
            }
            for total in report.totals
        ],
        "minutes_without_data": round(report.minutes_without_data, 3),
        "segments": [
            {
                "segment_id": stretch.segment.segment_id,
                "start": stretch.start_ms,
                "end": stretch.end_ms,
                "activity": stretch.segment.activity,
                "reason": stretch.segment.reason,
                "confidence": stretch.segment.confidence,
                "open": stretch.is_open,
            }
            for stretch in report.stretches
        ],
    }


def title_of(report: DayReport) -> str:
    """Return the heading of a report."""
    day = report.day
    return f"{report.device_id} on {day.date:%A} {day.date}, {day.zone.key}"


def day_as_tables(report: DayReport) -> RenderableType:
    """Return a report as a table of activities, and a strip with a line for each hour."""
    return Group(
        Text(printable(title_of(report)), style="bold"),
        "",
        _tabulate(report),
        "",
        *_draw_strip(report),
    )


def describe_open(report: DayReport) -> str:
    """Say what the device is doing if its last segment has not ended; empty if it has."""
    for stretch in report.stretches:
        if stretch.is_open:
            since = report.day.clock(stretch.start_ms, "%H:%M:%S")
            return f"{stretch.segment.activity} since {since}, not ended"
    return ""


def _tabulate(report: DayReport) -> Table:
    table = Table()
    table.add_column("activity")
    for heading in ("minutes", "share", "segments", "confidence"):
        table.add_column(heading, justify="right")
    for total in report.totals:
        table.add_row(
            Text(printable(total.activity), style=_colour(total.activity)),
            f"{total.minutes:.1f}",
            f"{total.minutes / report.minutes_with_data:.0%}",
            str(total.stretches),
            "-" if total.confidence is None else f"{total.confidence:.0%}",
        )
    table.add_section()
    table.add_row("no data", f"{report.minutes_without_data:.1f}", "", "", "")
    if words := describe_open(report):
        table.caption = words
    return table


def _draw_strip(report: DayReport) -> list[Text]:
    """Return a line for each hour from the first to the last one with data, and the legend."""
    day, hours = report.day, list(find_minutes(report))
    filled = [number for number, minutes in enumerate(hours) if any(minutes)]
    letters = choose_letters([total.activity for total in report.totals])
    width = len(day.clock(day.start_ms))
    lines = [Text(" " * width + "  " + "".join(f"{minute:<10}" for minute in range(0, 60, 10)))]
    for number in range(filled[0], filled[-1] + 1):
        line = Text(f"{day.clock(day.start_ms + number * HOUR_MS)}  ")
        for activity in hours[number]:
            if activity is None:
                line.append(_NOTHING, "dim")
            else:
                line.append(letters[activity], _colour(activity))
        lines.append(line)
    legend = Text()
    for activity, letter in letters.items():
        legend.append(f"{letter} {printable(activity)}  ", _colour(activity))
    legend.append(f"{_NOTHING} no data", "dim")
    return [*lines, Text(), legend]


def choose_letters(activities: Collection[str]) -> dict[str, str]:
    """Return a letter for each activity: one that begins a word of its name, if it is free.

    Short names come first: `walking` has w, `walking_upstairs` u.
    """
    letters: dict[str, str] = {}
    for activity in sorted(activities, key=lambda name: (len(name), name)):
        name = activity.lower()
        initials = [word[0] for word in name.split("_") if word]
        own = ["?"] if activity == UNKNOWN else filter(str.isalpha, [*initials, *name])
        taken = set(letters.values())
        letters[activity] = next((each for each in [*own, *_SPARE] if each not in taken), "#")
    return {activity: letters[activity] for activity in activities}


def _colour(activity: str) -> str:
    return ACTIVITY_COLOURS.get(activity, OTHER_COLOUR)
