"""One partition in the hands of one worker: taken over, built again from the log, run, given up."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streamer.kafka.positions import committed
from streamer.kafka.sink import open_sink
from streamer.kafka.source import PartitionSource
from streamer.metrics import Metrics
from streamer.pipeline import Stages, flow
from streamer.predict.protocol import Predictor
from streamer.settings import Settings
from streamer.stream.position import Position

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What all lanes of a worker share."""

    settings: Settings
    metrics: Metrics
    predictor: Predictor
    consumer: AIOKafkaConsumer
    admin: AIOKafkaAdminClient
    cpu: Executor


class Lane:
    """Runs a partition from assignment to revocation."""

    def __init__(
        self, tools: Tools, partition: TopicPartition, until: int | None, kept: Stages | None
    ) -> None:
        self._tools = tools
        self._partition = partition
        self.source = PartitionSource(tools.metrics, tools.consumer, partition, until)
        self._kept = kept
        self.ready = False
        self.stages: Stages | None = None
        """The partition's memory, for whoever goes on from where this lane has stopped."""

    def stop(self) -> None:
        """Finish what was fetched, then end."""
        self.source.stop()

    async def run(self) -> None:
        """Take the partition over, and run it until it ends."""
        tools = self._tools
        async with open_sink(
            tools.settings, tools.metrics, self._partition, tools.consumer
        ) as sink:
            position = await self._position()
            if self._kept is not None and self._kept.position == position:
                stages = self._kept
            else:
                stages = Stages(tools.settings, tools.metrics, position)
                await self._recover(stages, position)
            if self.source.stopped:
                return
            self.source.seek(position.next)
            stages.take_over()
            self.ready = True
            try:
                await flow(self.source, stages, tools.predictor, sink, tools.metrics, tools.cpu)
                self.stages = stages
            finally:
                stages.hand_over()

    async def _position(self) -> Position:
        """Where to go on: the group's position, or the oldest record that is still there."""
        tools, partition = self._tools, self._partition
        begin = (await tools.consumer.beginning_offsets([partition]))[partition]
        position = await committed(tools.admin, tools.settings.group_id, partition)
        if position is None:
            return Position(begin, begin)
        if position.low >= begin:
            return position
        log.error(
            "records that open windows depend on are gone: windows lack context for a while; "
            "give the topic a longer retention",
            topic=partition.topic,
            partition=partition.partition,
            needed=position.low,
            oldest=begin,
            lost=max(0, begin - position.next),
        )
        return Position(begin, max(begin, position.next), position.clock_us)

    async def _recover(self, stages: Stages, position: Position) -> None:
        """Read again what is published already but still matters."""
        if position.low == position.next:
            return
        tools, source = self._tools, self.source
        loop = asyncio.get_running_loop()
        remaining = tools.metrics.recovery_remaining.labels(str(self._partition.partition))
        started_s = loop.time()
        tools.metrics.recoveries.inc()
        start = position.low
        for end in sorted({*position.flushed, position.next}):
            # What lies beyond the end of the output is fetched again later.
            source.seek(start)
            while source.next < end and not source.stopped:
                remaining.set(position.next - source.next)
                records = [r for r in await source.fetch_some() if r.offset < end]
                if records:
                    tools.metrics.recovery_records.inc(len(records))
                    await loop.run_in_executor(tools.cpu, stages.replay, records)
            if end in position.flushed:
                stages.replay_flush()
            start = end
        remaining.set(0)
        log.info(
            "recovered",
            topic=self._partition.topic,
            partition=self._partition.partition,
            records=position.next - position.low,
            seconds=round(loop.time() - started_s, 3),
        )
