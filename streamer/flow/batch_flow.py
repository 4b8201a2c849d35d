"""The flow of one partition whose windows are predicted in batches, minutes later.

    records -> decode -> windows -> features -> batch ..... -> labels -> commit of the batch

A batch has the windows that consecutive records have closed. It is labelled and committed as a
whole, so the committed position is always the end of a batch, and the worker that continues there
makes the same batches again. Once a batch is stored, its features are dropped: a window that waits
takes some 250 bytes.
"""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np

from streamer.contracts.events import window_id
from streamer.contracts.records import Records
from streamer.features import NAMES
from streamer.flow.interfaces import OutputSink, PartitionLog
from streamer.flow.partition_state import PartitionState
from streamer.flow.pipeline import LARGEST_LETTERS, count_answers, count_letter_bytes
from streamer.flow.record_failure import blaming
from streamer.flow.stage_results import Computed, Output, Predicted
from streamer.metrics import Metrics
from streamer.predict.answers import Answers
from streamer.predict.batch_predictor import (
    BATCH_WINDOWS,
    Batch,
    BatchAnswers,
    PartitionBatches,
)

MOST_BATCHES: Final = 10
"""Batches of a partition that are stored and not committed; then no more records are read."""

PLANNED_PATIENCE: Final = 10
"""A batch whose end is planned may take so many times as long, or have so many times the windows:
only then would it be another batch than before."""

CLEAN_UP_S: Final = 30.0
"""How long the flow waits at the end of the log until consumed objects are removed."""

_NO_FEATURES: Final = np.empty((0, 0))


class StoppableLog(PartitionLog, Protocol):
    """One partition of the readings, and the event that ends its flow.

    Attributes:
        stopping: set when the flow is to end without waiting for its batches.
    """

    stopping: asyncio.Event


@dataclass(slots=True)
class _Collected:
    """A batch, and the fetches whose windows it has.

    Attributes:
        end: the record after the last one of the batch.
        full_s: monotonic time at which the batch ends.
    """

    batch: Batch
    end: int
    full_s: float
    parts: list[Computed] = field(default_factory=list)
    windows: int = 0
    letter_bytes: int = 0

    def list_windows(self) -> list[str]:
        """Return the ids of the windows, in the order in which they were added."""
        return [
            window_id(window.device_id, window.start_ms)
            for part in self.parts
            for window in part.windows
        ]


