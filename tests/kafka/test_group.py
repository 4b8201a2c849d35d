"""What happens to a group while its workers run: refusals, new partitions, a second of the same."""

import asyncio
from functools import partial
from unittest.mock import AsyncMock

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewPartitions

from streamer.arrays import Floats
from streamer.contracts.readings import Format
from streamer.errors import KafkaError, TopicError
from streamer.kafka import lane, open_transactions, topics
from streamer.kafka import member as member_module
from streamer.kafka.aiokafka_internals import read_topics
from streamer.kafka.lanes import Lanes
from streamer.localkafka.broker import LocalKafka, free_ports
from streamer.model import artifact
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Prediction
from streamer.settings import Settings
from streamer.testing import START_MS, readings
from tests.conftest import MakeSettings
from tests.support.member import (
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


async def test_a_session_timeout_that_brokers_refuse_ends_the_worker_and_is_named(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1, session_timeout_s=3)
    await topics.ensure(settings)
    with pytest.raises(KafkaError, match=r"session_timeout_s = 3: .*group\.min\.session\.timeout"):
        await Member(settings).run()


async def test_a_group_that_another_kind_of_program_uses_is_named(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    async with AIOKafkaConsumer(
        settings.readings_topic,
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.group_id,
    ):
        with pytest.raises(KafkaError, match=f"the group {settings.group_id}: another kind of pro"):
            await Member(settings).run()


async def add_partitions(settings: Settings, count: int, *names: str) -> None:
    async with topics.admin_client(settings, 10) as admin:
        await admin.create_partitions({name: NewPartitions(count) for name in names})
        while (await read_topics(admin, names))[names[0]].partitions < count:
            pass


# readings  2 partitions ........ | 3 partitions
# worker    |-- events of 0 and 1 | events of 2 --|
async def test_partitions_added_to_a_running_topic_are_noticed_soon(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    async with working(Member(settings)) as member:
        await publish(settings, ten_seconds("before"), 1)
        await until_devices(settings, "before")
        for name in (*settings.output_topics, settings.readings_topic):
            await add_partitions(settings, 3, name)
        await publish(settings, ten_seconds("after"), 2)
        await until_devices(settings, "before", "after")
        assert member.resets == {}


async def test_a_new_partition_is_taken_though_the_group_assigns_it_before_topics_are_compared(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = partial(AIOKafkaConsumer, metadata_max_age_ms=500)
    monkeypatch.setattr(member_module, "AIOKafkaConsumer", consumer)
    monkeypatch.setattr(Lanes, "_look_at_topics", AsyncMock())
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    async with working(Member(settings)) as member:
        await until_ready(member)
        for name in (*settings.output_topics, settings.readings_topic):
            await add_partitions(settings, 2, name)
        await publish(settings, ten_seconds("new"), 1)
        await until_devices(settings, "new")


async def test_a_partition_without_a_partition_for_its_events_waits_and_no_other_does(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "LOOK_AGAIN_S", 0.2)
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    async with working(Member(settings)) as member:
        await until_ready(member)
        await add_partitions(settings, 2, settings.readings_topic)
        await publish(settings, ten_seconds("new"), 1)
        await publish(settings, ten_seconds("old"), 0)
        await until_devices(settings, "old")
        remedy = f"--alter --topic {settings.events_topic} --partitions 2"

        async def told() -> bool:
            return remedy in (member.health.why_not_ready() or "")

        await until(told)
        for name in settings.output_topics:
            await add_partitions(settings, 2, name)
        await until_devices(settings, "old", "new")


class Gated(LocalPredictor):
    """A model that answers when it is let."""

    def __init__(self) -> None:
        super().__init__(artifact.load(artifact.WAIST_MODEL))
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def predict(self, features: Floats) -> Prediction:
        self.asked.set()
        await self.gate.wait()
        return await super().predict(features)


async def test_partitions_added_while_it_runs_to_the_end_do_not_keep_it_from_ending(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("phone"))
    predictor = Gated()
    member = Member(settings, predictor, until_end=True)
    running = asyncio.create_task(member.run())
    await predictor.asked.wait()
    for name in (*settings.output_topics, settings.readings_topic):
        await add_partitions(settings, 2, name)

    async def noticed() -> bool:
        return member.value("restarts_total") > 0

    await until(noticed)
    predictor.gate.set()
    await running
    assert {event.device_id for event in await read_events(settings)} == {"phone"}


async def until_ready(member: Member) -> None:
    async def ready() -> bool:
        return member.health.why_not_ready() is None

    await until(ready)


# first    |-- works --------------| ends, and says why
# second          |-- joins with the same instance_id, works --|
async def test_the_first_of_two_workers_with_one_instance_id_ends_with_the_reason(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1, instance_id="twin", session_timeout_s=6)
    await topics.ensure(settings)
    first = Member(settings)
    task = asyncio.create_task(first.run())
    await until_ready(first)
    async with working(Member(settings)) as second:
        with pytest.raises(KafkaError, match=r"instance_id = 'twin'.* instance_id of its own"):
            await task
        await publish(settings, ten_seconds("phone"))
        await until_devices(settings, "phone")
        assert second.metrics.restarts._value.get() == 0


# readings  0 ... 9 | open transaction | 10 more       a consumer of committed records waits
async def test_the_log_names_an_open_transaction_that_holds_up_readings(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_transactions, "PATIENCE_S", 1.0)
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    async with (
        AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap_servers, transactional_id=settings.group_id
        ) as producer,
        working(Member(settings)) as member,
    ):
        await until_ready(member)
        await producer.begin_transaction()
        await producer.send_and_wait(settings.readings_topic, b"{}", b"phone", partition=0)
        await publish(settings, ten_seconds("phone"))

        async def told() -> bool:
            trouble = member.health.trouble() or ""
            return "11 records of" in trouble and "left open at offset 0" in trouble

        await until(told)
        assert member.health.why_not_ready() is None
        assert member.value("lag_seconds", partition="0") > 0
        await producer.abort_transaction()
        await until_devices(settings, "phone")


async def test_a_misspelt_topic_is_an_error_if_workers_may_not_create_topics(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    misspelt = make_settings(readings_topic=f"{settings.readings_topic}x")
    with pytest.raises(TopicError, match=f"is {settings.readings_topic} meant"):
        await topics.require(misspelt)
    await topics.require(settings)
    assert (await run_to_end(settings)).resets == {}


async def test_an_advertised_broker_name_that_does_not_resolve_is_named() -> None:
    [port] = free_ports(1)
    advertised = f"advertised.listeners=PLAINTEXT://no-such-host.invalid:{port}\n"
    with LocalKafka(port=port, properties=advertised) as kafka:
        settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers})
        with pytest.raises(KafkaError, match=rf"advertise no-such-host\.invalid:{port}"):
            await topics.ensure(settings, 10)


@pytest.mark.slow
async def test_a_device_that_floods_its_partition_does_not_delay_those_of_others(
    make_settings: MakeSettings,
) -> None:
    #  partition 0   flooder  |--------------------- 10 MB, some fetches ---------------------|
    #  partition 1   quiet    |- 10 s -|
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    t = np.arange(400_000) / 50
    swing, still = 0.4 * np.sin(2 * np.pi * 2 * t), np.zeros_like(t)
    samples = np.stack([swing, still - 0.98, still + 0.12, swing, still, still], axis=1)
    await publish(settings, readings("flooder", samples, START_MS, 10_000, Format.F32), 0)
    await publish(settings, ten_seconds("quiet"), 1)
    await run_to_end(settings)
    events = await read_topic(settings, settings.events_topic)
    assert len(events) > 6_000

    def published_last_ms(device: bytes) -> int:
        return max(record.timestamp for record in events if record.key == device)

    assert published_last_ms(b"quiet") < published_last_ms(b"flooder")


# topic of dead letters   |-- there --|-- deleted --|-- made again --|
# worker                  |-- events -|-- waits ----|-- events ------|
async def test_a_worker_says_which_topic_was_deleted_and_continues_when_it_is_made_again(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    async with working(Member(settings)) as member:
        await publish(settings, ten_seconds("before"))
        await until_devices(settings, "before")
        async with topics.admin_client(settings, 10) as admin:
            await admin.delete_topics([settings.dlq_topic])

        async def waits() -> bool:
            return settings.dlq_topic in (member.health.why_not_ready() or "")

        await until(waits)
        await publish(settings, ten_seconds("after"))
        await topics.ensure(settings)
        await until_devices(settings, "before", "after")

        async def is_ready() -> bool:
            return member.health.why_not_ready() is None

        await until(is_ready)
