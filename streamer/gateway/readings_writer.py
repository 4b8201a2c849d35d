"""Writes readings to Kafka, and says when Kafka has them.

What arrives while a batch of its partition is on its way goes together with the next one. So the
batches grow with the load, and no timer delays a reading that comes alone. A partition has one
batch on its way at most, which keeps the readings of a device in order.

It is one long module because a reading moves between the queue, the batch on its way and the client
that waits, and each move must leave the count of buffered bytes right.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)
from aiokafka.errors import KafkaError as AIOKafkaError

from streamer.errors import KafkaError
from streamer.gateway.reading_queue import (
    Busy,
    Headers,
    PartitionQueue,
    RecordTooLarge,
    WaitingReading,
    partition_of,
)
from streamer.kafka.client import client_options, connect
from streamer.settings import GatewaySettings

log = structlog.get_logger(__name__)

_BATCH_BYTES: Final = 512 * 1024
_REQUEST_BYTES: Final = 16 * 1024 * 1024
_RECORD_OVERHEAD_BYTES: Final = 1024
"""Largest size of a record besides its value: key, headers, and those of its batch."""

_FORBIDDEN: Final = (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)
"""What a broker says to a user who may not write."""

_LOOK_S: Final = 0.25
"""Time between two looks for readings that have waited too long."""

_RETRY_S: Final = 1.0
"""Time until a producer that has failed is replaced."""

LONGEST_RETRY_S: Final = 5
"""What clients are told at most to wait before they try again."""


class ReadingsWriter:
    """Writes to the topic of readings with an idempotent producer and ``acks=all``.

    It is an asynchronous context manager: at its end it waits for what is on its way. It can be
    entered before Kafka answers.
    """

    def __init__(self, settings: GatewaySettings, prepare: Callable[[], Awaitable[int]]) -> None:
        """Make a writer.

        Args:
            settings: where Kafka is, how much may wait for it and for how long.
            prepare: is awaited before the first connection; returns the size of the largest record
                that the topic takes.
        """
        self._settings = settings
        self._prepare = prepare
        self._partitions: list[PartitionQueue] = []
        self._buffered = 0
        self._largest_value = 0
        self._is_late = False
        """Whether Kafka has kept a reading waiting for too long, and has not answered since."""
        self._relief = asyncio.Event()
        """Is set for a moment whenever there may be room again."""
        self._arrived = asyncio.Event()
        self._broken = asyncio.Event()
        self._forbidden: BaseException | None = None
        """What Kafka says if this user may not write."""
        self._connected = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def buffered_bytes(self) -> int:
        """Return the size of the readings that wait for Kafka."""
        return self._buffered

    @property
    def waiting_s(self) -> float:
        """Return how long the oldest reading has waited for Kafka; 0 if none waits."""
        since = [s for each in self._partitions if (s := each.oldest_s()) is not None]
        return time.monotonic() - min(since) if since else 0.0

    @property
    def trouble(self) -> str | None:
        """Return why readings cannot be taken now; None if they can."""
        if not self._partitions:
            return "Kafka has not answered yet"
        if self._is_late:
            return f"Kafka has not acknowledged anything for {self.waiting_s:.0f} s"
        if self._buffered >= self._settings.gateway_buffer_bytes:
            return "the buffer of readings that wait for Kafka is full"
        return None

    async def write(self, device_id: str, value: bytes, headers: Headers = ()) -> None:
        """Write a reading; return when Kafka has acknowledged it.

        Raises:
            Busy: it was not acknowledged in time, or there is no room for it. It may be in the
                topic nevertheless: the client sends it again, and the worker drops the duplicate.
            RecordTooLarge: Kafka does not take a record of this size.
        """
        self.require_room([len(value)])
        await self.submit(device_id, value, headers)

    def require_room(self, sizes: Sequence[int]) -> None:
        """Make sure that readings with values of these sizes can be queued, all of them.

        Raises:
            Busy: there is no room for them now.
            RecordTooLarge: Kafka does not take one of them.
        """
        if reason := self.trouble:
            raise Busy(reason, LONGEST_RETRY_S if self._is_late else 1)
        for number, size in enumerate(sizes):
            if size > self._largest_value:
                raise RecordTooLarge(
                    f"reading {number} has {size} bytes; Kafka takes {self._largest_value}:"
                    " send fewer samples in a reading"
                )

    async def wait_room(self) -> None:
        """Wait until readings can be queued, for as long as a reading may wait for Kafka."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.gateway_ack_timeout_s):
                while self.trouble:
                    await self._relief.wait()

    def submit(self, device_id: str, value: bytes, headers: Headers = ()) -> asyncio.Future[None]:
        """Queue a reading, in the order of the calls; return a future of its acknowledgement.

        The future raises as `write`. `require_room` has been called.
        """
        waiting = WaitingReading(
            device_id.encode(),
            value,
            headers,
            asyncio.get_running_loop().create_future(),
            time.monotonic(),
        )
        number = partition_of(waiting.key, len(self._partitions))
        self._partitions[number].waiting.append(waiting)
        self._buffered += waiting.size
        self._arrived.set()
        return waiting.done

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._run(), name="write readings"),
            asyncio.create_task(self._give_up_old_ones(), name="time out readings"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.gateway_ack_timeout_s):
                await self.flush()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def flush(self) -> None:
        """Wait until nothing waits for Kafka."""
        while futures := [
            each.done for part in self._partitions for each in (*part.sent, *part.waiting)
        ]:
            await asyncio.wait(futures)
            await asyncio.sleep(0)

    async def wait_connected(self) -> None:
        """Wait until Kafka has answered for the first time."""
        await self._connected.wait()

    async def run_until_failure(self) -> None:
        """Wait for an error that an operator must mend.

        Raises:
            KafkaError: a broker refuses the login, the topic, or what is written.
        """
        await asyncio.shield(self._tasks[0])

    async def _run(self) -> None:
        """Write with one producer after the other: one that has failed cannot go on."""
        self._largest_value = await self._prepare() - _RECORD_OVERHEAD_BYTES
        while True:
            self._broken.clear()
            try:
                async with connect(self._make_producer) as producer:
                    await self._write_with(producer)
            except AIOKafkaError as error:
                log.warning("cannot write readings, trying again", error=repr(error))
                self._note_forbidden(error)
            self._fail_sent()
            if self._forbidden is not None:
                topic = self._settings.readings_topic
                raise KafkaError(
                    f"Kafka at {self._settings.bootstrap_servers} does not allow this user to "
                    f"write readings: it needs Write on {topic}, and before Kafka 2.8 "
                    f"IdempotentWrite on the cluster ({self._forbidden!r})"
                )
            await asyncio.sleep(_RETRY_S)

    def _make_producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(self._settings),
            acks="all",
            enable_idempotence=True,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_REQUEST_BYTES,
        )

    async def _write_with(self, producer: AIOKafkaProducer) -> None:
        """Send what arrives, until a batch fails."""
        topic = self._settings.readings_topic
        self._arrived.set()
        while not self._broken.is_set():
            self._set_partitions(len(await producer.partitions_for(topic)))
            self._arrived.clear()
            for number, part in enumerate(self._partitions):
                if part.waiting and not part.sent:
                    await self._send(producer, topic, number, part)
            await self._arrived.wait()

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, number: int, part: PartitionQueue
    ) -> None:
        batch = producer.create_batch()
        now_ms = int(time.time() * 1000)
        while part.waiting:
            each = part.waiting[0]
            if each.done.done():  # its client has gone
                self._buffered -= part.waiting.popleft().size
                continue
            if (
                batch.append(
                    timestamp=now_ms, key=each.key, value=each.value, headers=list(each.headers)
                )
                is None
            ):
                break
            part.sent.append(part.waiting.popleft())
        batch.close()
        if not part.sent:
            return
        try:
            sent = await producer.send_batch(batch, topic, partition=number)
        except AIOKafkaError as error:
            self._finish(part, error)
        else:
            sent.add_done_callback(lambda done: self._finish(part, done.exception()))

    def _finish(self, part: PartitionQueue, error: BaseException | None) -> None:
        """Tell those who wait for a batch what became of it."""
        sent, part.sent = part.sent, []
        if error is not None and sent:
            log.warning("Kafka has not taken readings", readings=len(sent), error=repr(error))
            self._broken.set()
            self._note_forbidden(error)
        for each in sent:
            self._buffered -= each.size
            if error is None:
                if not each.done.done():
                    each.done.set_result(None)
            elif isinstance(error, MessageSizeTooLargeError) and len(sent) == 1:
                _refuse(each.done, RecordTooLarge("Kafka does not take a record of this size"))
            else:
                _refuse(each.done, Busy("Kafka has not taken the reading", 1))
        self._is_late &= error is not None
        self._tell_relief()
        self._arrived.set()

    def _note_forbidden(self, error: BaseException) -> None:
        if isinstance(error, _FORBIDDEN):
            self._forbidden = error

    def _tell_relief(self) -> None:
        self._relief.set()
        self._relief.clear()

    def _fail_sent(self) -> None:
        """Tell those who wait for a producer that has gone to try again."""
        for part in self._partitions:
            self._finish(part, AIOKafkaError("the producer was replaced"))

    def _set_partitions(self, count: int) -> None:
        """Take over the number of partitions; a topic that is made again may have fewer."""
        self._connected.set()
        self._tell_relief()
        if count == len(self._partitions):
            return
        waiting = [each for part in self._partitions for each in part.waiting]
        for part in self._partitions:
            part.waiting.clear()
        while len(self._partitions) > count and not self._partitions[-1].sent:
            self._partitions.pop()
        self._partitions += [PartitionQueue() for _ in range(count - len(self._partitions))]
        for each in waiting:
            number = partition_of(each.key, len(self._partitions))
            self._partitions[number].waiting.append(each)

    async def _give_up_old_ones(self) -> None:
        """Tell clients to try again when their readings have waited too long."""
        while True:
            await asyncio.sleep(_LOOK_S)
            before_s = time.monotonic() - self._settings.gateway_ack_timeout_s
            for part in self._partitions:
                while part.waiting and part.waiting[0].since_s < before_s:
                    each = part.waiting.popleft()
                    self._buffered -= each.size
                    _refuse(each.done, _too_late())
                if part.sent and part.sent[0].since_s < before_s:
                    self._is_late = True
                    for each in part.sent:
                        _refuse(each.done, _too_late())


def _too_late() -> Busy:
    return Busy("Kafka has not acknowledged the reading in time", LONGEST_RETRY_S)


def _refuse(done: asyncio.Future[None], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
        done.exception()  # It is no fault if nobody waits any more.
