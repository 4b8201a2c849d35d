"""`streamer report` says what a device did on a day."""

import asyncio
import datetime as dt
from pathlib import Path

import click
import msgspec

from streamer.cli.options import settings_options
from streamer.cli.progress import show_progress
from streamer.process import log
from streamer.reports import html_page
from streamer.reports.day import Day, find_date, find_zone
from streamer.reports.day_page import write_day_page
from streamer.reports.day_tables import day_as_json, day_as_tables
from streamer.settings import Settings
from streamer.terminal import echo, terminal
from streamer.tools.day_segments import read_day


@click.command
@settings_options(
    "bootstrap_servers",
    "events_topic",
    "segments_topic",
    "current_topic",
    "max_future_skew_s",
    "log_level",
    "log_format",
)
@click.option("--device", required=True, metavar="ID", help="Id of the device.")
@click.option("--day", metavar="DATE", help="The day, such as 2026-11-27.  [default: today]")
@click.option(
    "--tz", default="UTC", show_default=True, metavar="ZONE", help="Time zone: Europe/Paris."
)
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write a page there."
)
def report(
    settings: Settings, device: str, day: str | None, tz: str, as_machine: bool, page: Path | None
) -> None:
    """Show what a device did on a day: minutes by activity, and a strip of the day.

    Reads the segments that workers have published. A segment that has not ended counts up to its
    newest event.
    """
    log.configure(settings)
    if page is not None:
        html_page.require()
    zone = find_zone(tz)
    date = dt.datetime.now(zone).date() if day is None else find_date(day)
    with show_progress():
        found = asyncio.run(read_day(settings, device, Day.of(date, zone)))
    if page is not None:
        write_day_page(page, found)
    if as_machine:
        echo(msgspec.json.encode(day_as_json(found)))
    else:
        terminal().print(day_as_tables(found))
