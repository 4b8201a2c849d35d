"""Shows the activity of each device: a live table on a terminal, or else a line for each change."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Literal

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streamer.contracts.events import ActivityEvent, Reliability
from streamer.flow.device_partitions import SplitDevice
from streamer.kafka.event_formats import make_event_decoder
from streamer.kafka.reader import open_reader
from streamer.printable import printable, utc_time
from streamer.reports.activity_colours import ACTIVITY_COLOURS, OTHER_COLOUR
from streamer.settings import Settings
from streamer.tools.board import Board, DeviceRow
from streamer.tools.event_feed import NewEvents, follow_events
from streamer.tools.worker_status import WorkerStatus

_FRAME = 7
"""Lines of the table around its rows."""

UNFAMILIAR = " (unfamiliar)"
"""What follows the activity of a device that moves in a way that the model has not learned."""


async def watch(settings: Settings, console: Console, *, from_beginning: bool) -> None:
    """Follow the committed events and show them until cancelled."""
    # Log lines of the client about lost connections would break the table, which shows them itself.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    start: Literal["earliest", "latest"] = "earliest" if from_beginning else "latest"
    show = _live_table if console.is_terminal else _lines
    worker_status = WorkerStatus(settings)
    async with (
        open_reader(settings, settings.events_topic, start) as consumer,
        aclosing(follow_events(consumer, make_event_decoder(settings))) as feed,
    ):
        polling = asyncio.create_task(worker_status.poll())
        try:
            await show(feed, console, worker_status)
        finally:
            polling.cancel()


async def _live_table(
    feed: AsyncIterator[NewEvents], console: Console, worker_status: WorkerStatus
) -> None:
    board, split = Board(), list[SplitDevice]()
    with Live(console=console, auto_refresh=False) as live:
        async for arrived in feed:
            now_s = time.monotonic()
            board.add(arrived.events, now_s)
            rows = max(1, console.height - _FRAME)
            split += arrived.split
            notes = list(filter(None, (worker_status.words, describe_split(split))))
            shown = table(board, now_s, rows, arrived.trouble, notes)
            live.update(shown, refresh=True)


async def _lines(
    feed: AsyncIterator[NewEvents], console: Console, worker_status: WorkerStatus
) -> None:
    board, trouble, status = Board(), "", ""
    async for arrived in feed:
        lines = [line(event) for event in board.add(arrived.events, time.monotonic())]
        if arrived.split:
            lines.append(describe_split(arrived.split))
        if arrived.trouble != trouble:
            trouble = arrived.trouble
            lines.append(trouble or "connected again")
        if worker_status.words != status:
            status = worker_status.words
            lines.append(status or "no metrics any more")
        for text in lines:
            console.print(Text(printable(text)), soft_wrap=True)


def line(event: ActivityEvent) -> str:
    """Return an event as one line: time, device, activity, confidence, and if it is unfamiliar."""
    unfamiliar = event.reliability is Reliability.UNFAMILIAR
    return printable(
        f"{utc_time(event.window_start)} {event.device_id} {event.activity} "
        f"{_percent(event.confidence)}{UNFAMILIAR if unfamiliar else ''}"
    )


def describe_split(devices: Sequence[SplitDevice]) -> str:
    """Name the latest device that has events in two partitions; empty if there is none."""
    if not devices:
        return ""
    device_id, before, now = devices[-1]
    others = f" and {len(devices) - 1} more" if len(devices) > 1 else ""
    return (
        f"{device_id}{others}: events in two partitions ({before} and {now}), wrong in both; "
        "docs/contracts.md says how to set the partitioner"
    )


def table(board: Board, now_s: float, rows: int, trouble: str, notes: Sequence[str] = ()) -> Table:
    """Return the board as a table of at most ``rows`` devices, sorted by name."""
    shown = sorted(board.devices)[:rows]
    hidden = len(board.devices) - len(shown)
    more = f"and {hidden} more" if hidden else ""
    words = printable(trouble or "; ".join(filter(None, (more, *notes))))
    result = Table(
        title=f"{len(board.devices)} devices, {board.rate(now_s):.1f} events/s",
        caption=Text(words) if words else None,
        caption_style="bold red" if trouble else "dim",
    )
    result.add_column("device")
    result.add_column("activity", min_width=max(map(len, ACTIVITY_COLOURS)))
    result.add_column("confidence", justify="right")
    result.add_column("since (UTC)")
    result.add_column("for", justify="right")
    result.add_column("windows", justify="right")
    for name in shown:
        result.add_row(Text(printable(name)), *_cells(board.devices[name]))
    return result


def _cells(device: DeviceRow) -> tuple[str | Text, ...]:
    activity = printable(device.activity) + (UNFAMILIAR if device.unfamiliar else "")
    return (
        Text(activity, style=ACTIVITY_COLOURS.get(device.activity, OTHER_COLOUR)),
        _percent(device.confidence),
        utc_time(device.since_ms),
        _duration(device.duration_ms),
        str(device.windows),
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _duration(duration_ms: int) -> str:
    try:
        return str(timedelta(seconds=duration_ms // 1000))
    except OverflowError:
        return f"{duration_ms} ms"
