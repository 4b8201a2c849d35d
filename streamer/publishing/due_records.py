"""Records of a device, each with the time at which the device sends it."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from streamer.publishing.publisher import DeviceRecord


class Fate(StrEnum):
    """What happens to a record."""

    NORMAL = "on time"
    LATE = "late"
    DUPLICATE = "duplicate"
    BAD = "malformed"
    LOST = "lost"
    """The record is counted, but not sent."""


class Due(NamedTuple):
    """A record, and the time at which its device sends it."""

    time_us: int
    message: DeviceRecord
    fate: Fate = Fate.NORMAL


class DueRecords:
    """Records in the order of time; each is returned once, when it is due."""

    def __init__(self, records: Iterator[Due]) -> None:
        self._records = records
        self._next = next(records, None)

    def until(self, time_ms: float) -> Iterator[Due]:
        """Yield the records that are due at a time, in ms since the epoch."""
        while self._next and self._next.time_us <= time_ms * 1000:
            yield self._next
            self._next = next(self._records, None)
