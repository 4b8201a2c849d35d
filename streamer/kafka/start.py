"""Finds out where a lane takes its partition up, and rebuilds the state of the partition there.

It says so if the group was elsewhere, or if the output has nowhere to go.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streamer.contracts.segments import PublishedEvent
from streamer.errors import LostRecordsError
from streamer.flow.partition_state import PartitionState
from streamer.flow.recovery import recover
from streamer.kafka.aiokafka_internals import read_topics
from streamer.kafka.lane_resources import LaneResources
from streamer.kafka.last_events import has_events, read_last_events
from streamer.kafka.positions import read_position
from streamer.kafka.resumption import Bounds, Reset, Resumption, resume
from streamer.kafka.source import PartitionSource
from streamer.stream.position import Position

log = structlog.get_logger(__name__)

END_CHECKS: Final = 3
"""How often Kafka is asked for the end of a log before it is believed to be before our position:
a new leader may not know it at once."""

END_CHECK_S: Final = 0.5

REPORT_S: Final = 5.0
"""How often a recovery logs its progress."""


class TopicChangedError(KafkaError):  # type: ignore[misc]
    """A topic was deleted or made again, or has other partitions than before."""


async def find_start(resources: LaneResources, partition: TopicPartition) -> Position:
    """Return where to take a partition up; its previous owner must have been fenced.

    Raises:
        TopicChangedError: the topic is another one than when the session began.
        LostRecordsError: not where the group has left it, and the worker is to stop then.
    """
    settings = resources.settings
    found = await _resume(
        resources, partition, await read_position(resources.admin, settings.group_id, partition)
    )
    if found.reset is None:
        return found.position
    await _require_same_topic(resources, partition.topic)
    problem = f"{_name(partition)}: {found.problem}"
    resources.metrics.count_reset(found.reset, found.lost)
    resources.health.note_reset(problem)
    log.error("records are lost or read again", reason=found.reset.value, problem=problem)
    if settings.on_lost_records == "stop" and found.reset is not Reset.CONTEXT:
        raise LostRecordsError(
            f"{problem}. This has not happened yet: the worker stops, because on_lost_records is "
            "stop. Start it with --on-lost-records continue, or set the group's offset"
        )
    return found.position


async def _require_same_topic(resources: LaneResources, topic: str) -> None:
    """Make sure that a disagreement is not about a topic that was made again a moment ago.

    The group's offsets vanish with a topic, and the session does not know it yet.
    """
    found = (await read_topics(resources.admin, [topic])).get(topic)
    if found is None or found.topic_id != resources.topics[topic].topic_id:
        raise TopicChangedError(f"the topic {topic} was deleted or made again")


async def _resume(
    resources: LaneResources, partition: TopicPartition, committed: Position | None
) -> Resumption:
    bounds = await _read_bounds(resources, partition)
    for _ in range(END_CHECKS - 1):
        if committed is None or committed.next <= bounds.end:
            break
        await asyncio.sleep(END_CHECK_S)
        bounds = await _read_bounds(resources, partition)

    async def first_since(time_us: int) -> int:
        times = {partition: -(-time_us // 1000)}
        found = (await resources.consumer.offsets_for_times(times))[partition]
        return bounds.end if found is None else int(found.offset)

    return await resume(
        committed,
        bounds,
        recreated=resources.recreated,
        has_events=lambda: has_events(resources.settings, partition.partition),
        first_since=first_since,
    )


async def _read_bounds(resources: LaneResources, partition: TopicPartition) -> Bounds:
    begin = (await resources.consumer.beginning_offsets([partition]))[partition]
    end = (await resources.consumer.end_offsets([partition]))[partition]
    return Bounds(begin, end, resources.topics[partition.topic].topic_id)


def name_missing_outputs(resources: LaneResources, partition: TopicPartition) -> str | None:
    """Return why the output of a partition has nowhere to go; None if it has."""
    settings, topics = resources.settings, resources.topics
    for name in settings.output_topics:
        if partition.partition >= (count := topics[name].partitions):
            return (
                f"{name} has {count} partitions, so the output of {_name(partition)} has nowhere "
                f"to go: kafka-topics.sh --bootstrap-server {settings.bootstrap_servers} "
                f"--alter --topic {name} --partitions {topics[partition.topic].partitions}"
            )
    return None


async def recover_state(
    resources: LaneResources,
    partition: TopicPartition,
    source: PartitionSource,
    state: PartitionState,
    position: Position,
) -> None:
    """Rebuild the state of a partition at a position, and log the progress.

    Raises:
        RecordsError: our own code has failed on records.
    """
    if position.low == position.next:
        return
    metrics = resources.metrics
    metrics.recoveries.inc()
    remaining = metrics.recovery_remaining.labels(str(partition.partition))
    started_s = said_s = time.monotonic()

    def report(read: int, left: int) -> None:
        nonlocal said_s
        metrics.recovery_records.inc(read)
        remaining.set(left)
        if time.monotonic() - said_s > REPORT_S:
            said_s = time.monotonic()
            log.info("recovering", partition=_name(partition), records_left=left)

    async def read_events(start_ms: Mapping[str, int], most: int) -> Sequence[PublishedEvent]:
        return await read_last_events(
            resources.settings, partition.partition, start_ms, most, resources.decode_event
        )

    records = position.next - position.low
    remaining.set(records)
    missing = await recover(source, state, position, resources.cpu, report, read_events)
    if missing:
        log.info(
            "the last event of some devices is not there; their labels start without a memory",
            partition=_name(partition),
            devices=missing,
        )
    seconds = round(time.monotonic() - started_s, 3)
    log.info("recovered", partition=_name(partition), records=records, seconds=seconds)


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}[{partition.partition}]"
