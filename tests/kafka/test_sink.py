import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from streamer.contracts.events import encode_event
from streamer.contracts.segments import SEGMENT_HEADER, encode_current, encode_segment
from streamer.flow.stage_results import DeadLetter, Output
from streamer.kafka import topics
from streamer.kafka.lag import PartitionLag
from streamer.kafka.reader import open_reader, read_to_end
from streamer.kafka.sink import open_sink
from streamer.kafka.topic_records import TopicRecord
from streamer.labels.segments import SegmentChanges, Segments
from streamer.metrics import Metrics
from streamer.settings import Settings
from streamer.stream.position import Position
from streamer.stream.windows import Window
from tests.conftest import MakeSettings
from tests.support.events import WALK


def record(key: bytes | None, value: bytes | None) -> ConsumerRecord[bytes | None, bytes | None]:
    return ConsumerRecord("t", 0, 7, 0, 0, key, value, None, 0, 0, ())


async def published(settings: Settings, topic: str) -> list[TopicRecord]:
    async with open_reader(settings, topic, "earliest", 10) as consumer:
        return [record async for record in read_to_end(consumer)]


async def test_output_of_several_batches_is_published_whole_and_in_order(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    events = [
        msgspec.structs.replace(WALK, device_id=f"phone-{i % 3}", window_start=1280 * i)
        for i in range(3000)
    ]
    letters = [
        DeadLetter(record(b"phone", bytes(1_000_000)), "malformed", "large"),
        DeadLetter(record(b"phone", None), "tombstone", "no value"),
        DeadLetter(record(None, None), "tombstone", "neither key nor value"),
        DeadLetter(record(b"phone", bytes(1_000_000)), "malformed", "large too"),
    ]
    windows = [
        Window(event.device_id, event.window_start, 1.0, settled=True, follows=True)
        for event in events
    ]
    segments = Segments()
    changes = segments.update(windows, (), events, [])
    closed = segments.update([], (), [], ["phone-1"]).closed
    partition = TopicPartition(settings.readings_topic, 0)
    async with (
        AIOKafkaConsumer(bootstrap_servers=settings.bootstrap_servers) as consumer,
        open_sink(settings, Metrics(), partition, consumer, PartitionLag(), encode_event) as sink,
    ):
        await sink.commit([Output(events, changes, letters, Position(0, 8), oldest_ms=0)])
        silent = Output([], SegmentChanges(closed=closed), [], Position(0, 9), oldest_ms=0)
        await sink.commit([silent])

    values = [each.value for each in await published(settings, settings.events_topic)]
    assert values == [encode_event(event) for event in events]
    found = await published(settings, settings.events_topic)
    assert [each.headers for each in found] == [
        [(SEGMENT_HEADER, header)] for header in changes.headers
    ]
    found = await published(settings, settings.segments_topic)
    assert [each.value for each in found] == [
        encode_segment(segment) for segment in changes.closed + closed
    ]
    assert [each.key for each in found] == [
        segment.device_id.encode() for segment in changes.closed + closed
    ]
    found = await published(settings, settings.current_topic)
    assert [(each.key, each.value) for each in found] == [
        (device_id.encode(), encode_current(current)) for device_id, current in changes.current
    ]
    found = await published(settings, settings.dlq_topic)
    assert [(each.key, each.value) for each in found] == [
        (letter.record.key, letter.record.value) for letter in letters
    ]
    assert [dict(each.headers)["streamer-detail"] for each in found] == [
        letter.detail.encode() for letter in letters
    ]
