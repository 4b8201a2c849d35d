"""Which outputs share a transaction."""

import asyncio
from collections.abc import Callable

import pytest

from streamer.pipeline import LARGEST_GROUP, ON_THE_WAY, grouped
from streamer.stages import Output
from streamer.stream.position import Position


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
            [each.position.next for each in group] async for group in grouped(outputs, interval_s)
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
    groups = grouped(outputs, lambda: 3600.0 if outputs.qsize() else 0.0)
    sizes = []
    for count in (1, 19):
        for i in range(count):
            outputs.put_nowait(output(i))
        async with asyncio.timeout(5):
            sizes.append(len(await anext(groups)))
    assert sizes == [1, 19]
