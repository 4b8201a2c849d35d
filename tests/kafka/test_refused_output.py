"""Output that a topic does not take, for its size, its time or its missing key."""

import random
import time
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streamer.contracts.dead_letters import CUT, REASON
from streamer.contracts.records import OneRecord
from streamer.errors import TopicError
from streamer.kafka import sink, topics
from streamer.kafka.record_batches import KEPT_BYTES, LARGEST_RECORD
from streamer.settings import Settings
from streamer.tools.dead_letters import Selection
from streamer.tools.letter_replay import put_back
from tests.conftest import MakeSettings
from tests.support.member import (
    WINDOWS_OF_10_S,
    Member,
    publish,
    read_events,
    read_topic,
    run_to_end,
    ten_seconds,
    until,
    until_devices,
    working,
)


async def test_a_large_record_of_a_small_batch_becomes_a_dead_letter_that_can_be_put_back(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    whole, cut = LARGEST_RECORD - 10_000, 40_000_000
    incompressible = random.Random(0).randbytes(1_000_000)
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        compression_type="zstd",
        max_request_size=2 * cut,
        max_batch_size=1_000_000,
    ) as producer:
        for value in (bytes(whole), bytes(cut), incompressible):
            await producer.send_and_wait(settings.readings_topic, value, b"phone", partition=0)
    await publish(settings, ten_seconds("phone"))

    await run_to_end(settings)

    letters = await read_topic(settings, settings.dlq_topic)
    assert [letter.value for letter in letters] == [bytes(whole), bytes(KEPT_BYTES), incompressible]
    assert [CUT in dict(letter.headers) for letter in letters] == [False, True, False]
    assert {dict(letter.headers)[REASON] for letter in letters} == {b"malformed"}
    assert len(await read_events(settings)) in WINDOWS_OF_10_S

    # They go back as they came, but for the one of which only the beginning was kept.
    assert await put_back(settings, Selection()) == 2
    readings = await read_topic(settings, settings.readings_topic)
    assert [record.value for record in readings[-2:]] == [bytes(whole), incompressible]


# partition 0   |-- a large record, and letters of that size are refused --|   held
# partition 1   |-- ten seconds --|                                            goes on
async def test_output_that_a_topic_refuses_for_its_size_holds_its_partition_and_no_other(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    async with topics.admin_client(settings, 10) as admin:
        small = {"max.message.bytes": "100000"}
        await admin.create_topics([NewTopic(settings.dlq_topic, 2, 1, topic_configs=small)])
    await topics.ensure(settings)
    large = OneRecord(b"phone", random.Random(0).randbytes(500_000), [], 0, 0)
    await publish(settings, [large], 0)
    async with working(Member(settings)) as member:

        async def held() -> bool:
            return bool(member.health.held)

        await until(held)
        assert "max.message.bytes" in member.health.held[0]
        assert f"{settings.readings_topic}[0]" in member.health.held[0]
        await publish(settings, ten_seconds("other"), 1)
        await until_devices(settings, "other")
        assert member.value("restarts_total") == 0
        assert settings.dlq_topic in member.health.held[0]
        with pytest.raises(TopicError, match=r"raise its max\.message\.bytes"):
            await run_to_end(make_settings(group_id="another"))
        await configure(settings, settings.dlq_topic, {"max.message.bytes": "1000000"})

        async def released() -> bool:
            return not member.health.held and bool(await read_topic(settings, settings.dlq_topic))

        await until(released)
        assert member.value("restarts_total") == 0


BY_WORKER = {"message.timestamp.type": "CreateTime"}
BY_BROKER = {"message.timestamp.type": "LogAppendTime"}


# topic of events or letters  |-- takes all --|-- does not take the output --|-- takes all --|
# worker                      |-- events -----|-- held, says why ------------|-- the rest ---|
@pytest.mark.parametrize(
    ("name", "unusable", "usable", "words"),
    [
        ("events_topic", BY_WORKER, BY_BROKER, "does not accept the time"),
        ("dlq_topic", BY_BROKER | {"cleanup.policy": "compact"}, BY_BROKER, "without a key"),
    ],
)
async def test_output_that_a_topic_does_not_take_holds_its_partition_until_the_topic_is_mended(
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    unusable: dict[str, str],
    usable: dict[str, str],
    words: str,
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    topic = getattr(settings, name)
    # The clock of this machine is two hours ahead, and brokers accept one hour.
    clock = SimpleNamespace(time=lambda: time.time() + 7200, monotonic=time.monotonic)
    monkeypatch.setattr(sink, "time", clock)
    async with working(Member(settings)) as member:
        await publish(settings, ten_seconds("before"))
        await until_devices(settings, "before")
        await configure(settings, topic, unusable)
        await publish(settings, [OneRecord(None, b"no reading", [], 0, 0), *ten_seconds("phone")])

        async def held() -> bool:
            return bool(member.health.held)

        await until(held)
        assert words in member.health.held[0]
        assert topic in member.health.held[0]
        await configure(settings, topic, usable)
        await until_devices(settings, "before", "phone")
        assert member.value("restarts_total") == 0
    assert len(await read_topic(settings, settings.dlq_topic)) == 1


async def configure(settings: Settings, topic: str, config: dict[str, str]) -> None:
    async with topics.admin_client(settings, 10) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
