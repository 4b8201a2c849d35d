"""Readings that wait for Kafka, by partition, and the answers that their clients get."""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from aiokafka.partitioner import DefaultPartitioner

Headers = Sequence[tuple[str, bytes | None]]

_OVERHEAD_BYTES: Final = 600
"""Memory of a reading that waits, besides its key and value."""


class Busy(Exception):  # noqa: N818 - it is an answer
    """A reading cannot be taken now; the client must send it again later.

    Attributes:
        retry_after_s: when.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RecordTooLarge(Exception):  # noqa: N818 - it is an answer
    """Kafka does not take a record of this size."""


class WaitingReading(NamedTuple):
    """A reading, and the future of its acknowledgement."""

    key: bytes
    value: bytes
    headers: Headers
    done: asyncio.Future[None]
    since_s: float

    @property
    def size(self) -> int:
        """Return its memory, in bytes."""
        return len(self.key) + len(self.value) + _OVERHEAD_BYTES


class PartitionQueue:
    """What waits for a partition, and what is on its way to it."""

    def __init__(self) -> None:
        self.waiting: deque[WaitingReading] = deque()
        self.sent: list[WaitingReading] = []
        """The batch on its way; empty if there is none."""

    def oldest_s(self) -> float | None:
        """Return since when the oldest reading waits."""
        oldest = self.sent or self.waiting
        return oldest[0].since_s if oldest else None


@lru_cache(maxsize=200_000)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key: murmur2, as Java's client computes it."""
    numbers = list(range(partitions))
    number: int = DefaultPartitioner()(key, numbers, numbers)
    return number
