"""A partition of the readings, and a place for its output, in memory."""

from collections.abc import Sequence

from streamer.contracts.readings import Record
from streamer.contracts.records import Records
from streamer.flow.stage_results import Output


class ListSource:
    """Gives records in fetches of one size, to their end. Producers have set their timestamps."""

    exhausted = True

    def __init__(self, records: Sequence[Record], size: int, *, behind: bool = False) -> None:
        self.next = 0
        self.behind = behind
        self._records = records
        self._size = size

    async def fetch(self) -> Records | None:
        """Return the next records; None at the end."""
        fetched = self._records[self.next : self.next + self._size]
        self.next += len(fetched)
        return Records.of(fetched, appended=False) if fetched else None


class ListSink:
    """Keeps all outputs."""

    def __init__(self, interval_s: float = 0.0) -> None:
        self.interval_s = interval_s
        self.outputs: list[Output] = []

    async def commit(self, outputs: Sequence[Output]) -> None:
        """Keep outputs."""
        self.outputs += outputs

    async def finish(self) -> None:
        """Do nothing: everything is committed."""
