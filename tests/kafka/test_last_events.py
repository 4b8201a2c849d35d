"""Reading back, from a real topic, what was published last."""

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streamer.contracts.events import ActivityEvent, decode_event, encode_event
from streamer.contracts.segments import HOP_MS, OpenSegment, PublishedEvent, as_header
from streamer.flow.stage_results import Output
from streamer.kafka import last_events, topics
from streamer.kafka.lag import PartitionLag
from streamer.kafka.last_events import read_last_events as read_back
from streamer.kafka.sink import open_sink
from streamer.labels.segments import SegmentChanges
from streamer.metrics import Metrics
from streamer.settings import Settings
from streamer.stream.position import Position
from tests.conftest import MakeSettings
from tests.support.events import WALK

PARTITION = 1
OPEN = OpenSegment(3 * HOP_MS, 1_750_000)


def event(device: str, hop: int) -> ActivityEvent:
    return msgspec.structs.replace(WALK, device_id=device, window_start=hop * HOP_MS)


async def publish(settings: Settings, events: list[ActivityEvent], commits: int = 20) -> None:
    """In several transactions, so that markers stand among the events."""
    partition = TopicPartition(settings.readings_topic, PARTITION)
    size = -(-len(events) // commits)
    async with (
        AIOKafkaConsumer(bootstrap_servers=settings.bootstrap_servers) as consumer,
        open_sink(settings, Metrics(), partition, consumer, PartitionLag(), encode_event) as sink,
    ):
        for at in range(0, len(events), size):
            some = events[at : at + size]
            changes = SegmentChanges([as_header(*OPEN)] * len(some))
            await sink.commit([Output(some, changes, [], Position(at, at + size), oldest_ms=0)])


async def abort(settings: Settings, events: list[ActivityEvent]) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, transactional_id=settings.group_id
    ) as producer:
        await producer.begin_transaction()
        for each in events:
            await producer.send_and_wait(
                settings.events_topic,
                key=each.device_id.encode(),
                value=encode_event(each),
                partition=PARTITION,
            )
        await producer.abort_transaction()


# partition   silent's event | 600 others' in 20 transactions | aborted ones
# read back   ............................ <-- 3rd -- <- 2nd - <1st>
async def test_the_last_committed_event_of_each_device_is_found_at_any_distance(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_events, "FIRST_PART", 10)
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    busy = [event("busy", hop) for hop in range(600)]
    await publish(settings, [event("silent", 7), *busy])
    await abort(settings, [event("busy", 600), event("silent", 8)])

    wanted = {"busy": 599 * HOP_MS, "silent": 7 * HOP_MS, "refused": 3 * HOP_MS}
    found = await read_back(settings, PARTITION, wanted, 10_000, decode_event)
    assert {each.event.device_id: each.event.window_start for each in found} == {
        "busy": 599 * HOP_MS,
        "silent": 7 * HOP_MS,
    }
    # What is not there is not looked for through the whole topic.
    [near] = await read_back(settings, PARTITION, wanted, 100, decode_event)
    assert near.event.device_id == "busy"


async def test_the_last_event_of_a_window_published_twice_counts(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    first, second = event("phone", 5), msgspec.structs.replace(event("phone", 5), confidence=0.25)
    await publish(settings, [first, second], commits=2)
    assert await read_back(settings, PARTITION, {"phone": 5 * HOP_MS}, 100, decode_event) == [
        PublishedEvent(second, OPEN)
    ]


async def test_nothing_is_found_in_a_topic_without_events(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    assert await read_back(settings, PARTITION, {"a": 1}, 10_000, decode_event) == []
    assert not await last_events.has_events(settings, PARTITION)
    # As a worker leaves it that is killed in its first transaction.
    await abort(settings, [event("phone", 5)])
    assert not await last_events.has_events(settings, PARTITION)
    await publish(settings, [event("phone", 5)], commits=1)
    assert await last_events.has_events(settings, PARTITION)
