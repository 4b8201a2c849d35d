"""The lanes of a member begin and end with its session, and an outage of Kafka is said once."""

import asyncio
from collections.abc import Collection
from unittest.mock import AsyncMock, MagicMock

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs

from streamer.kafka import lanes
from streamer.kafka.lanes import Lanes


# session   |-- assigned --|-- ends --|
# group                        assigned       a lane now would use clients that are closed
async def test_no_lane_begins_when_the_session_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    made = MagicMock(return_value=MagicMock(run=AsyncMock()))
    monkeypatch.setattr(lanes, "Lane", made)
    resources = MagicMock()
    resources.settings.readings_topic = "readings"
    resources.topics = {"readings": MagicMock(partitions=1)}
    session = Lanes(resources, None, {})
    await session.on_partitions_assigned([TopicPartition("readings", 0)])
    assert made.call_count == 1
    await session.end()
    await session.on_partitions_assigned([TopicPartition("readings", 0)])
    assert made.call_count == 1


# Kafka   |-- answers --|-- 3 times an error --|-- answers --|-- error --|-- answers --|
# log                   |does not answer       |answers again|not answer |answers again|
async def test_an_outage_of_kafka_is_one_line_and_its_end_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "LOOK_S", 0.001)
    monkeypatch.setattr(lanes, "read_topics", AsyncMock(return_value={}))
    stopping = asyncio.Event()
    looks = iter("++---+++-+++")
    resources = MagicMock(topics={})

    async def ask(partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        look = next(looks, None)
        if look is None:
            stopping.set()
        elif look == "-":
            raise KafkaConnectionError("no broker")
        return dict.fromkeys(partitions, 0)

    resources.consumer.end_offsets = ask
    with capture_logs() as said:
        async with asyncio.timeout(60):
            await Lanes(resources, None, {}).work(stopping)
    lines = [(each["log_level"], each["event"]) for each in said if "answer" in each["event"]]
    outage = [
        ("warning", "Kafka does not answer: the worker waits, and nothing is lost"),
        ("info", "Kafka answers again"),
    ]
    assert lines == 2 * outage
    assert "no broker" in next(each["error"] for each in said if "error" in each)
