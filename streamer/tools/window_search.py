"""Finds a window in the topics: its event, its readings, its dead letter.

The topics are read without a consumer group, and nothing is written. The event is looked for from
the time of the window on. The readings are traced from a place some minutes before the window. When
that does not explain the window, the trace begins further back, at last with the oldest record.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from streamer.contracts.dead_letters import DETAIL, REASON, REFUSED, decode_window_letter
from streamer.contracts.events import ActivityEvent, encode_event
from streamer.datasets.progress import ReportProgress
from streamer.errors import DataError, KafkaError
from streamer.features import FeatureSet
from streamer.features.window_shape import WINDOW
from streamer.flow.window_trace import CONTEXT_US, WindowTrace
from streamer.kafka.event_formats import make_event_decoder
from streamer.kafka.lag import PartitionLag
from streamer.kafka.reader import (
    PATIENCE_S,
    open_reader,
    read_to_end,
    seek_to_time,
)
from streamer.kafka.source import PartitionSource
from streamer.kafka.topic_records import TopicRecord
from streamer.metrics import Metrics
from streamer.reports.explanation import PublishedRecord
from streamer.settings import Settings

HOP_MS: Final = WINDOW.hop_us // 1000

MARGINS_MS: Final = (CONTEXT_US // 1000 + 30_000, 600_000)
"""How far before a window its trace begins, at first and then."""

CLOCKS_MS: Final = 60_000
"""By how much the clocks of brokers, devices and workers are expected to differ at most."""


class FoundEvents(NamedTuple):
    """The event of a window, and that of the window before.

    Attributes:
        partition: of both; None if there is neither.
        published: the event; None if there is none.
        value: the bytes of the event.
        before: the last event of the device before it, if it is that of the window before.
    """

    partition: int | None
    published: PublishedRecord | None
    value: bytes
    before: ActivityEvent | None


class Traced(NamedTuple):
    """A trace of the window, and whether older records of its partition have been deleted."""

    trace: WindowTrace
    partition: int | None
    log_is_cut: bool


async def find_events(settings: Settings, device_id: str, start_ms: int) -> FoundEvents:
    """Look for the event of a window, and for the one before it.

    Raises:
        TopicError: there is no topic of events.
        KafkaError: no broker answers.
    """
    key, decode = device_id.encode(), make_event_decoder(settings)
    stamped_ms = start_ms - round(1000 * settings.max_future_skew_s) - CLOCKS_MS
    before: ActivityEvent | None = None
    partition = None
    async with open_reader(settings, settings.events_topic, "earliest", PATIENCE_S) as consumer:
        await seek_to_time(consumer, stamped_ms)
        async for record in read_to_end(consumer):
            if record.key != key:
                continue
            try:
                event = decode(record.value or b"")
            except DataError:
                continue
            if event.window_start == start_ms:
                published = PublishedRecord(event, record.offset, record.timestamp)
                return FoundEvents(record.partition, published, record.value or b"", before)
            if event.window_start == start_ms - HOP_MS:
                before, partition = event, record.partition
    return FoundEvents(partition, None, b"", before)


async def trace_window(
    settings: Settings,
    feature_set: FeatureSet,
    device_id: str,
    start_ms: int,
    events: FoundEvents,
    report: ReportProgress,
) -> Traced:
    """Trace a window through the readings, from further and further back until it is explained.

    Raises:
        TopicError: there is no topic of readings.
        KafkaError: no broker answers, or a record cannot be read.
    """
    partition = events.partition
    if partition is None:
        partition = await _find_partition(settings, device_id, start_ms)
    if partition is None:
        return Traced(WindowTrace(settings, feature_set, device_id, start_ms), None, False)
    topic = TopicPartition(settings.readings_topic, partition)
    published = events.published
    async with open_reader(
        settings, topic.topic, "earliest", PATIENCE_S, topic.partition
    ) as consumer:
        begin = (await consumer.beginning_offsets([topic]))[topic]
        end = (await consumer.end_offsets([topic]))[topic]
        anchors_ms = [start_ms] if published is None else [published.stamped_ms, start_ms]
        starts = [
            await _offset_at(consumer, topic, anchor_ms - margin_ms, end)
            for margin_ms in MARGINS_MS
            for anchor_ms in anchors_ms
        ]
        trace = WindowTrace(settings, feature_set, device_id, start_ms, begin)
        for start in dict.fromkeys([*(each for each in starts if begin < each < end), begin]):
            until = end
            if published is not None and start != begin:
                until = await _offset_at(consumer, topic, published.stamped_ms + CLOCKS_MS, end)
            trace = WindowTrace(settings, feature_set, device_id, start_ms, start)
            await _trace(consumer, topic, trace, until, report)
            if trace.is_conclusive and (trace.found or (published is None and trace.is_settled)):
                break
        return Traced(trace, partition, begin > 0)


async def _trace(
    consumer: AIOKafkaConsumer,
    topic: TopicPartition,
    trace: WindowTrace,
    until: int,
    report: ReportProgress,
) -> None:
    """Give the records of a partition to a trace, until it is settled or at an offset."""
    source = PartitionSource(Metrics(), consumer, topic, until, PartitionLag())
    source.seek(trace.start_offset)
    first, total = trace.start_offset, until - trace.start_offset
    while not trace.is_settled and (records := await source.fetch()) is not None:
        trace.add(records.before(until))
        report("reading the log again", min(source.next - first, total), total)
    if source.damage is not None:
        raise KafkaError(f"{topic.topic}[{topic.partition}]: {source.damage}")
    if not trace.is_settled:
        trace.finish(until)


async def _offset_at(
    consumer: AIOKafkaConsumer, topic: TopicPartition, stamped_ms: int, end: int
) -> int:
    """Return the offset of the first record that is stamped at a time or later."""
    found = (await consumer.offsets_for_times({topic: max(0, stamped_ms)})).get(topic)
    return end if found is None else int(found.offset)


async def _find_partition(settings: Settings, device_id: str, start_ms: int) -> int | None:
    """Return the partition of the readings of a device; None if it has none."""
    async for record in _read_keyed(settings, settings.readings_topic, device_id, start_ms):
        return int(record.partition)
    async for record in _read_keyed(settings, settings.readings_topic, device_id, None):
        return int(record.partition)
    return None


async def find_refusal(settings: Settings, device_id: str, start_ms: int) -> str | None:
    """Return why the endpoint has refused a window; None if there is no such dead letter."""
    async for record in _read_keyed(settings, settings.dlq_topic, device_id, start_ms):
        headers = dict(record.headers)
        if headers.get(REASON) == REFUSED.encode():
            try:
                letter = decode_window_letter(record.value)
            except DataError:
                continue
            if letter.window_start == start_ms:
                return (headers.get(DETAIL) or b"").decode(errors="replace")
    return None


async def _read_keyed(
    settings: Settings, topic: str, device_id: str, start_ms: int | None
) -> AsyncIterator[TopicRecord]:
    """Yield the records of a device from about a time on; from the oldest one on if it is None."""
    key = device_id.encode()
    async with open_reader(settings, topic, "earliest", PATIENCE_S) as consumer:
        if start_ms is not None:
            await seek_to_time(consumer, start_ms - CLOCKS_MS)
        async for record in read_to_end(consumer):
            if record.key == key:
                yield record


async def find_devices(settings: Settings, most: int = 100_000) -> Sequence[str]:
    """Return ids of devices that have readings, to suggest one."""
    found: set[str] = set()
    async with open_reader(settings, settings.readings_topic, "earliest", PATIENCE_S) as consumer:
        async for record in read_to_end(consumer):
            found.add((record.key or b"").decode(errors="replace"))
            if len(found) >= most:
                break
    return sorted(found)


async def has_deleted_readings(settings: Settings) -> bool:
    """Return whether the oldest readings of a partition have been deleted."""
    async with open_reader(settings, settings.readings_topic, "earliest", PATIENCE_S) as consumer:
        begins = await consumer.beginning_offsets(consumer.assignment())
    return any(begins.values())


def is_same(value: bytes, published: ActivityEvent, recomputed: ActivityEvent) -> bool:
    """Return whether the value of a record is that of an event; in Avro, whether it says the same.

    The bytes in Avro also depend on the number that the registry has given to the schema.
    """
    if value[:1] == b"\0":
        return published == recomputed
    return value == encode_event(recomputed)
