"""What a device did on a day, as one page with pictures."""

from pathlib import Path
from typing import TYPE_CHECKING

from streamer.contracts.activities import UNKNOWN
from streamer.reports import html_page
from streamer.reports.day import HOUR_MS, DayReport
from streamer.reports.day_tables import describe_open, title_of
from streamer.reports.html_page import COLOURS, MUTED, Facts, Grid, Note, Picture, Section
from streamer.storage.atomic_files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS_H, _NARROW_LABELS_H = 3, 6
"""Hours between two times of day below a wide and a narrow picture."""


def write_day_page(path: Path, report: DayReport) -> None:
    """Write the page to a file.

    Raises:
        DataError: matplotlib or jinja2 is not installed, or the file cannot be written.
    """
    html = day_as_page(report)
    with atomic_file(path) as file:
        file.write(html.encode())


def day_as_page(report: DayReport) -> str:
    """Return the page as HTML. The same report gives the same text."""
    day = report.day
    facts = [(total.activity, _duration(total.minutes)) for total in report.totals]
    blocks: list[Facts | Note | Picture] = [
        Facts([*facts, ("no data", _duration(report.minutes_without_data))]),
        _draw_day(report),
        _draw_minutes(report),
    ]
    if words := describe_open(report):
        blocks.insert(1, Note(f"{words}."))
    rows = [
        [
            day.clock(stretch.start_ms, "%H:%M:%S"),
            day.clock(stretch.end_ms, "%H:%M:%S"),
            stretch.segment.activity,
            stretch.segment.reason or "",
            stretch.minutes,
            "" if stretch.segment.confidence is None else stretch.segment.confidence,
        ]
        for stretch in report.stretches
    ]
    headings = ["from", "to", "activity", "reason", "minutes", "confidence"]
    table = Grid(headings, rows, folded=f"{len(rows)} segments")
    sections = [Section("The day", blocks), Section("Segments", [table])]
    return html_page.render(title_of(report), sections, "Times are those of the time zone.")


def _draw_day(report: DayReport) -> Picture:
    """Draw a row for each activity, along the time of day."""
    start_ms = report.day.start_ms
    activities = [total.activity for total in report.totals]
    colours = _choose_colours(activities)

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        for row, activity in enumerate(activities):
            bars = [
                ((each.start_ms - start_ms) / HOUR_MS, (each.end_ms - each.start_ms) / HOUR_MS)
                for each in report.stretches
                if each.segment.activity == activity
            ]
            # The line around a bar keeps a short one visible.
            axes.broken_barh(bars, (row - 0.35, 0.7), color=colours[activity], linewidth=0.6)
        axes.set_yticks(range(len(activities)), activities)
        axes.invert_yaxis()
        _label_hours(axes, report, _NARROW_LABELS_H if html_page.is_narrow(figure) else _LABELS_H)
        axes.grid(visible=False, axis="y")

    return html_page.draw(paint, 1.1 + 0.38 * len(activities), "Activity by time of day.")


def _draw_minutes(report: DayReport) -> Picture:
    """Draw a bar for each activity."""
    totals = report.totals
    activities = [total.activity for total in totals]
    colours = _choose_colours(activities)

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        minutes = [total.minutes for total in totals]
        bars = axes.barh(activities, minutes, color=[colours[each] for each in activities])
        axes.bar_label(bars, [_duration(each) for each in minutes], padding=4)
        axes.margins(x=0.25 if html_page.is_narrow(figure) else 0.1)
        axes.invert_yaxis()
        axes.set_xlabel("minutes")
        axes.grid(visible=False, axis="y")

    return html_page.draw(paint, 1.1 + 0.38 * len(totals), "Minutes by activity.")


def _label_hours(axes: "Axes", report: DayReport, every_h: int) -> None:
    """Label the hours of the day as the clocks of the zone show them."""
    day = report.day
    length_ms = day.end_ms - day.start_ms
    ticks_ms = range(0, length_ms + 1, every_h * HOUR_MS)
    names = [day.local(day.start_ms + each).strftime("%H:%M") for each in ticks_ms]
    axes.set_xlim(0, length_ms / HOUR_MS)
    axes.set_xticks([each / HOUR_MS for each in ticks_ms], names)


def _choose_colours(activities: list[str]) -> dict[str, str]:
    known = sorted(set(activities) - {UNKNOWN})
    colours = {activity: COLOURS[i % len(COLOURS)] for i, activity in enumerate(known)}
    return {**colours, UNKNOWN: MUTED}


def _duration(minutes: float) -> str:
    """Write a duration: 25 s, 12 min, 3:05 h."""
    seconds = round(60 * minutes)
    if seconds < 60:
        return f"{seconds} s"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours}:{rest:02} h" if hours else f"{rest} min"
