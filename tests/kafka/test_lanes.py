"""The lanes of a member begin and end with its session."""

from unittest.mock import AsyncMock, MagicMock

import pytest
from aiokafka import TopicPartition

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
