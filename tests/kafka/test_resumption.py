"""The log and the group's position disagree: it is noticed, counted and said, and work goes on."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete
from aiokafka.structs import OffsetAndMetadata

from streamer.arrays import Floats
from streamer.errors import LostRecordsError
from streamer.flow.recovery import recover
from streamer.kafka import lanes, start, topics
from streamer.kafka import member as member_module
from streamer.kafka.positions import offset_to_commit, read_position
from streamer.kafka.resumption import Bounds, Reset, Resumption, resume
from streamer.kafka.topics import partition_counts
from streamer.model import artifact
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.predictor import Prediction
from streamer.settings import Settings
from streamer.stream.clock import PartitionClock
from streamer.stream.position import Position
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


async def decide(
    committed: Position | None, bounds: Bounds, *, events: bool = False, since: int = 0, **more: Any
) -> Resumption:
    async def has_events() -> bool:
        return events

    async def first_since(_time_us: int) -> int:
        return since

    options = {"recreated": False} | more
    return await resume(
        committed, bounds, has_events=has_events, first_since=first_since, **options
    )


# log        100 ............................ 200
@pytest.mark.parametrize(
    ("committed", "events", "reset", "start", "lost"),
    [
        (None, False, None, (100, 100), 0),
        (None, True, Reset.OFFSETS_MISSING, (100, 100), 0),
        (Position(120, 150), True, None, (120, 150), 0),
        (Position(120, 150, topic_id="one"), True, None, (120, 150), 0),
        (Position(120, 150, topic_id="two"), True, Reset.TOPIC_RECREATED, (100, 100), 0),
        (Position(90, 150), True, Reset.CONTEXT, (100, 150), 0),
        (Position(80, 90), True, Reset.RETENTION, (100, 100), 10),
        (Position(180, 200), True, None, (180, 200), 0),
        (Position(180, 201), True, Reset.BEYOND_END, (100, 100), 0),
        (Position(180, 201, PartitionClock(5)), True, Reset.BEYOND_END, (170, 170), 0),
        (Position(300, 310, PartitionClock(5)), True, Reset.BEYOND_END, (170, 170), 0),
    ],
)
async def test_each_disagreement_has_its_reason_and_its_start(
    committed: Position | None,
    events: bool,
    reset: Reset | None,
    start: tuple[int, int],
    lost: int,
) -> None:
    found = await decide(committed, Bounds(100, 200, "one"), events=events, since=170)
    assert (found.reset, found.lost) == (reset, lost)
    assert (found.position.low, found.position.next) == start
    assert found.position.topic_id == "one"
    assert bool(found.problem) == (reset is not None)


async def test_a_topic_made_again_under_the_worker_has_no_offsets_any_more() -> None:
    found = await decide(None, Bounds(0, 5, "two"), events=True, recreated=True)
    assert found.reset is Reset.TOPIC_RECREATED


async def make_topics(make_settings: MakeSettings, *device_ids: str, **overrides: str) -> Settings:
    """Make topics of one partition, with ten seconds of readings of each of these devices."""
    settings = make_settings(partitions=1, **overrides)
    await topics.ensure(settings)
    for device_id in device_ids:
        await publish(settings, ten_seconds(device_id))
    return settings


async def commit(settings: Settings, offset: OffsetAndMetadata) -> None:
    """Set the group's offset, as a tool would."""
    partition = TopicPartition(settings.readings_topic, 0)
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        transactional_id=f"{settings.group_id}-{settings.readings_topic}-0",
    ) as producer:
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({partition: offset}, settings.group_id)
        await producer.commit_transaction()


async def position_of(settings: Settings) -> Position:
    async with topics.admin_client(settings, 10) as admin:
        position = await read_position(
            admin, settings.group_id, TopicPartition(settings.readings_topic, 0)
        )
    assert position is not None
    return position


