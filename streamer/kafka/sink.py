"""Publishes a partition's output: events, dead letters and the position in one transaction."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import RecordMetadata

from streamer.contracts.dead_letters import make_dead_letter_headers
from streamer.contracts.segments import SEGMENT_HEADER, encode_current, encode_segment
from streamer.flow.stage_results import Output
from streamer.kafka.client import client_options, connect, transactional_id
from streamer.kafka.event_formats import EncodeEvent
from streamer.kafka.fatal import REFUSALS, RefusedOutputError
from streamer.kafka.lag import PartitionLag
from streamer.kafka.positions import offset_to_commit
from streamer.kafka.transaction import name_refusals, transaction
from streamer.metrics import Metrics
from streamer.settings import Settings
from streamer.stream.position import Position

if TYPE_CHECKING:
    from streamer.kafka.window_writer import WindowWriter

IDLE_COMMIT_S = 5.0
"""How often a position is committed that moves without any output."""

# The broker refuses a transaction that begins right after the commit of the one before; aiokafka
# tries again after this time, 100 ms by default.
_RETRY_BACKOFF_MS = 10


class OutgoingRecord(NamedTuple):
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class PartitionSink:
    """Publishes the output of one partition, with the delivery that the settings name."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        partition: TopicPartition,
        producer: AIOKafkaProducer,
        consumer: AIOKafkaConsumer,
        lag: PartitionLag,
        encode: EncodeEvent,
    ) -> None:
        self._settings = settings
        self._encode = encode
        self._lag = lag
        self._metrics = metrics
        self._partition = partition
        self._producer = producer
        self._consumer = consumer
        self._committed_s = 0.0
        self._position: Position | None = None
        self._windows: WindowWriter | None = None
        self.committed: Position | None = None
        self.interval_s = settings.commit_interval_ms / 1000

    def store_windows(self, windows: "WindowWriter", position: Position) -> None:
        """Store the windows of outputs from now on; the partition is at this position."""
        self._windows = windows
        self._position = self.committed = position

    async def commit(self, outputs: Sequence[Output]) -> None:
        """Publish outputs, and with them the position of the last one.

        A position that moves without output may be committed later: a worker that starts at an
        earlier position computes the same, and publishes nothing either.
        """
        self._position = outputs[-1].position
        if self._windows is not None:
            self._windows.add(outputs)
        silent = not any(
            output.events or output.segments.closed or output.dead_letters for output in outputs
        )
        if not silent or time.monotonic() - self._committed_s > IDLE_COMMIT_S:
            await self._publish(outputs)
        else:
            self._trace(outputs, math.nan)
        group_offset = self.committed or self._position
        self._lag.settle(self._position.next, group_offset.low)
        if self._windows is not None:
            await self._windows.wait_for_room()

    async def finish(self) -> None:
        """Commit a position that was not committed yet because nothing was published."""
        if self._windows is not None:
            await self._windows.finish()
        if self._committable() != self.committed:
            await self._publish([])

    def _committable(self) -> Position | None:
        if self._position is None or self._windows is None:
            return self._position
        return self._windows.committable(self._position)

    async def _publish(self, outputs: Sequence[Output]) -> None:
        position = self._committable()
        assert position is not None
        offsets = {self._partition: offset_to_commit(position)}
        with self._metrics.stage("commit"):
            if self._settings.delivery == "exactly-once":
                async with transaction(self._producer):
                    await self._send(outputs)
                    await self._producer.send_offsets_to_transaction(
                        offsets, self._settings.group_id
                    )
            else:
                await self._send(outputs)
                await self._consumer.commit(offsets)
        self.committed = position
        self._committed_s = time.monotonic()
        self._account(outputs)

    async def _send(self, outputs: Sequence[Output]) -> None:
        """Write everything and wait until the broker has it."""
        topic, partition = self._partition
        settings = self._settings
        events = (
            OutgoingRecord(
                event.device_id.encode(), self._encode(event), [(SEGMENT_HEADER, segment)]
            )
            for output in outputs
            for event, segment in zip(output.events, output.segments.headers, strict=True)
        )
        closed = (
            OutgoingRecord(segment.device_id.encode(), encode_segment(segment), [])
            for output in outputs
            for segment in output.segments.closed
        )
        current = (
            OutgoingRecord(device_id.encode(), encode_current(activity), [])
            for output in outputs
            for device_id, activity in output.segments.current
        )
        letters = (
            OutgoingRecord(
                letter.record.key,
                letter.record.value,
                make_dead_letter_headers(
                    letter.record, topic, partition, letter.reason, letter.detail
                ),
            )
            for output in outputs
            for letter in output.dead_letters
        )
        sent: dict[asyncio.Future[RecordMetadata], str] = {}
        try:
            async with name_refusals(sent):
                await self._enqueue(settings.events_topic, events, sent)
                if settings.segments_topic:
                    await self._enqueue(settings.segments_topic, closed, sent)
                if settings.current_topic:
                    await self._enqueue(settings.current_topic, current, sent)
                await self._enqueue(settings.dlq_topic, letters, sent)
            await asyncio.gather(*sent)
        except REFUSALS as refusal:
            for future, topic in sent.items():
                if future.done() and not future.cancelled() and future.exception() is refusal:
                    raise RefusedOutputError(topic, refusal) from refusal
            raise

    async def _enqueue(
        self,
        topic: str,
        messages: Iterable[OutgoingRecord],
        sent: "dict[asyncio.Future[RecordMetadata], str]",
    ) -> None:
        """Pack records into batches: sending them one by one takes ten times as long.

        The topic of each batch is added to ``sent``.
        """
        producer, now_ms = self._producer, int(time.time() * 1000)
        batch = producer.create_batch()
        for key, value, headers in messages:
            while batch.append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
                future = await producer.send_batch(batch, topic, partition=self._partition[1])
                sent[future] = topic
                batch = producer.create_batch()
        if batch.record_count():
            future = await producer.send_batch(batch, topic, partition=self._partition[1])
            sent[future] = topic

    def _account(self, outputs: Sequence[Output]) -> None:
        now_s = time.time()
        self._metrics.count_commit()
        for output in outputs:
            self._metrics.count_events(output.events)
            self._metrics.segments.inc(len(output.segments.closed))
            self._metrics.dead_letters.inc(len(output.dead_letters))
            if output.events:
                self._metrics.event_latency.observe(max(0.0, now_s - output.oldest_ms / 1000))
                output.delays.observe(self._metrics, now_s, len(output.events))
        self._trace(outputs, now_s)

    def _trace(self, outputs: Sequence[Output], committed_s: float) -> None:
        """Record the spans of fetches, if somebody records traces."""
        tracer = self._metrics.tracer
        if tracer is None:
            return
        from streamer.fetch_traces import FetchTimes  # noqa: PLC0415 - only for traces

        topic, partition = self._partition
        done_s = time.time() if math.isnan(committed_s) else committed_s
        for output in outputs:
            delays = output.delays
            times = (delays.received_s, delays.computed_s, delays.answered_s, committed_s)
            if delays.trace is not None:
                fetch = FetchTimes(*times, done_s)
                tracer.record(topic, partition, delays.trace, fetch, len(output.events))


@asynccontextmanager
async def open_sink(
    settings: Settings,
    metrics: Metrics,
    partition: TopicPartition,
    consumer: AIOKafkaConsumer,
    lag: PartitionLag,
    encode: EncodeEvent,
) -> AsyncIterator[PartitionSink]:
    """Take over the output of a partition.

    With exactly-once each partition has its own transactional id. Starting its producer fences the
    previous owner and completes the transaction that the previous owner has left open. The position
    must therefore be read afterwards.
    """
    exactly_once = settings.delivery == "exactly-once"
    name = transactional_id(settings, partition)

    def producer() -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(settings),
            transactional_id=name if exactly_once else None,
            enable_idempotence=True,
            compression_type="zstd",
            retry_backoff_ms=_RETRY_BACKOFF_MS,
            max_batch_size=512 * 1024,
        )

    async with connect(producer) as started:
        yield PartitionSink(settings, metrics, partition, started, consumer, lag, encode)
