"""Where a partition's records come from: one consumer, many partitions, each at its own pace."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, TopicPartition

from streamer.contracts.records import Records
from streamer.kafka.batches import as_records
from streamer.kafka.lag import PartitionLag
from streamer.metrics import Metrics

FETCH_TIMEOUT_MS = 500
"""How long a fetch waits for records before it looks at the position again."""


class PartitionSource:
    """Fetches one partition until told to stop, or until its end.

    A fetch is what a consumer of whole batches has: at most what the broker sends of a partition
    at a time.
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
        self.stopping = asyncio.Event()
        """Set when it is told to stop."""
        self.next = 0
        """The record that the next fetch begins with."""
        self.exhausted = False
        self.behind = False
        self.waiting_since: float | None = None
        """Since when the consumer has been asked for records and has given none."""

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self.stopping.is_set()

    def seek(self, offset: int) -> None:
        """Go on from this record."""
        self._consumer.seek(self._partition, offset)
        self.next = offset
        self.waiting_since = None

    def stop(self) -> None:
        """Let there be no further fetch."""
        self.stopping.set()

    async def fetch(self) -> Records | None:
        """The next records, at least one; None at the end."""
        while not self.stopped:
            if self._until is not None and self.next >= self._until:
                self.exhausted = True
                return None
            if len(records := await self.fetch_some()):
                return records
        return None

    async def fetch_some(self) -> Records:
        """The next records, none when there are none for a while or it was told to stop."""
        fetch = asyncio.ensure_future(
            self._consumer.getmany(self._partition, timeout_ms=FETCH_TIMEOUT_MS)
        )
        stopping = asyncio.ensure_future(self.stopping.wait())
        self.waiting_since = self.waiting_since or time.monotonic()
        try:
            # In a rebalance the fetch would wait for its end, and the rebalance for us.
            await asyncio.wait({fetch, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # A fetch left behind would take the records that the next one is for.
            stopping.cancel()
            finished = fetch.done() or not fetch.cancel()
        if not finished:
            return Records.of([])
        fetched = as_records((await fetch).get(self._partition, []))
        # What the consumer fetched before it was told where to go is not ours.
        records = fetched.since(self.next)
        if len(records):
            self.next = int(records.offset[-1]) + 1
            self.waiting_since = None
        # Transaction markers move the position and are no records.
        self.next = max(self.next, await self._consumer.position(self._partition))
        self._observe(records)
        return records

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
