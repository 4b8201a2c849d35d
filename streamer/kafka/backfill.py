"""Prepares the group and the topics of a backfill: old readings, processed again into new topics.

A backfill has a consumer group of its own. Before it starts, the group gets a position in each
partition: its first output is that of the first record of the range, and it recovers from the
records of the minutes before. After that it is a worker like any other: what is committed is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streamer.errors import DataError, SettingsError
from streamer.features.window_shape import WINDOW
from streamer.kafka import topics
from streamer.kafka.aiokafka_internals import read_topics
from streamer.kafka.client import client_options, connect, transactional_id
from streamer.kafka.positions import offset_to_commit, read_position
from streamer.kafka.reader import PATIENCE_S, open_reader
from streamer.kafka.transaction import transaction
from streamer.printable import utc_moment
from streamer.settings import Settings
from streamer.stream.position import Position

log = structlog.get_logger(__name__)

CONTEXT_MS: Final = (2 * WINDOW.epoch_hops + 5) * WINDOW.hop_us // 1000 + 30_000
"""How much of the log before the range is read for the state that windows depend on."""


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a partition of the readings.

    Attributes:
        low: the first record that is read.
        start: the first record with output.
        end: the record after the last one.
    """

    low: int
    start: int
    end: int


def derive_settings(settings: Settings, events_topic: str) -> Settings:
    """Return the settings of the workers of a backfill: another group, and other output topics.

    A backfill has the first predictor alone. A shadow would write to the topic of the live one and
    ask its endpoint at full speed; a canary that was rolled back would decide again. It stores no
    features: those windows are stored already, and each group needs a store of its own.

    Args:
        settings: those of the live workers, with what the backfill is to do in another way, such as
            the model.
        events_topic: the new topic of events.

    Raises:
        SettingsError: the topic is that of the live workers, or an endpoint has no rate limit.
    """
    if settings.endpoint is not None and settings.max_rate is None:
        raise SettingsError(
            "max_rate: a backfill asks the endpoint as fast as it may; give it a part of the quota "
            "with --max-rate, so that the live workers keep theirs"
        )
    return name_topics(settings, events_topic)


def name_topics(settings: Settings, events_topic: str) -> Settings:
    """Return settings with the output topics and the group of a backfill, without a rate check.

    Raises:
        SettingsError: the topic is that of the live workers.
    """
    if events_topic in (settings.readings_topic, *settings.output_topics):
        raise SettingsError(
            f"{events_topic} is a topic of the live workers: a backfill writes to new topics"
        )
    return settings.model_copy(
        update={
            "events_topic": events_topic,
            "segments_topic": settings.segments_topic and f"{events_topic}-segments",
            "current_topic": settings.current_topic and f"{events_topic}-current",
            "dlq_topic": f"{events_topic}-dlq",
            "group_id": f"{settings.group_id}-backfill-{events_topic}",
            "instance_id": None,
            "shadow_predictor": None,
            "canary_predictor": None,
            "store_features": None,
        }
    )


async def prepare(settings: Settings, from_ms: int, to_ms: int) -> Mapping[TopicPartition, Range]:
    """Create the topics of a backfill, and give its group the positions to begin with.

    A group that has positions keeps them: a backfill that was interrupted goes on.

    Args:
        settings: those of the backfill, see `derive_settings`.
        from_ms: Kafka's time of the first reading.
        to_ms: Kafka's time after the last one.

    Returns:
        The range of each partition.

    Raises:
        DataError: the range has no readings, or the group was used for another one.
        KafkaError: no broker answers.
    """
    if from_ms >= to_ms:
        raise DataError(f"the range ends at {utc_moment(to_ms)}, before it begins")
    await topics.ensure(settings, PATIENCE_S)
    topic = settings.readings_topic
    async with (
        topics.admin_client(settings, PATIENCE_S) as admin,
        open_reader(settings, topic, "earliest", PATIENCE_S) as consumer,
    ):
        topic_id = (await read_topics(admin, [topic]))[topic].topic_id
        ranges = await _find_ranges(consumer, from_ms, to_ms)
        if not any(each.start < each.end for each in ranges.values()):
            raise DataError(
                f"{topic} has no readings from {utc_moment(from_ms)} to {utc_moment(to_ms)}"
            )
        for partition, part in ranges.items():
            await _start_at(settings, admin, partition, part, topic_id)
    return ranges


async def read_progress(
    settings: Settings, ranges: Mapping[TopicPartition, Range]
) -> tuple[int, int]:
    """Return how many records of a backfill are processed, and how many there are."""
    done = total = 0
    async with topics.admin_client(settings, PATIENCE_S) as admin:
        for partition, part in ranges.items():
            position = await read_position(admin, settings.group_id, partition)
            total += part.end - part.start
            done += max(0, min(position.next, part.end) - part.start) if position else 0
    return done, total


async def _find_ranges(
    consumer: AIOKafkaConsumer, from_ms: int, to_ms: int
) -> dict[TopicPartition, Range]:
    partitions = sorted(consumer.assignment())
    begins = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    at = {
        time_ms: await consumer.offsets_for_times(dict.fromkeys(partitions, max(0, time_ms)))
        for time_ms in (from_ms - CONTEXT_MS, from_ms, to_ms)
    }
    ranges = {}
    for partition in partitions:
        low, start, end = (
            ends[partition] if found.get(partition) is None else int(found[partition].offset)
            for found in at.values()
        )
        ranges[partition] = Range(low, start, end)
        if begins[partition] > 0 and low == begins[partition] < end:
            log.warning(
                "the log begins inside the range or shortly before it: the first windows lack "
                "what came before them, and older readings are missing",
                partition=f"{partition.topic}[{partition.partition}]",
                oldest_offset=begins[partition],
            )
    return ranges


async def _start_at(
    settings: Settings,
    admin: AIOKafkaAdminClient,
    partition: TopicPartition,
    part: Range,
    topic_id: str,
) -> None:
    """Give the group its first position in a partition; keep the position that it has.

    Raises:
        DataError: that one is outside the range.
    """
    committed = await read_position(admin, settings.group_id, partition)
    if committed is None:
        # The id of whoever has the partition: another process of the same backfill may have begun.
        name = transactional_id(settings, partition)
        async with connect(
            lambda: AIOKafkaProducer(**client_options(settings), transactional_id=name), PATIENCE_S
        ) as producer:
            committed = await read_position(admin, settings.group_id, partition)
            if committed is None:
                first = Position(part.low, part.start, topic_id=topic_id)
                async with transaction(producer):
                    await producer.send_offsets_to_transaction(
                        {partition: offset_to_commit(first)}, settings.group_id
                    )
                return
    if not part.start <= committed.next <= max(part.start, part.end):
        raise DataError(
            f"the group {settings.group_id} is at the offset {committed.next} of "
            f"{partition.topic}[{partition.partition}], outside of the range {part.start} to "
            f"{part.end}: it was used for another range; choose another --events-topic"
        )