# topic     |-- old: ten seconds --| deleted | new: ten seconds --|
# worker    |-- events ------------ still running ---------- events --|
#
# The worker looks at the topics every two seconds. The group may assign the new topic before that,
# and its offsets are missing.
@pytest.mark.parametrize("looks", [True, False])
async def test_a_topic_made_again_under_a_running_worker_is_read_from_its_beginning(
    looks: bool, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not looks:
        monkeypatch.setattr(lanes.Lanes, "_look_at_topics", AsyncMock())
    settings = await make_topics(make_settings)
    async with working(Member(settings)) as member:
        await publish(settings, ten_seconds("old", batch=5))
        await until_devices(settings, "old")
        old = await position_of(settings)
        async with topics.admin_client(settings, 10) as admin:
            await admin.delete_topics([settings.readings_topic])
            while settings.readings_topic in await partition_counts(admin):
                pass
            await admin.create_topics([NewTopic(settings.readings_topic, 1, 1)])
            await partition_counts(admin, settings.readings_topic)
        await publish(settings, ten_seconds("new"))
        await until_devices(settings, "new")
        assert member.resets == {"topic_recreated": 1}
        assert "was deleted and made again" in (member.health.trouble() or "")
        assert not member.health.resets[1:]
    assert (await position_of(settings)).topic_id not in ("", old.topic_id)


async def test_a_position_of_another_topic_of_the_same_name_is_not_taken_up(
    make_settings: MakeSettings,
) -> None:
    settings = await make_topics(make_settings, "phone")
    await commit(settings, offset_to_commit(Position(3, 4, topic_id=32 * "0")))
    member = await run_to_end(settings)
    assert member.resets == {"topic_recreated": 1}
    assert len(await read_events(settings)) in WINDOWS_OF_10_S


@pytest.mark.parametrize("metadata", ["v1;5000;-9223372036854775808;", ""], ids=["ours", "no word"])
async def test_a_position_beyond_the_end_is_reported_and_the_existing_records_are_processed(
    make_settings: MakeSettings, metadata: str
) -> None:
    settings = await make_topics(make_settings, "phone")
    await commit(settings, OffsetAndMetadata(5000, metadata))
    member = await run_to_end(settings)
    assert member.resets == {"beyond_end": 1}
    assert "at offset 5000, but the log ends at 10" in (member.health.trouble() or "")
    assert len(await read_events(settings)) in WINDOWS_OF_10_S
    assert (await run_to_end(settings)).resets == {}


# log        |-- processed --|-- new --|       position far beyond the end, clock of the first part
async def test_only_records_newer_than_the_position_of_a_truncated_log_are_processed(
    make_settings: MakeSettings,
) -> None:
    settings = await make_topics(make_settings, "phone")
    await run_to_end(settings)
    before = await position_of(settings)
    clock_ms = (await read_topic(settings, settings.readings_topic))[-1].timestamp
    beyond = Position(5000, 5000, PartitionClock(1000 * clock_ms + 1), topic_id=before.topic_id)
    await commit(settings, offset_to_commit(beyond))
    await publish(settings, ten_seconds("later"))
    member = await run_to_end(settings)
    assert member.resets == {"beyond_end": 1}
    events = await read_events(settings)
    assert len({event.window_id for event in events}) == len(events)
    assert sum(event.device_id == "later" for event in events) in WINDOWS_OF_10_S


async def test_a_worker_with_the_setting_stop_changes_nothing(
    make_settings: MakeSettings,
) -> None:
    settings = await make_topics(make_settings, "phone", on_lost_records="stop")
    await commit(settings, OffsetAndMetadata(5000, ""))
    with pytest.raises(LostRecordsError, match=r"5000.*--on-lost-records continue"):
        await run_to_end(settings)
    assert await read_events(settings) == []


async def delete_before(settings: Settings, offset: int) -> None:
    async with topics.admin_client(settings, 10) as admin:
        await admin.delete_records(
            {TopicPartition(settings.readings_topic, 0): RecordsToDelete(offset)}
        )


async def test_records_deleted_before_they_were_read_are_counted(
    make_settings: MakeSettings,
) -> None:
    settings = await make_topics(make_settings, "phone")
    await run_to_end(settings)
    await publish(settings, [*ten_seconds("gone"), *ten_seconds("here")])
    at = (await position_of(settings)).next
    await delete_before(settings, at + 10)
    member = await run_to_end(settings)
    assert member.resets == {"retention": 1}
    assert member.value("records_lost_total", reason="retention") == 10
    assert [e.device_id for e in await read_events(settings)].count("here") in WINDOWS_OF_10_S


async def test_events_without_committed_offsets_are_reported_before_they_are_published_again(
    make_settings: MakeSettings,
) -> None:
    settings = await make_topics(make_settings, "phone")
    assert (await run_to_end(settings)).resets == {}
    other = make_settings(partitions=1, group_id=f"{settings.group_id}-expired")
    with pytest.raises(LostRecordsError, match=r"no committed offset here, but there are events"):
        await run_to_end(
            make_settings(group_id=other.group_id, partitions=1, on_lost_records="stop")
        )
    member = await run_to_end(other)
    assert member.resets == {"offsets_missing": 1}


class Gated(LocalPredictor):
    """A model that answers when it is let."""

    def __init__(self) -> None:
        super().__init__(artifact.load())
        self.gate = asyncio.Event()
        self.asked = False

    async def predict(self, features: Floats) -> Prediction:
        self.asked = True
        await self.gate.wait()
        return await super().predict(features)


# log       |-- read, waits for the model --|-- deleted --|-- still there --|
# worker    |-- held up ----------------------------------| commits, then goes on at what is there
async def test_retention_that_overtakes_a_worker_which_is_held_up_is_counted(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_module, "LARGEST_FETCH", 20_000)
    settings = await make_topics(make_settings)
    records = [record for i in range(40) for record in ten_seconds(f"phone-{i}", batch=25)]
    for i in range(0, len(records), 20):
        await publish(settings, records[i : i + 20])
    predictor = Gated()
    async with working(Member(settings, predictor)) as member:

        async def is_held_up() -> bool:
            read = member.value("records_total")
            await asyncio.sleep(1)  # in which it would read more
            return predictor.asked and 0 < read == member.value("records_total") < len(records)

        await until(is_held_up)
        read = member.value("records_total")
        # The lag grows although nothing is fetched.
        lag = member.value("lag_records", partition="0")
        last = ten_seconds("last")[:1]
        await publish(settings, last)
        records += last

        async def grows() -> bool:
            return member.value("lag_records", partition="0") > lag

        await until(grows)
        await delete_before(settings, 780)
        predictor.gate.set()
        await until_devices(settings, "phone-39")
        assert member.resets == {"retention": 1}
        lost = member.value("records_lost_total", reason="retention")
        # What the consumer holds is read too; every other record is counted.
        assert 0 < lost == len(records) - member.value("records_total")
        assert lost <= 780 - read


# log        |-- deleted while it is read again --|-- next |-- new --|
# recovery   |-- first record --| out of range
async def test_retention_that_overtakes_a_recovery_is_reported_and_work_continues(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(partitions=1)
    await topics.ensure(settings)
    await publish(settings, ten_seconds("phone", batch=5))
    await run_to_end(settings)
    await publish(settings, ten_seconds("new"))
    before = await position_of(settings)
    assert before.low < before.next

    async def recover_late(*arguments: Any) -> int:
        monkeypatch.setattr(start, "recover", recover)
        await delete_before(settings, before.next)
        return await recover(*arguments)

    monkeypatch.setattr(start, "recover", recover_late)
    member = await run_to_end(settings)
    assert member.resets == {"context": 1}
    assert member.value("restarts_total") == 0
    assert [e.device_id for e in await read_events(settings)].count("new") in WINDOWS_OF_10_S
