"""Reads the last events of devices back, from the end of the topic of events.

Events of a partition of readings are in the partition of events with the same number. Those that
are looked for are among the last ones, so the topic is read backwards, in larger and larger parts::

    offset   ... |<------ 3rd ------>|<-- 2nd -->|<- 1st ->| end

A damaged batch is passed over, with a warning: its events are published, and the labels of their
devices start without a memory.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from streamer.contracts.records import Headers
from streamer.contracts.segments import OpenSegment, PublishedEvent
from streamer.errors import DataError
from streamer.kafka.aiokafka_internals import whole_batches
from streamer.kafka.client import client_options, connect
from streamer.kafka.event_formats import DecodeEvent
from streamer.kafka.record_batches import DamagedBatchError
from streamer.kafka.topic_records import fetch_parts
from streamer.settings import Settings

log = structlog.get_logger(__name__)

POLL_MS: Final = 100

FIRST_PART: Final = 2_000
"""Offsets of the first part; each further one has four times as many."""


_FURTHEST: Final = 1_000_000
"""Offsets before the end at which the newest event of a device is looked for."""


class _Record(NamedTuple):
    """A record of the topic of events."""

    key: bytes
    value: bytes
    headers: Headers


async def read_last_events(
    settings: Settings,
    partition: int,
    start_ms: Mapping[str, int],
    most_events: int,
    decode: DecodeEvent,
) -> list[PublishedEvent]:
    """Read the committed events of certain windows.

    Args:
        settings: where the topic of events is.
        partition: of that topic.
        start_ms: nominal start of the window that is looked for, by device.
        most_events: how many events to go back before what was not found is not there.
        decode: reads the value of an event. It may ask a registry, so it is called in a thread.

    Returns:
        Those that were found.
    """
    wanted = {device_id.encode(): start for device_id, start in start_ms.items()}
    topic = TopicPartition(settings.events_topic, partition)
    found: list[PublishedEvent] = []
    if not wanted:
        return found
    async with connect(lambda: _reader(settings)) as consumer:
        consumer.assign([topic])
        begin = (await consumer.beginning_offsets([topic]))[topic]
        end, size, read = await _end(consumer, topic), FIRST_PART, 0
        while wanted and begin < end and read < most_events:
            start = max(begin, end - size)
            theirs: list[_Record] = []
            async for record in _between(consumer, topic, start, end):
                read += 1
                if record.key in wanted:
                    theirs.append(record)
            seen, unreadable = await asyncio.to_thread(_pick, theirs, wanted, decode)
            if unreadable:
                log.warning(
                    "events cannot be read: labels that depend on them start without a belief",
                    topic=settings.events_topic,
                    partition=partition,
                    events=len(unreadable),
                    error=unreadable[0],
                )
            found += seen.values()
            wanted = {key: at for key, at in wanted.items() if key not in seen}
            end, size = start, 4 * size
    return found


def _pick(
    records: list[_Record], wanted: Mapping[bytes, int], decode: DecodeEvent
) -> tuple[dict[bytes, PublishedEvent], list[str]]:
    """Return the events of the windows that are wanted, by key, and why others cannot be read."""
    seen: dict[bytes, PublishedEvent] = {}
    unreadable = []
    for key, value, headers in records:
        try:
            event = decode(value)
        except DataError as error:
            # An event of another program or of an older version has no usable belief.
            unreadable.append(str(error))
            continue
        if event.window_start == wanted[key]:
            # If a window was published twice, the last event counts.
            seen[key] = PublishedEvent(event, OpenSegment.from_headers(headers))
    return seen, unreadable


async def read_newest_event(
    settings: Settings, partition: int, device_id: str, decode: DecodeEvent
) -> PublishedEvent | None:
    """Read the newest committed event of a device that a worker has published.

    Returns:
        None if it is not among the last events of the partition, about a million.

    Raises:
        DataError: it is not an activity event.
    """
    key = device_id.encode()
    topic = TopicPartition(settings.events_topic, partition)
    async with connect(lambda: _reader(settings)) as consumer:
        consumer.assign([topic])
        end, size = await _end(consumer, topic), FIRST_PART
        begin = max((await consumer.beginning_offsets([topic]))[topic], end - _FURTHEST)
        while begin < end:
            start, newest, segment = max(begin, end - size), b"", None
            async for record in _between(consumer, topic, start, end):
                if record.key == key and (found := OpenSegment.from_headers(record.headers)):
                    newest, segment = record.value, found
            if segment is not None:
                return PublishedEvent(await asyncio.to_thread(decode, newest), segment)
            end, size = start, 4 * size
    return None


async def has_events(settings: Settings, partition: int) -> bool:
    """Return whether there is any committed event in a partition of the topic of events."""
    topic = TopicPartition(settings.events_topic, partition)
    async with connect(lambda: _reader(settings)) as consumer:
        consumer.assign([topic])
        begin = (await consumer.beginning_offsets([topic]))[topic]
        end = (await consumer.end_offsets([topic]))[topic]
        async for _ in _between(consumer, topic, begin, end):
            return True
    return False


async def _end(consumer: AIOKafkaConsumer, topic: TopicPartition) -> int:
    """Where the partition ends, open transactions included: they hide our events for a while."""
    await consumer.seek_to_end(topic)
    while (end := consumer.highwater(topic)) is None:
        await consumer.getmany(timeout_ms=POLL_MS)
    return int(end)


async def _between(
    consumer: AIOKafkaConsumer, topic: TopicPartition, start: int, end: int
) -> AsyncIterator[_Record]:
    """Yield the committed records from ``start`` to ``end``."""
    consumer.seek(topic, start)
    while await consumer.position(topic) < end:
        async for _, records in fetch_parts(consumer, POLL_MS, _warn_of_damage):
            for key, value, headers in records.before(end).contents():
                yield _Record(key or b"", value or b"", headers or [])


def _warn_of_damage(partition: TopicPartition, damage: DamagedBatchError) -> None:
    log.warning(
        "events cannot be read back, so labels of some devices start without a memory",
        partition=f"{partition.topic}[{partition.partition}]",
        problem=str(damage),
    )


def _reader(settings: Settings) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **client_options(settings),
        isolation_level="read_committed",
        enable_auto_commit=False,
        check_crcs=False,
        value_deserializer=whole_batches,
    )
