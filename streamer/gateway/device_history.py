"""What a device has done in the last hour: its segments in Kafka, and what has been seen since.

A gateway that was started a moment ago has seen little. The segments of the hour are read when
somebody asks for a device, from the one partition that has them. What a question costs has bounds.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError as AIOKafkaError

from streamer.contracts.segments import HOP_MS, ActivitySegment, decode_segment
from streamer.errors import DataError, StreamerError
from streamer.gateway.fleet_view import HISTORY_MS, Stretch
from streamer.kafka.reader import open_reader, read_to_end, seek_to_time
from streamer.settings import Settings

log = structlog.get_logger(__name__)

MOST_SEGMENTS: Final = 100_000
"""Segments of all devices of a partition that are read for one question, the newest ones."""

_AT_ONCE: Final = 2
"""Questions that read Kafka at the same time; others wait."""

_PATIENCE_S: Final = 5.0


class DeviceHistory:
    """Reads the segments of devices."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def complete(
        self, device_id: str, partition: int, seen: Sequence[Stretch]
    ) -> list[Stretch]:
        """Return what a device did in the hour before its latest window, oldest first.

        Args:
            device_id: the device.
            partition: where its segments are.
            seen: its latest stretches, from events. They are all that is returned while Kafka does
                not answer, or if no segments are published.
        """
        segments: list[ActivitySegment] = []
        if self._settings.segments_topic:
            try:
                async with self._turns, asyncio.timeout(2 * _PATIENCE_S):
                    segments = await self._read(device_id, partition)
            except (StreamerError, AIOKafkaError, TimeoutError) as error:
                log.warning(
                    "the history of a device is that of this gateway only",
                    topic=self._settings.segments_topic,
                    why=str(error) or "no answer in time",
                )
        return join_history(segments, seen)

    async def _read(self, device_id: str, partition: int) -> list[ActivitySegment]:
        key, found = device_id.encode(), []
        topic = self._settings.segments_topic
        async with open_reader(
            self._settings, topic, "latest", _PATIENCE_S, partition=partition
        ) as consumer:
            await _seek_to_last_hour(consumer)
            async for record in read_to_end(consumer, _PATIENCE_S):
                if record.key != key:
                    continue
                try:
                    found.append(decode_segment(record.value or b""))
                except DataError as error:
                    log.warning("a record in the topic of segments is none", why=str(error))
        return found


async def _seek_to_last_hour(consumer: AIOKafkaConsumer) -> None:
    await seek_to_time(consumer, round(time.time() * 1000) - HISTORY_MS)
    for partition, end in (await consumer.end_offsets(consumer.assignment())).items():
        if await consumer.position(partition) < end - MOST_SEGMENTS:
            consumer.seek(partition, end - MOST_SEGMENTS)


def join_history(segments: Sequence[ActivitySegment], seen: Sequence[Stretch]) -> list[Stretch]:
    """Return the stretches of the hour before the latest one ends: segments, then what is newer.

    A window stands for its first hop in a segment, and for the whole of it in a stretch that was
    seen.
    """
    stretches = [
        Stretch(
            each.activity,
            each.segment_start,
            each.segment_end,
            each.windows,
            (each.confidence or 0.0) * each.windows,
        )
        for each in segments
    ]
    known_ms = stretches[-1].end_ms if stretches else 0
    stretches += [
        replace(each, start_ms=max(each.start_ms, known_ms))
        for each in seen
        if each.end_ms - HOP_MS > known_ms
    ]
    end_ms = stretches[-1].end_ms if stretches else 0
    return [each for each in stretches if each.end_ms > end_ms - HISTORY_MS]
