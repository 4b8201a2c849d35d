"""What the flow of a partition needs around it: a log to read and a place to write to."""

from collections.abc import Sequence
from typing import Protocol

from streamer.contracts.records import Records
from streamer.flow.stage_results import Output


class PartitionLog(Protocol):
    """One partition of the readings, as the flow reads it.

    Attributes:
        next: the record that the next fetch begins with.
        exhausted: whether there will be no more records because all were read.
        behind: whether there was more to fetch at the last fetch.
    """

    next: int
    exhausted: bool
    behind: bool

    async def fetch(self) -> Records | None:
        """Return the next records, at least one; None when there will be no more."""


class ReplayLog(Protocol):
    """One partition of the readings, as a recovery reads it.

    Attributes:
        next: the record that the next fetch begins with.
    """

    next: int

    @property
    def stopped(self) -> bool:
        """Whether there will be no more records."""

    def seek(self, offset: int) -> None:
        """Continue with this record."""

    async def fetch_some(self) -> Records:
        """Return the next records; none if none came for a while or it was stopped."""


class OutputSink(Protocol):
    """Where the output of a partition goes.

    Attributes:
        interval_s: shortest time between two commits, each of which costs something.
    """

    interval_s: float

    async def commit(self, outputs: Sequence[Output]) -> None:
        """Publish outputs, and with them the position of the last one."""

    async def finish(self) -> None:
        """Commit a position that was not committed yet because nothing was published."""
