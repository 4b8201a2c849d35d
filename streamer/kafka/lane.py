"""One partition in the hands of one worker: taken over, built again from the log, run, given up."""

import asyncio
import contextlib
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streamer.errors import ProcessingError, StreamerError
from streamer.flow.device_places import DevicePlaces
from streamer.flow.pipeline import flow
from streamer.flow.recovery import recover
from streamer.flow.rejects import RejectLimit
from streamer.flow.stages import Stages
from streamer.kafka.client import flatten_causes, is_kafka_error
from streamer.kafka.lag import PartitionLag
from streamer.kafka.last_events import read_last_events
from streamer.kafka.positions import read_position
from streamer.kafka.sink import PartitionSink, open_sink
from streamer.kafka.source import PartitionSource
from streamer.labels.beliefs import find_last_beliefs
from streamer.labels.label_policy import LabelPolicy
from streamer.metrics import Metrics
from streamer.predict.answers import Ask
from streamer.settings import Settings
from streamer.stream.position import Position

log = structlog.get_logger(__name__)

ATTEMPTS = 3
"""How often records are tried that our own code breaks on."""

RETRY_S = 1.0
"""Pause before the second attempt; later ones are longer."""

REPORT_S = 5.0
"""How often a recovery says how far it is."""


@dataclass(frozen=True, slots=True)
class LaneResources:
    """What all lanes of a worker share."""

    settings: Settings
    metrics: Metrics
    ask: Ask
    limit: RejectLimit
    consumer: AIOKafkaConsumer
    admin: AIOKafkaAdminClient
    cpu: Executor
    places: DevicePlaces


class Lane:
    """Runs a partition from assignment to revocation."""

    def __init__(
        self,
        resources: LaneResources,
        partition: TopicPartition,
        until: int | None,
        kept: Stages | None,
    ) -> None:
        self._resources = resources
        self._partition = partition
        self._until_end = until is not None
        self._kept = kept
        self._position: Position | None = None
        self.lag = PartitionLag()
        self.source = PartitionSource(
            resources.metrics, resources.consumer, partition, until, self.lag
        )
        self.ready = False
        self.broken: str | None = None
        """Why nothing goes on here, though the partition is still ours."""
        self.stages: Stages | None = None
        """The partition's memory, for whoever goes on from where this lane has stopped."""

    def stop(self) -> None:
        """Finish what was fetched, then end."""
        self.source.stop()

    async def run(self) -> None:
        """Run the partition until it ends.

        What breaks in our own code is tried again from the committed position, which may have
        been bad luck. What breaks again stops the partition there: skipping would lose data.

        Raises:
            KafkaError: there is trouble with Kafka; aiokafka's or ours.
            StreamerError: something must be put right first.
        """
        failures, reached = 0, -1
        while not self.source.stopped:
            try:
                await self._run()
            except Exception as error:
                ours = [
                    cause for cause in flatten_causes(error) if isinstance(cause, StreamerError)
                ]
                if ours:
                    raise ours[0] from None
                if is_kafka_error(error):
                    raise
                at = self._position.next if self._position else -1
                failures, reached = (failures + 1, at) if at == reached else (1, at)
                await self._failed(error, failures)
            else:
                return

    async def _failed(self, error: Exception, failures: int) -> None:
        """Wait before the next attempt; after the last one, for the end."""
        self.ready = False
        reason = repr(flatten_causes(error)[0])
        problem = f"no record of {_name(self._partition)} from {self._reached()} on: {reason}"
        log.error("something broke", unprocessed=problem, attempt=failures, exc_info=error)
        if failures < ATTEMPTS:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.source.stopping.wait(), failures * RETRY_S)
            return
        problem += (
            f". Tried {ATTEMPTS} times; nothing is skipped. Put the cause right and start again"
        )
        if self._until_end:
            raise ProcessingError(problem)
        self.broken = problem
        log.error("partition stopped", problem=problem)
        await self.source.stopping.wait()

    def _reached(self) -> str:
        return "the committed position" if self._position is None else str(self._position.next)

    async def _run(self) -> None:
        """Take the partition over, and run it."""
        resources = self._resources
        kept, self._kept = self._kept, None
        async with open_sink(
            resources.settings, resources.metrics, self._partition, resources.consumer, self.lag
        ) as sink:
            self._position = position = await self._committed()
            self.lag.start_at(position.next, position.low)
            if kept is not None and kept.position == position:
                stages = kept
            else:
                stages = Stages(
                    resources.settings,
                    resources.metrics,
                    position,
                    resources.limit,
                    see_devices=partial(resources.places.see, self._partition.partition),
                )
                await self._recover(stages, position)
            if not self.source.stopped:
                self.source.seek(position.next)
                await self._flow(stages, sink)

    async def _flow(self, stages: Stages, sink: PartitionSink) -> None:
        resources = self._resources
        stages.take_over()
        self.ready = True
        try:
            await flow(self.source, stages, resources.ask, sink, resources.metrics, resources.cpu)
            self.stages = stages
        finally:
            self._position = sink.committed or self._position
            stages.hand_over()

    async def _committed(self) -> Position:
        """Where to go on: the group's position, or the oldest record that is still there."""
        resources, partition = self._resources, self._partition
        begin = (await resources.consumer.beginning_offsets([partition]))[partition]
        position = await read_position(resources.admin, resources.settings.group_id, partition)
        if position is None:
            return Position(begin, begin)
        if position.low >= begin:
            return position
        log.error(
            "records that open windows depend on are gone: windows lack context for a while; "
            "give the topic a longer retention",
            partition=_name(partition),
            needed=position.low,
            oldest=begin,
            lost=max(0, begin - position.next),
        )
        return Position(begin, max(begin, position.next), position.clock_us)

    async def _recover(self, stages: Stages, position: Position) -> None:
        """Read again what is published already but still matters, and say so."""
        if position.low == position.next:
            return
        metrics, name = self._resources.metrics, _name(self._partition)
        metrics.recoveries.inc()
        remaining = metrics.recovery_remaining.labels(str(self._partition.partition))
        started_s = said_s = time.monotonic()

        def report(read: int, left: int) -> None:
            nonlocal said_s
            metrics.recovery_records.inc(read)
            remaining.set(left)
            if time.monotonic() - said_s > REPORT_S:
                said_s = time.monotonic()
                log.info("recovering", partition=name, records_left=left)

        records = position.next - position.low
        remaining.set(records)
        await recover(self.source, stages, position, self._resources.cpu, report)
        await self._restore_labels(stages)
        seconds = round(time.monotonic() - started_s, 3)
        log.info("recovered", partition=name, records=records, seconds=seconds)

    async def _restore_labels(self, stages: Stages) -> None:
        """Read what was published last of the devices that are there: labels go on from it."""
        if not LabelPolicy.of(self._resources.settings).needs_memory or self.source.stopped:
            return
        rebuilt = stages.rebuilt
        events = await read_last_events(
            self._resources.settings,
            self._partition.partition,
            rebuilt.last_ms,
            rebuilt.most_events(self._resources.settings.rules.lateness_us),
        )
        stages.labels.restore(find_last_beliefs(events, rebuilt.last_ms))
        if missing := len(rebuilt.last_ms) - len(events):
            log.info(
                "devices whose last event is not there start afresh",
                partition=_name(self._partition),
                devices=missing,
            )


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}[{partition.partition}]"
