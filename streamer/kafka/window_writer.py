"""Stores the windows of one partition, some time after their events were committed.

The windows since the last file wait in memory. The group commits the position at which the last
file ended as its low offset (`Position.stored`), so a worker that recovers computes the waiting
windows again from the log::

    log      ... low ...... stored ................. next ...
                            |<- wait in memory ----->|
                 |<- read again by a recovery ------>|

A file is thus never a part of the commit: labels do not wait for it, and an outage of the store
delays nothing until `MOST` windows wait. The content of a file is a function of the log. What is
written twice, by a recovery or by a worker that has lost the partition, is the same twice, and
readers take each window once.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog

from streamer.errors import StorageError
from streamer.features.feature_set import FeatureSet
from streamer.flow.partition_state import PartitionState
from streamer.flow.stage_results import Output
from streamer.metrics import Metrics
from streamer.storage.object_store import ObjectStore
from streamer.storage.window_files import HOUR_MS, StoredWindows, encode_windows, name_folder
from streamer.stream.position import Position

if TYPE_CHECKING:
    from streamer.kafka.lane_resources import LaneResources
    from streamer.kafka.sink import PartitionSink

log = structlog.get_logger(__name__)

LARGE: Final = 5_000
"""Windows with which a file is written before its time."""
MOST: Final = 20_000
"""Windows that wait at most; then the partition waits for the store."""
FINISH_S: Final = 2.5
"""How long the end of a partition waits for its last file. The final commit must still fit into
`lanes.DRAIN_S`."""
_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 30.0


class WindowWriter:
    """Writes the windows of a partition to files. Use `open_window_writer`."""

    def __init__(
        self,
        store: ObjectStore,
        metrics: Metrics,
        feature_set: FeatureSet,
        partition: int,
        position: Position,
        unstored: Sequence[StoredWindows],
        interval_s: float,
    ) -> None:
        """Make a writer.

        Args:
            store: where to write.
            metrics: of the worker.
            feature_set: of the windows.
            partition: number of the partition.
            position: at which the partition goes on.
            unstored: the windows that were closed before this position and are not stored.
            interval_s: time between two files.
        """
        self._store = store
        self._metrics = metrics
        self._feature_set = feature_set
        self._partition = partition
        self._interval_s = interval_s
        self._parts = [part for part in unstored if len(part)]
        self._reached = replace(position, stored=None)
        start = position.next if position.stored is None or not self._parts else position.stored
        self._stored = replace(position, next=start, stored=None)
        self._waiting = 0
        self._changed = asyncio.Event()
        self._written = asyncio.Event()
        self._count(sum(map(len, self._parts)))

    def add(self, outputs: Sequence[Output]) -> None:
        """Take over the windows of outputs, in the order of the log."""
        parts = [each.closed for each in outputs if each.closed is not None and len(each.closed)]
        if not self._parts:
            self._stored = self._reached
        self._reached = outputs[-1].position
        self._parts += parts
        self._count(sum(map(len, parts)))

    def committable(self, position: Position) -> Position:
        """Return the position to commit: a recovery from it computes the waiting windows again."""
        if not self._parts:
            return replace(position, stored=None)
        stored = self._stored
        return replace(
            position,
            low=stored.low,
            clock=stored.clock,
            flushed=tuple(sorted({*stored.flushed, *position.flushed})),
            skipped=tuple(sorted({*stored.skipped, *position.skipped})),
            stored=stored.next,
        )

    async def wait_for_room(self) -> None:
        """Wait until fewer windows wait than `MOST`."""
        while self._waiting >= MOST:
            self._written.clear()
            await self._written.wait()

    async def finish(self) -> None:
        """Write all that waits, or as much as the store takes within `FINISH_S`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                while self._parts:
                    self._written.clear()
                    self._changed.set()
                    await self._written.wait()
                return
        log.warning(
            "the last windows of a partition could not be stored in time; the next worker that "
            "takes the partition computes and stores them",
            partition=self._partition,
            windows=self._waiting,
        )

    async def run(self) -> None:
        """Write files, without end."""
        while True:
            # `asyncio.wait_for` of Python 3.11 may swallow a cancellation.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._changed.wait()
            self._changed.clear()
            if self._parts:
                await self._write()

    def forget(self) -> None:
        """Take the windows that wait out of the metrics, when the partition ends here."""
        self._metrics.unstored_windows.dec(self._waiting)

    def _count(self, windows: int) -> None:
        self._waiting += windows
        self._metrics.unstored_windows.inc(windows)
        if self._waiting >= LARGE:
            self._changed.set()

    async def _write(self) -> None:
        """Write what waits now; try again until the store takes it."""
        parts, reached = self._parts[:], self._reached
        windows = StoredWindows.joined(parts)
        pause_s, failed = _RETRY_S, False
        while True:
            try:
                await asyncio.to_thread(self._put, windows, self._stored.next, reached)
                break
            except StorageError as error:
                self._metrics.store_failures.inc()
                if not failed:
                    failed = True
                    log.error(
                        "cannot store windows, trying again; labels go on until too many wait",
                        partition=self._partition,
                        windows=self._waiting,
                        most=MOST,
                        error=str(error),
                    )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_RETRY_S)
        if failed:
            log.info("windows are stored again", partition=self._partition)
        del self._parts[: len(parts)]
        self._stored = reached
        self._metrics.stored_windows.inc(len(windows))
        self._count(-len(windows))
        self._written.set()

    def _put(self, windows: StoredWindows, begin: int, reached: Position) -> None:
        """Write a file for each hour. Runs in a thread."""
        names = self._feature_set.names
        kind = f"{self._feature_set.name} {self._feature_set.version}"
        # The id of the topic: a topic that is made again has the same offsets again.
        topic = reached.topic_id.replace("/", "_")
        file = f"{self._partition:05}-{begin:020}-{reached.next:020}-{topic}.parquet"
        hours = windows.start_ms // HOUR_MS
        for hour in np.unique(hours).tolist():
            content = encode_windows(windows.of(hours == hour), kind, names)
            self._store.write(f"{name_folder(kind, hour)}/{file}", content)


@asynccontextmanager
async def store_windows(
    resources: "LaneResources",
    partition: int,
    state: PartitionState,
    sink: "PartitionSink",
    position: Position,
) -> AsyncIterator[None]:
    """Store the windows of a partition while the context is open.

    Args:
        resources: of the lane, with a window store.
        partition: number of the partition.
        state: of the partition; its windows that are not stored are stored first.
        sink: of the partition; it tells the writer what it has committed.
        position: at which the partition is taken up.
    """
    assert resources.window_store is not None
    unstored, state.unstored = state.unstored, []
    writer = WindowWriter(
        resources.window_store,
        resources.metrics,
        resources.feature_set,
        partition,
        position,
        unstored,
        resources.settings.store_interval_s,
    )
    async with open_window_writer(writer):
        sink.store_windows(writer, position)
        yield


@asynccontextmanager
async def open_window_writer(writer: WindowWriter) -> AsyncIterator[WindowWriter]:
    """Run a writer while the context is open. At its end nothing more is written.

    Raises:
        ExceptionGroup: the writer has failed, so the context was cancelled; or the context has.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(writer.run(), name="store windows")
            yield writer
            task.cancel()
    finally:
        writer.forget()
