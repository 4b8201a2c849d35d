"""`streamer events` compares topics of events."""

import asyncio
from typing import Any

import click
import msgspec
from rich.table import Table

from streamer.cli.options import settings_options
from streamer.cli.progress import show_progress
from streamer.cli.times import Moment
from streamer.process import log
from streamer.settings import Settings
from streamer.terminal import echo, terminal
from streamer.tools.event_comparison import EventComparison, compare_events

DIFFERENT = 4
_SHOWN = 20


@click.group()
def events() -> None:
    """Compare topics of events."""


@events.command(short_help="Compare the events of two topics.")
@click.argument("other_topic")
@settings_options("bootstrap_servers", "events_topic", "log_level", "log_format")
@click.option("--from", "from_ms", type=Moment(), help="Nominal start of the first window.")
@click.option("--to", "to_ms", type=Moment(), help="Nominal start after the last window.")
@click.option("--json", "as_machine", is_flag=True, help="Print one JSON object.")
@click.pass_context
def compare(
    ctx: click.Context,
    settings: Settings,
    other_topic: str,
    from_ms: float | None,
    to_ms: float | None,
    as_machine: bool,
) -> None:
    """Compare the topic of events with OTHER_TOPIC, window by window.

    The exit code is 0 if both have the same windows with the same bytes, and 4 if not.
    """
    log.configure(settings)
    with show_progress() as report:
        found = asyncio.run(compare_events(settings, other_topic, from_ms, to_ms, report))
    if as_machine:
        echo(msgspec.json.encode(_as_json(found)))
    else:
        terminal().print(*_as_tables(found, settings.events_topic, other_topic), sep="\n")
    ctx.exit(0 if found.is_equal else DIFFERENT)


def _as_json(found: EventComparison) -> dict[str, Any]:
    return {
        "equal": found.equal,
        "same_activity": found.same_activity,
        "different": found.different.total(),
        "missing": found.missing.total(),
        "added": found.added.total(),
        "unreadable": found.unreadable,
        "activities": [
            {"first": first, "second": second, "windows": windows}
            for (first, second), windows in found.changed.most_common()
        ],
        "devices": {
            "different": dict(found.different.most_common()),
            "missing": dict(found.missing.most_common()),
            "added": dict(found.added.most_common()),
        },
    }


def _as_tables(found: EventComparison, first: str, second: str) -> list[Table]:
    totals = Table("windows", "number")
    for name, number in (
        ("equal, to the byte", found.equal),
        ("same activity, other numbers", found.same_activity),
        ("another activity", found.different.total()),
        (f"only in {first}", found.missing.total()),
        (f"only in {second}", found.added.total()),
        ("records that are no events", found.unreadable),
    ):
        totals.add_row(name, f"{number:,}")
    tables = [totals]
    if found.changed:
        table = Table(first, second, "windows")
        for (before, after), windows in found.changed.most_common(_SHOWN):
            table.add_row(before, after, f"{windows:,}")
        tables.append(table)
    devices = found.different + found.missing + found.added
    if devices:
        table = Table("device", "another activity", f"only in {first}", f"only in {second}")
        for name, _ in devices.most_common(_SHOWN):
            counts = (found.different[name], found.missing[name], found.added[name])
            table.add_row(name, *(f"{count:,}" for count in counts))
        tables.append(table)
    return tables
