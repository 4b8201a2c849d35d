"""Publishes the records of many devices in the order of time, at a chosen speed."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError as AIOKafkaError
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from streamer.contracts.records import Headers
from streamer.errors import KafkaError
from streamer.kafka.client import client_options, connect
from streamer.settings import Settings

PATIENCE_S = 10
_TURN_S = 0.02
_LONGEST_TURN_MS = 1000
"""Longest time of readings that are sent at once when publishing is late."""

_SHORTEST_MS = 1e-3
"""Smallest elapsed time. It is above 0, because an infinite speed times 0 is not a number."""

_BATCH_BYTES = 512 * 1024
_REQUEST_BYTES = 16 * 1024 * 1024


class DeviceRecord(NamedTuple):
    """A record to publish, and the number of samples that a reader gets out of it."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    samples: int


class DeviceSource(Protocol):
    """A source of records."""

    def until(self, time_ms: float) -> Sequence[DeviceRecord]:
        """Return the records that are complete at a time (ms since the epoch), each only once."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The time of the readings, and how fast it passes.

    It is never ahead of the clock: the worker would reject a reading from the future.

    Attributes:
        start_ms: of the first reading, since the epoch.
        end_ms: of the last reading; infinite if there is no end.
        speed: as a multiple of real time; infinite for as fast as the broker accepts records.
        begun_s: monotonic time at which it starts. It starts when devices and broker are ready, so
            that their preparation does not make readings late.
    """

    start_ms: float
    end_ms: float
    speed: float
    begun_s: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """Return the present time of the readings, milliseconds since the epoch."""
        elapsed_ms = max((time.monotonic() - self.begun_s) * 1000, _SHORTEST_MS)
        return min(self.start_ms + elapsed_ms * self.speed, time.time() * 1000, self.end_ms)


@dataclass(slots=True)
class Sent:
    """Counts of what was published."""

    records: int = 0
    samples: int = 0
    size: int = 0
    """Bytes of keys and values."""
    seconds: float = 0.0

    def add(self, messages: Sequence[DeviceRecord]) -> None:
        """Count messages."""
        self.records += len(messages)
        self.samples += sum(message.samples for message in messages)
        self.size += sum(len(m.key or b"") + len(m.value or b"") for m in messages)

    def __str__(self) -> str:
        rate = self.records / max(self.seconds, 0.001)
        return (
            f"{self.samples:,} samples in {self.records:,} records, {self.size / 1e6:,.1f} MB, "
            f"within {self.seconds:,.1f} s ({rate:,.0f} records/s)"
        )


async def publish(
    settings: Settings,
    devices: Sequence[DeviceSource],
    timeline: Timeline,
    stop: asyncio.Event,
    on_progress: Callable[[Sent], None] = lambda _: None,
) -> Sent:
    """Publish until the timeline ends or `stop` is set.

    Args:
        settings: where to.
        devices: the sources of records.
        timeline: the time of the readings.
        stop: set it to stop after the records that were already taken.
        on_progress: called after each turn with the counts so far.

    Returns:
        The counts; every record has been acknowledged.

    Raises:
        KafkaError: no broker answers, or it does not accept what is sent.
    """

    def make() -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(settings),
            acks="all",
            enable_idempotence=True,  # so that a retry keeps the order
            max_batch_size=_BATCH_BYTES,
            max_request_size=_REQUEST_BYTES,
        )

    sent = Sent()
    begun_s = time.monotonic()
    try:
        async with connect(make, PATIENCE_S) as producer:
            outbox = _Outbox(
                producer,
                settings.readings_topic,
                await producer.partitions_for(settings.readings_topic),
            )
            time_ms = timeline.start_ms
            while True:
                turn_s = time.monotonic()
                messages = [message for device in devices for message in device.until(time_ms)]
                await outbox.send(messages)
                sent.add(messages)
                sent.seconds = time.monotonic() - begun_s
                on_progress(sent)
                if time_ms >= timeline.end_ms:
                    break
                behind = timeline.now() - time_ms
                if await _set_within(stop, 0 if behind >= _LONGEST_TURN_MS else turn_s + _TURN_S):
                    break
                time_ms = min(timeline.now(), time_ms + _LONGEST_TURN_MS)
            await outbox.flush()
    except AIOKafkaError as error:
        too_large = isinstance(error, MessageSizeTooLargeError)
        hint = "put fewer samples into a record" if too_large else "is Kafka still running?"
        raise KafkaError(
            f"publishing to {settings.readings_topic} at {settings.bootstrap_servers} failed after "
            f"about {sent.records:,} records: {error!r}; {hint}"
        ) from error
    sent.seconds = time.monotonic() - begun_s
    return sent


@contextmanager
def until_interrupted() -> Iterator[asyncio.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets; a second Ctrl-C ends the program at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def interrupt() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    try:
        yield stop
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


async def _set_within(event: asyncio.Event, deadline_s: float) -> bool:
    """Wait for an event until a time of the monotonic clock; return whether it is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), max(0.0, deadline_s - time.monotonic()))
    return event.is_set()


class _Outbox:
    """Packs records into batches by partition: several times as fast as sending single records.

    A partition has at most one batch on its way and one that is being filled: memory is bounded,
    and the order is kept.
    """

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: set[int]) -> None:
        self._producer = producer
        self._topic = topic
        self._partitions = _Partitions(sorted(partitions))
        self._on_their_way: dict[int, asyncio.Future[Any]] = {}

    async def send(self, messages: Sequence[DeviceRecord]) -> None:
        batches: dict[int, Any] = {}
        for key, value, headers, _ in messages:
            partition = self._partitions[key]
            batch = batches.get(partition)
            if batch is None:
                batch = batches[partition] = self._producer.create_batch()
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                await self._submit(partition, batch)
                batch = batches[partition] = self._producer.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=headers)
        for partition, batch in batches.items():
            await self._submit(partition, batch)

    async def flush(self) -> None:
        await asyncio.gather(*self._on_their_way.values())

    async def _submit(self, partition: int, batch: Any) -> None:
        if previous := self._on_their_way.get(partition):
            await previous
        batch.close()
        self._on_their_way[partition] = await self._producer.send_batch(
            batch, self._topic, partition=partition
        )


class _Partitions(dict[bytes | None, int]):
    """The partition of each key; every key is hashed once."""

    def __init__(self, partitions: list[int]) -> None:
        super().__init__()
        self._all = partitions
        self._hash = DefaultPartitioner()

    def __missing__(self, key: bytes | None) -> int:
        self[key] = self._hash(key, self._all, self._all)
        return self[key]
