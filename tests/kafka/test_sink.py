import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from streamer.contracts.events import encode_event
from streamer.flow.stage_results import DeadLetter, Output
from streamer.kafka import topics
from streamer.kafka.lag import PartitionLag
from streamer.kafka.reader import open_reader, read_to_end
from streamer.kafka.sink import open_sink
from streamer.metrics import Metrics
from streamer.settings import Settings
from streamer.stream.position import Position
from tests.conftest import MakeSettings
from tests.support.events import WALK


def record(key: bytes | None, value: bytes | None) -> ConsumerRecord[bytes | None, bytes | None]:
    return ConsumerRecord("t", 0, 7, 0, 0, key, value, None, 0, 0, ())


async def published(
    settings: Settings, topic: str
) -> "list[ConsumerRecord[bytes | None, bytes | None]]":
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
    partition = TopicPartition(settings.readings_topic, 0)
    async with (
        AIOKafkaConsumer(bootstrap_servers=settings.bootstrap_servers) as consumer,
        open_sink(settings, Metrics(), partition, consumer, PartitionLag(), encode_event) as sink,
    ):
        await sink.commit([Output(events, letters, Position(0, 8), oldest_ms=0)])

    values = [each.value for each in await published(settings, settings.events_topic)]
    assert values == [encode_event(event) for event in events]
    found = await published(settings, settings.dlq_topic)
    assert [(each.key, each.value) for each in found] == [
        (letter.record.key, letter.record.value) for letter in letters
    ]
    assert [dict(each.headers)["streamer-detail"] for each in found] == [
        letter.detail.encode() for letter in letters
    ]
