"""Reads from Kafka what a device did on a day."""

import difflib
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer

from streamer.contracts.segments import (
    HOP_MS,
    ActivitySegment,
    decode_segment,
    make_segment,
)
from streamer.errors import DataError
from streamer.kafka.event_formats import make_event_decoder
from streamer.kafka.last_events import read_newest_event
from streamer.kafka.reader import open_reader, read_to_end, seek_to_time
from streamer.reports.day import Day, DayReport, make_report
from streamer.settings import Settings

log = structlog.get_logger(__name__)

_PATIENCE_S: Final = 10.0

_MARGIN_MS: Final = 3_600_000
"""How much earlier than the end of a segment its record may be stamped, besides
`max_future_skew_s`."""


async def read_day(settings: Settings, device_id: str, day: Day) -> DayReport:
    """Read what a device did on a day.

    Args:
        settings: names the brokers and the topics of events, segments and current activities. If
            there is no topic of current activities, the segment that has not ended is missing.
        device_id: the device.
        day: the day.

    Raises:
        TopicError: a topic does not exist.
        KafkaError: no broker answers.
        DataError: the topic of segments has no name, or no segments of the device on this day.
    """
    if not settings.segments_topic:
        raise DataError("segments_topic is empty: with this setting no segments are published")
    # The open segment first: if it ends meanwhile, it is among the others.
    open_segment = await _read_open(settings, device_id) if settings.current_topic else None
    stamped_ms = day.start_ms - round(settings.max_future_skew_s * 1000) - _MARGIN_MS
    async with open_reader(settings, settings.segments_topic, "earliest", _PATIENCE_S) as consumer:
        await seek_to_time(consumer, stamped_ms)
        segments = [each async for each in _read_segments(consumer, device_id)]
    report = make_report(device_id, day, segments, open_segment)
    if not report.stretches:
        raise DataError(await _explain_absence(settings, device_id, day, open_segment))
    return report


async def _read_segments(
    consumer: AIOKafkaConsumer, device_id: str, others: set[str] | None = None
) -> AsyncIterator[ActivitySegment]:
    """Yield the segments of a device; the names of other devices are added to ``others``."""
    key, unreadable = device_id.encode(), 0
    async for record in read_to_end(consumer):
        if record.key == key:
            try:
                yield decode_segment(record.value or b"")
            except DataError:
                unreadable += 1
        elif others is not None:
            others.add((record.key or b"").decode(errors="replace"))
    if unreadable:
        log.warning("records of the topic of segments are not segments", records=unreadable)


async def _read_open(settings: Settings, device_id: str) -> ActivitySegment | None:
    """Read the segment of a device that has not ended, up to its newest event."""
    key, partition = device_id.encode(), None
    async with open_reader(settings, settings.current_topic, "earliest", _PATIENCE_S) as consumer:
        async for record in read_to_end(consumer):
            if record.key == key:
                partition = None if record.value is None else record.partition
    if partition is None:
        return None
    newest = await read_newest_event(settings, partition, device_id, make_event_decoder(settings))
    if newest is None or newest.segment is None:
        log.warning("the newest event of the device is too far back: its open segment is missing")
        return None
    event = newest.event
    end_ms = event.window_start + HOP_MS
    return make_segment(device_id, newest.segment, end_ms, event.activity, event.reason)


async def _explain_absence(
    settings: Settings, device_id: str, day: Day, open_segment: ActivitySegment | None
) -> str:
    """Say why there is nothing to report: the device is unknown, or has no data on the day."""
    others: set[str] = set()
    async with open_reader(settings, settings.segments_topic, "earliest", _PATIENCE_S) as consumer:
        segments = [each async for each in _read_segments(consumer, device_id, others)]
    segments += [open_segment] if open_segment else []
    if not segments:
        return (
            f"the topic {settings.segments_topic} at {settings.bootstrap_servers} has no segments "
            f"of a device {device_id!r}{_suggest(device_id, others)}"
        )
    days = {
        _date(day, moment)
        for segment in segments
        for moment in (segment.segment_start, segment.segment_end - 1)
    }
    return (
        f"{device_id} has no segments on {day.date} ({day.zone.key}); it has some from "
        f"{min(days)} to {max(days)}"
    )


def _date(day: Day, time_ms: int) -> str:
    with suppress(ValueError, OverflowError, OSError):
        return day.local(time_ms).date().isoformat()
    return f"{time_ms} ms"


def _suggest(device_id: str, others: Collection[str]) -> str:
    close = difflib.get_close_matches(device_id, others, n=1)
    return f"; is {close[0]} meant?" if close else ""
