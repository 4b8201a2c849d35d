"""Fetches one partition's records from the consumer that all partitions of a worker share."""

import asyncio
import time
from collections.abc import Collection, Iterator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from streamer.contracts.records import Records
from streamer.kafka.aiokafka_internals import WholeBatch
from streamer.kafka.lag import PartitionLag
from streamer.kafka.record_batches import DamagedBatchError, unpack
from streamer.metrics import Metrics

FETCH_TIMEOUT_MS = 500
"""How long a fetch waits for records before it looks at the position again."""

_NOTHING = Records.of([])


class PartitionSource:
    """Fetches the records of one partition, until it is told to stop or until the end.

    A fetch returns what the consumer holds of the partition, or a part of it if that is large.

    Attributes:
        stopping: set when the source was told to stop.
        next: the record that the next fetch begins with.
        exhausted: whether everything before the end was fetched.
        behind: whether there was more to fetch at the last fetch.
        overtaken: whether the next records were deleted before they could be fetched.
        damage: says which of the next records cannot be read; None if they can.
        skipped: the last records of damaged batches that are passed over.
        waiting_since: monotonic time since when the consumer has given no records although it was
            asked for some; None if it has.
    """

    def __init__(
        self,
        metrics: Metrics,
        consumer: AIOKafkaConsumer,
        partition: TopicPartition,
        until: int | None,
        lag: PartitionLag,
    ) -> None:
        self._metrics = metrics
        self._lag = lag
        self._consumer = consumer
        self._partition = partition
        self._until = until
        self._parts: Iterator[Records] = iter(())
        self._part: Records | None = None
        self._fetched_to = 0
        self._damage_ahead: DamagedBatchError | None = None
        self._narrow = (0, -1, 1)
        self.stopping = asyncio.Event()
        self.next = 0
        self.exhausted = False
        self.behind = False
        self.overtaken = False
        self.damage: DamagedBatchError | None = None
        self.skipped: Collection[int] = ()
        self.waiting_since: float | None = None

    @property
    def cut_off(self) -> bool:
        """Whether the next records cannot be read: they were deleted, or are damaged."""
        return self.overtaken or self.damage is not None

    @property
    def stopped(self) -> bool:
        """Whether there will be no more records: it was told to stop, or is cut off."""
        return self.stopping.is_set() or self.cut_off

    def begin_anew(self) -> None:
        """Forget what has cut it off."""
        self.overtaken, self.damage = False, None

    def seek(self, offset: int) -> None:
        """Continue with this record."""
        self._consumer.seek(self._partition, offset)
        self._parts, self._part, self._damage_ahead = iter(()), None, None
        self.next = offset
        self.waiting_since = None

    def narrow(self, first: int, last: int, size: int) -> None:
        """Return at most ``size`` of these records in a fetch, to find the one at fault."""
        self._narrow = (first, last, size)

    def stop(self) -> None:
        """Fetch no more."""
        self.stopping.set()

    async def fetch(self) -> Records | None:
        """Return the next records before the end, at least one; None at the end."""
        while not self.stopped:
            if self._until is not None and self.next >= self._until:
                self.exhausted = True
                return None
            records = await self.fetch_some()
            if self._until is not None:
                records = records.before(self._until)
                self.next = min(self.next, self._until)
            if len(records):
                return records
        return None

    async def fetch_some(self) -> Records:
        """Return the next records; none if none came for a while or the source was stopped."""
        if self._damage_ahead is not None:
            self.damage = self._damage_ahead
            return _NOTHING
        if self._part is None:
            batches = await self._fetch_batches()
            if batches is None:
                return _NOTHING
            self._parts = unpack(batches, self.skipped)
            self._part = self._next_part() or _NOTHING
        # The consumer may have fetched records before it was told where to continue.
        whole = self._part.since(self.next)
        records = self._narrowed(whole)
        self._part = whole if len(records) < len(whole) else self._next_part()
        if len(records):
            self.next = int(records.offset[-1]) + 1
            self.waiting_since = None
        if self._part is None and self._damage_ahead is None:
            # Transaction markers move the position, but they are no records.
            self.next = max(self.next, self._fetched_to)
        self._observe(records)
        return records

    def _next_part(self) -> Records | None:
        """Return the next part of the last fetch; None at its end or at a damaged batch."""
        try:
            return next(self._parts, None)
        except DamagedBatchError as damage:
            self._damage_ahead = damage
            return None

    def _narrowed(self, records: Records) -> Records:
        first, last, size = self._narrow
        if not len(records) or records.offset[0] > last:
            return records
        return records.before(first) if records.offset[0] < first else records[:size]

    async def _fetch_batches(self) -> list[WholeBatch] | None:
        """Return what the consumer has fetched; None if the source was stopped or overtaken."""
        fetch = asyncio.ensure_future(
            self._consumer.getmany(self._partition, timeout_ms=FETCH_TIMEOUT_MS)
        )
        stopping = asyncio.ensure_future(self.stopping.wait())
        self.waiting_since = self.waiting_since or time.monotonic()
        try:
            # In a rebalance the fetch waits for its end, and the rebalance waits for this lane.
            await asyncio.wait({fetch, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # A fetch that goes on would take the records of the next fetch.
            stopping.cancel()
            finished = fetch.done() or not fetch.cancel()
        if not finished:
            return None
        try:
            batches: list[WholeBatch] = (await fetch).get(self._partition, [])
        except OffsetOutOfRangeError:
            self.overtaken = True
            return None
        self._fetched_to = await self._consumer.position(self._partition)
        return batches

    def _observe(self, records: Records) -> None:
        end = self._consumer.highwater(self._partition) or 0
        self.behind = end > self.next
        if len(records):
            newest_ms = int(records.timestamp[-1])
            self._lag.fetch(int(records.offset[-1]) + 1, newest_ms)
            self._metrics.count_arrival(newest_ms / 1000)
        self._lag.move_to(self.next)
        if end:
            self._lag.end_at(end)
