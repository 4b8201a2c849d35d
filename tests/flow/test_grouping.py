"""Which outputs share a transaction."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from streamer.contracts.readings import RejectReason
from streamer.contracts.records import OneRecord
from streamer.flow import pipeline
from streamer.flow.pipeline import (
    CATCHING_UP,
    LARGEST_GROUP,
    LARGEST_LETTERS,
    ON_THE_WAY,
    flow,
    group_outputs,
)
from streamer.flow.stage_results import DeadLetter, Output
from streamer.labels.segments import SegmentChanges
from streamer.metrics import Metrics
from streamer.predict.answers import Answers
from streamer.predict.serving import Serving
from streamer.settings import Settings
from streamer.stream.position import Position
from streamer.testing import readings
from tests.support.golden import make_partition_state
from tests.support.memory_log import ListSink, ListSource


def output(i: int) -> Output:
    return Output([], SegmentChanges(), [], Position(i, i), 0)


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


async def test_waiting_for_the_interval_does_not_delay_computing() -> None:
    #   interval  |-------------- an hour ----------------|
    #   outputs   o | o o o o o o o o o o o o o o o o o o   all but the first in one group
    groups = await groups_of(10 * ON_THE_WAY, lambda: 3600.0)
    assert groups == [groups[0], list(range(len(groups[0]), 10 * ON_THE_WAY))]


async def test_a_worker_without_backlog_commits_at_once() -> None:
    #   interval  |-------- an hour, while behind ----------|-- none --|
    #   outputs   o | o o o o o o o o o o o o o o o o o o o |
    outputs: asyncio.Queue[Output | None] = asyncio.Queue()
    groups = group_outputs(outputs, lambda: 3600.0 if outputs.qsize() else 0.0)
    sizes = []
    for count in (1, 19):
        for i in range(count):
            outputs.put_nowait(output(i))
        async with asyncio.timeout(60):
            sizes.append(len(await anext(groups)))
    assert sizes == [1, 19]


async def test_a_group_ends_when_its_dead_letters_are_large() -> None:
    #   outputs   o o o o o o ...    each with a dead letter of a quarter of what a group may have
    letter = DeadLetter(
        OneRecord(b"", bytes(LARGEST_LETTERS // 4), [], 0, 0), RejectReason.MALFORMED, ""
    )
    outputs: asyncio.Queue[Output | None] = asyncio.Queue()
    for i in range(12):
        outputs.put_nowait(replace(output(i), dead_letters=[letter]))
    outputs.put_nowait(None)
    assert [len(group) async for group in group_outputs(outputs, lambda: 3600.0)] == [4, 4, 4]


@pytest.mark.parametrize("behind", [False, True])
async def test_a_worker_that_is_behind_commits_ten_times_less_often(
    behind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    intervals_s = []

    async def group_and_note(
        outputs: asyncio.Queue[Output | None], interval_s: Callable[[], float]
    ) -> AsyncIterator[list[Output]]:
        intervals_s.append(interval_s())
        async for group in group_outputs(outputs, interval_s):
            yield group

    monkeypatch.setattr(pipeline, "group_outputs", group_and_note)

    async def ask(_: object) -> Answers:
        raise AssertionError("one sample makes no window")

    records = readings("phone", np.zeros((1, 6)))
    source, sink = ListSource(records, 1, behind=behind), ListSink(interval_s=0.2)
    with ThreadPoolExecutor(1) as cpu:
        state = make_partition_state(Settings())
        await flow(source, state, lambda: Serving("", ask), sink, Metrics(), cpu)
    assert intervals_s == [CATCHING_UP * 0.2 if behind else 0.2]
    assert [output.position.next for output in sink.outputs] == [1, 1]
