"""Computes how far one partition is behind, at any moment, also while nothing is read."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

FRESH_S: Final = 10.0
"""How long the end of a partition that Kafka has told counts as known."""


class PartitionLag:
    """The lag of one partition, from what its lane reports and what Kafka has said last.

    A record is settled when its output is committed, or when it has none. The records of a fetch
    that waits for an endpoint are read, but not settled: they count.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Make the lag of a partition of which nothing is known.

        Args:
            clock: returns seconds since 1970, the time of Kafka's timestamps.
        """
        self._clock = clock
        self._since_s = clock()
        self._fetched = 0
        self._next = 0
        self._settled = 0
        self._low = 0
        self._settled_s: float | None = None
        self._under_way: deque[tuple[int, int]] = deque()
        self._end = 0
        self._end_known_s = self._since_s
        self._at_end_s: float | None = None

    def start_at(self, settled: int, low: int) -> None:
        """Set the committed position.

        Args:
            settled: the first record that is not settled.
            low: the committed offset of the group.
        """
        self._settled = self._fetched = self._next = settled
        self._low = low
        self._end = max(self._end, settled)
        self._under_way.clear()

    def fetch(self, following: int, newest_ms: int) -> None:
        """Note a fetch.

        Args:
            following: the record after its last record.
            newest_ms: Kafka timestamp of its last record.
        """
        self._fetched = following
        self._under_way.append((following, newest_ms))

    def move_to(self, following: int) -> None:
        """Note which record comes next; between the last fetch and it are only markers."""
        self._next = following

    def settle(self, following: int, low: int) -> None:
        """Note that all records before ``following`` are settled; ``low`` is the group's offset."""
        self._settled, self._low = following, low
        while self._under_way and self._under_way[0][0] <= following:
            self._settled_s = self._under_way.popleft()[1] / 1000

    def end_at(self, end: int) -> None:
        """Note the end that Kafka has just told; records of an open transaction are before it."""
        self._end, self._end_known_s = max(end, self._end), self._clock()
        if not self.records():
            self._at_end_s = self._end_known_s

    @property
    def reached(self) -> int:
        """The first record that is not settled; transaction markers do not count as records."""
        return self._settled if self._settled < self._fetched else max(self._settled, self._next)

    def records(self) -> int:
        """Return how many records are not settled."""
        return max(0, self._end - self.reached)

    def group_records(self) -> int:
        """Return how many records are behind the group's offset, where a recovery would begin."""
        return max(0, self._end - self._low)

    def seconds(self) -> float:
        """Return how old the labels are at least, in seconds; 0 at the end of the partition.

        While there are records, it is the time since the partition was at its end or, if that is
        later, since the last settled record. Where Kafka does not say whether there are records,
        it is the time since Kafka has said so.
        """
        now_s = self._clock()
        if self.records():
            known = [at_s for at_s in (self._settled_s, self._at_end_s) if at_s is not None]
            return max(0.0, now_s - max(known, default=self._since_s))
        unknown_s = now_s - self._end_known_s
        return unknown_s if unknown_s > FRESH_S else 0.0
