"""Asks Kafka at intervals how many readings arrive, and how far the workers are behind."""

import asyncio
import time
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError as AIOKafkaError

from streamer.errors import StreamerError
from streamer.kafka.aiokafka_internals import read_topics
from streamer.kafka.client import ask
from streamer.kafka.reader import open_reader
from streamer.kafka.topics import admin_client
from streamer.settings import Settings
from streamer.stream.position import Position

log = structlog.get_logger(__name__)

_EVERY_S: Final = 2.0


class FleetLag:
    """The rate of the readings and the lag of the workers' group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.readings_per_s: float | None = None
        """Records a second in the topic of readings; None while it is not known."""
        self.lag: int | None = None
        """Readings without a committed label; None while it is not known."""
        self.partitions = 0
        """Partitions of the topic of readings; 0 while it is not known."""
        self.trouble = "Kafka has not answered yet"
        """What is wrong; empty if nothing is."""

    async def follow(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                async with (
                    admin_client(self._settings, None) as admin,
                    open_reader(self._settings, self._settings.readings_topic, "latest") as reader,
                ):
                    await self._poll(admin, reader)
            except (StreamerError, AIOKafkaError, TimeoutError) as error:
                self.readings_per_s = self.lag = None
                self.trouble = "Kafka does not answer, trying again"
                log.debug("Kafka was asked for the lag in vain", why=str(error))
                await asyncio.sleep(_EVERY_S)

    async def _poll(self, admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer) -> None:
        partitions = sorted(reader.assignment(), key=lambda each: each.partition)
        reader.pause(*partitions)
        self.partitions = len(partitions)
        before: tuple[float, int] | None = None
        topic = self._settings.readings_topic
        states = await read_topics(admin, [topic])
        while True:
            async with asyncio.timeout(_EVERY_S * 5):
                if await read_topics(admin, [topic]) != states:
                    return  # and begin anew
                ends = await reader.end_offsets(partitions)
                self.lag = _count_behind(ends, await _positions(admin, self._settings.group_id))
            now = (time.monotonic(), sum(ends.values()))
            if before is not None:
                self.readings_per_s = max(0, now[1] - before[1]) / (now[0] - before[0])
            before = now
            self.trouble = ""
            await asyncio.sleep(_EVERY_S)


async def _positions(admin: AIOKafkaAdminClient, group_id: str) -> dict[TopicPartition, int]:
    """Return the first record without committed output, of each partition of which it is known."""
    offsets = await ask(lambda: admin.list_consumer_group_offsets(group_id))
    positions = {}
    for partition, found in offsets.items():
        if found.offset >= 0:
            try:
                positions[partition] = Position.parse(found.offset, found.metadata).next
            except ValueError:
                positions[partition] = found.offset
    return positions


def _count_behind(
    ends: dict[TopicPartition, int], positions: dict[TopicPartition, int]
) -> int | None:
    """Return how many records are after the positions; None if the group has none."""
    known = ends.keys() & positions.keys()
    return sum(max(0, ends[each] - positions[each]) for each in known) if known else None