class BatchFlow:
    """The flow of one partition in batches."""

    def __init__(
        self,
        source: StoppableLog,
        state: PartitionState,
        batches: PartitionBatches,
        interval_s: float,
        sink: OutputSink,
        metrics: Metrics,
        cpu: Executor,
    ) -> None:
        self._source = source
        self._state = state
        self._batches = batches
        self._interval_s = interval_s
        self._sink = sink
        self._metrics = metrics
        self._cpu = cpu
        self._stored: asyncio.Queue[_Collected | None] = asyncio.Queue(MOST_BATCHES)
        self._answers: dict[int, asyncio.Task[BatchAnswers]] = {}
        self._open: _Collected | None = None
        self._uncommitted: list[_Collected] = []
        self._committing = asyncio.Lock()
        self._cleaning: set[asyncio.Task[None]] = set()

    @property
    def waits(self) -> bool:
        """Whether stored batches wait for their results."""
        return any(each is not self._open for each in self._uncommitted)

    async def run(self) -> None:
        """Run the partition until its log gives no more records, or until it is told to stop.

        At the end of the log all output is committed. When told to stop, batches that wait are left
        to the next owner of the partition, which finds them again.

        Raises:
            RecordsError: our own code has failed on records.
            EndpointError: an operator must act first.
        """
        work = asyncio.ensure_future(self._work())
        stop = asyncio.ensure_future(self._source.stopping.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                async with self._committing:
                    work.cancel()
                    await asyncio.wait({work})
            if not work.cancelled():
                work.result()
        finally:
            for task in (stop, work, *self._cleaning):
                task.cancel()
            await asyncio.wait({work, *self._cleaning})

    async def _work(self) -> None:
        await self._batches.find(self._state.position.next)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._collect(tasks))
                tasks.create_task(self._publish())
            if self._cleaning:
                await asyncio.wait(self._cleaning, timeout=CLEAN_UP_S)
        finally:
            # What is not committed is left to the next owner of the partition.
            for collected in self._uncommitted:
                collected.batch.discard()
            self._uncommitted = []

    async def _collect(self, tasks: asyncio.TaskGroup) -> None:
        """Compute windows and store them in batches."""
        loop = asyncio.get_running_loop()
        fetching = asyncio.ensure_future(self._source.fetch())
        try:
            while True:
                # A fetch that was cancelled could lose records, so it goes on beyond a batch.
                left_s = self._open.full_s - loop.time() if self._open else None
                await asyncio.wait({fetching}, timeout=left_s and max(0.0, left_s))
                if not fetching.done():
                    await self._store(tasks)
                    continue
                if (records := fetching.result()) is None:
                    break
                following, received_s = self._source.next, time.time()
                for part, end in self._split(records, following):
                    if len(part):
                        with blaming(part):
                            await self._compute(part, end, received_s)
                    if self._is_full():
                        await self._store(tasks)
                fetching = asyncio.ensure_future(self._source.fetch())
        finally:
            fetching.cancel()
        await self._store(tasks)
        if self._source.exhausted:
            following = self._source.next
            last = await loop.run_in_executor(self._cpu, self._state.finish, following)
            self._begin(following)
            await self._add(last, following)
            await self._store(tasks)
        await self._stored.put(None)

    def _split(self, records: Records, following: int) -> Iterator[tuple[Records, int]]:
        """Yield the records up to the planned end of the batch, which may be none; then the others.

        The second value is the record that comes after those.
        """
        while len(records):
            if self._open is None:
                self._begin(int(records.offset[0]))
            assert self._open is not None
            planned_end = self._open.batch.planned_end
            before = records if planned_end is None else records.before(planned_end)
            if planned_end is None or (len(before) == len(records) and following < planned_end):
                yield records, following
                return
            # The batch is complete with these records, and the caller stores it.
            self._open.end = planned_end
            yield before, planned_end
            records = records.since(planned_end)

    def _begin(self, first: int) -> None:
        batch = self._batches.begin(first)
        patience = 1 if batch.planned_end is None else PLANNED_PATIENCE
        full_s = asyncio.get_running_loop().time() + self._interval_s * patience
        self._open = _Collected(batch, first, full_s)
        self._uncommitted.append(self._open)

    async def _compute(self, records: Records, following: int, received_s: float) -> None:
        loop = asyncio.get_running_loop()
        computed = await loop.run_in_executor(self._cpu, self._state.compute, records, following)
        computed.delays.received_s, computed.delays.computed_s = received_s, time.time()
        await self._add(computed, int(records.offset[-1]) + 1)

    async def _add(self, computed: Computed, end: int) -> None:
        """Add a fetch to the open batch. Its features go to the file of the batch."""
        assert self._open is not None
        opened, windows = self._open, computed.windows
        if windows:
            ids = [window_id(window.device_id, window.start_ms) for window in windows]
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._cpu, opened.batch.add, ids, computed.features)
        opened.parts.append(replace(computed, features=_NO_FEATURES))
        opened.end = max(opened.end, end)
        opened.windows += len(windows)
        opened.letter_bytes += count_letter_bytes(computed.dead_letters)

    def _is_full(self) -> bool:
        opened = self._open
        assert opened is not None
        if (planned_end := opened.batch.planned_end) is not None:
            return opened.end >= planned_end or opened.windows >= PLANNED_PATIENCE * BATCH_WINDOWS
        return (
            opened.windows >= BATCH_WINDOWS
            or opened.letter_bytes >= LARGEST_LETTERS
            or asyncio.get_running_loop().time() >= opened.full_s
        )

    async def _store(self, tasks: asyncio.TaskGroup) -> None:
        """End the open batch: store it, and let it be predicted."""
        if self._open is None:
            return
        collected = self._open
        if collected.windows:
            await collected.batch.store(collected.end)
            self._answers[id(collected)] = tasks.create_task(
                collected.batch.predict(collected.list_windows)
            )
        self._open = None
        await self._stored.put(collected)

    async def _publish(self) -> None:
        """Label and commit batches in their order."""
        while (collected := await self._stored.get()) is not None:
            found = None
            if collected.windows:
                found = await self._answers.pop(id(collected))
                count_answers(found.answers, self._metrics)
            outputs = await self._label(collected.parts, found)
            async with self._committing:
                await self._sink.commit(outputs)
            self._uncommitted.remove(collected)
            cleaning = asyncio.create_task(collected.batch.clean_up())
            self._cleaning.add(cleaning)
            cleaning.add_done_callback(self._cleaning.discard)
        await self._sink.finish()

    async def _label(self, parts: list[Computed], found: BatchAnswers | None) -> list[Output]:
        outputs, begin = [], 0
        for part in parts:
            end = begin + len(part.windows)
            predicted = Predicted(part, Answers(0))
            if found:
                predicted = _join(part, found.slice(begin, end))
            part.delays.answered_s = time.time()
            outputs.append(self._state.label(predicted))
            begin = end
            # A batch may have many windows, and other partitions wait.
            await asyncio.sleep(0)
        return outputs


def _join(part: Computed, found: BatchAnswers) -> Predicted:
    """Return a fetch with its answers, and with the features of the windows that were refused."""
    if not found.refused:
        return Predicted(part, found.answers)
    features = np.full((len(part.windows), len(NAMES)), np.nan)
    for row, values in found.refused.items():
        features[row] = values
    return Predicted(replace(part, features=features), found.answers)
