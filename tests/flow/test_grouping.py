"""Which outputs share a transaction."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from streamer.contracts.records import Records
from streamer.flow.partition_state import Output, PartitionState
from streamer.flow.pipeline import CATCHING_UP, LARGEST_GROUP, ON_THE_WAY, flow, group_outputs
from streamer.flow.rejects import RejectLimit
from streamer.metrics import Metrics
from streamer.predict.answers import Answers
from streamer.settings import Settings
from streamer.stream.position import Position
from streamer.testing import readings


def output(i: int) -> Output:
    return Output([], [], Position(i, i), 0)


async def groups_of(count: int, interval_s: Callable[[], float]) -> list[list[int]]:
    """The groups that come of so many outputs, handed over as soon as there is room."""
    outputs: asyncio.Queue[Output | None] = asyncio.Queue(ON_THE_WAY)

    async def hand_over() -> None:
        for i in range(count):
            await outputs.put(output(i))
        await outputs.put(None)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hand_over())
        return [
            [each.position.next for each in group]
            async for group in group_outputs(outputs, interval_s)
        ]


@pytest.mark.parametrize("count", [0, 1, 3, 30, 150])
@pytest.mark.parametrize("interval_s", [0.0, 0.01])
async def test_all_outputs_come_once_and_in_their_order(count: int, interval_s: float) -> None:
    groups = await groups_of(count, lambda: interval_s)
    assert [i for group in groups for i in group] == list(range(count))
    assert all(1 <= len(group) <= LARGEST_GROUP for group in groups)


async def test_an_interval_does_not_hold_up_those_who_compute() -> None:
    #   interval  |---------------- 0.5 s ----------------|
    #   outputs   o | o o o o o o o o o o o o o o o o o o   all but the first in one group
    groups = await groups_of(10 * ON_THE_WAY, lambda: 0.5)
    assert groups == [groups[0], list(range(len(groups[0]), 10 * ON_THE_WAY))]


async def test_who_has_caught_up_commits_at_once() -> None:
    #   interval  |-------- an hour, while behind ----------|-- none --|
    #   outputs   o | o o o o o o o o o o o o o o o o o o o |
    outputs: asyncio.Queue[Output | None] = asyncio.Queue()
    groups = group_outputs(outputs, lambda: 3600.0 if outputs.qsize() else 0.0)
    sizes = []
    for count in (1, 19):
        for i in range(count):
            outputs.put_nowait(output(i))
        async with asyncio.timeout(5):
            sizes.append(len(await anext(groups)))
    assert sizes == [1, 19]


class Partition:
    """A partition of two records, which ends when two commits have been made."""

    interval_s = 0.2

    def __init__(self, *, behind: bool) -> None:
        self.next = 0
        self.exhausted = False
        self.behind = behind
        self.committed_s: list[float] = []
        self._twice = asyncio.Event()

    async def fetch(self) -> Records | None:
        if self.next == 2:
            await self._twice.wait()
            self.exhausted = True
            return None
        self.next += 1
        return Records.of(readings("phone", np.zeros((1, 6))))

    async def commit(self, outputs: Sequence[Output]) -> None:
        assert len(outputs) == 1
        self.committed_s.append(time.monotonic())
        if len(self.committed_s) == 2:
            self._twice.set()

    async def finish(self) -> None:
        pass


@pytest.mark.parametrize("behind", [False, True])
async def test_a_worker_that_is_behind_commits_ten_times_less_often(behind: bool) -> None:
    #   fetches   o o ........................ end
    #   commits   |<- 0.2 s, or ten times ->|
    partition = Partition(behind=behind)
    limit = RejectLimit(1, 1, time.monotonic)
    stages = PartitionState(Settings(), Metrics(), Position(0, 0), limit)

    async def ask(_: object) -> Answers:
        raise AssertionError("one sample makes no window")

    with ThreadPoolExecutor(1) as cpu:
        await flow(partition, stages, ask, partition, Metrics(), cpu)

    first, second, _end = partition.committed_s
    assert second - first >= partition.interval_s
    assert (second - first >= CATCHING_UP * partition.interval_s) == behind
