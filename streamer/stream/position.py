"""How far a partition is done, and how much of it must be read again to go on.

The log itself is the state: what is known about devices at record ``next`` can be built again from
the records since ``low``, given the partition clock there::

    offset   ... low ........................ next ...
                 |<- read again, no output ->|<- go on
"""

from collections import deque
from dataclasses import dataclass
from typing import Self

from streamer.stream.samples import NEVER

_VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a partition can be taken up again.

    Attributes:
        low: first record on which output not yet published may depend.
        next: first record that is not yet reflected in the output.
        clock_us: partition clock before record ``low``.
        flushed: records from ``low`` on before which no sample waited for its watermark any more.
    """

    low: int
    next: int
    clock_us: int = NEVER
    flushed: tuple[int, ...] = ()

    def metadata(self) -> str:
        """All but ``low``, for the metadata of the offset committed at ``low``."""
        flushed = ",".join(map(str, self.flushed))
        return f"{_VERSION};{self.next};{self.clock_us};{flushed}"

    @classmethod
    def parse(cls, offset: int, metadata: str) -> Self:
        """Read back what a commit at ``offset`` said.

        Raises:
            ValueError: the metadata are not of this program and version.
        """
        version, following, clock_us, flushed = metadata.split(";")
        if version != _VERSION:
            raise ValueError(f"metadata version {version!r}, expected {_VERSION!r}")
        offsets = tuple(int(part) for part in flushed.split(",") if part)
        return cls(offset, int(following), int(clock_us), offsets)


class ReplayStart:
    """Remembers at which records reading could start again, and the partition clock there."""

    def __init__(self, position: Position) -> None:
        self._starts = deque([(position.low, position.clock_us)])
        self._flushed = list(position.flushed)

    def processed(self, following: int, clock_us: int) -> None:
        """All records before ``following`` are taken in; the partition clock is there now."""
        self._starts.append((following, clock_us))

    def flushed(self, following: int) -> None:
        """Waiting samples were released before this record."""
        self._flushed.append(following)

    def position(self, low: int | None, following: int) -> Position:
        """The position after all records before ``following``.

        Args:
            low: smallest offset that still matters; None when none does.
            following: the next record.
        """
        low = following if low is None else low
        while len(self._starts) > 1 and self._starts[1][0] <= low:
            self._starts.popleft()
        start, clock_us = self._starts[0]
        self._flushed = [offset for offset in self._flushed if offset > start]
        return Position(start, following, clock_us, tuple(self._flushed))
