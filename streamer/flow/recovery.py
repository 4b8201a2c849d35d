"""Builds what is known about a partition's devices again, from the log, with nothing published."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol

from streamer.contracts.records import Records
from streamer.flow.stages import Stages
from streamer.stream.position import Position


class Log(Protocol):
    """A partition that can be read again."""

    next: int
    """The record that the next fetch begins with."""

    @property
    def stopped(self) -> bool:
        """Whether it was told to give no more."""

    def seek(self, offset: int) -> None:
        """Go on from this record."""

    async def fetch_some(self) -> Records:
        """The next records; none when there are none for a while or it was told to stop."""


async def recover(
    log: Log,
    stages: Stages,
    position: Position,
    cpu: Executor,
    report: Callable[[int, int], None],
) -> None:
    """Read the records from `position.low` to `position.next` again.

    Args:
        log: the partition.
        stages: fresh ones, for this position.
        position: the committed one.
        cpu: where to compute.
        report: is told how many records were read again just now, and how many are still to be.
    """
    loop = asyncio.get_running_loop()
    start = position.low
    for end in sorted({*position.flushed, position.next}):
        # What lies beyond the end of the output is fetched again later.
        log.seek(start)
        while log.next < end and not log.stopped:
            records = (await log.fetch_some()).before(end)
            if len(records):
                await loop.run_in_executor(cpu, stages.replay, records)
            report(len(records), max(0, position.next - log.next))
        if end in position.flushed:
            stages.replay_flush()
        start = end
