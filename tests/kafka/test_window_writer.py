"""Stored windows: each window of the log once, whatever happens to workers and to the store."""

import asyncio
import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamer.datasets.feature_store import FeatureStore
from streamer.errors import StorageError
from streamer.features import GRAVITY_FRAME
from streamer.flow.stage_results import Output
from streamer.kafka import member, topics, window_writer
from streamer.kafka.client import flatten_causes
from streamer.kafka.lanes import DRAIN_S
from streamer.kafka.window_writer import WindowWriter, open_window_writer
from streamer.labels.segments import SegmentChanges
from streamer.metrics import Metrics
from streamer.storage.folder import FolderStore
from streamer.storage.window_files import StoredWindows
from streamer.stream.position import Position
from tests.conftest import MakeSettings
from tests.support.member import (
    WINDOWS_OF_10_S,
    Member,
    make_models,
    publish,
    read_events,
    run_to_end,
    ten_seconds,
    until,
)

pytest.importorskip("pyarrow")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a partition wait for its last file as long as a busy machine needs."""
    monkeypatch.setattr(window_writer, "FINISH_S", 60)


class Store(FolderStore):
    """A folder that can be out of order."""

    is_down = False

    def write(self, name: str, content: bytes) -> None:
        if self.is_down:
            raise StorageError("the store is down")
        super().write(name, content)


def windows_of(*starts: int) -> StoredWindows:
    count = len(starts)
    return StoredWindows(
        np.array(["phone"] * count),
        np.array(starts),
        np.ones(count),
        np.ones(count, np.bool_),
        np.zeros((count, len(GRAVITY_FRAME.names))),
    )


def output(at: int, *starts: int) -> Output:
    position = Position(at - 5, at)
    return Output([], SegmentChanges(), [], position, 0, closed=windows_of(*starts))


def make_writer(
    store: Store, position: Position, unstored: list[StoredWindows], interval_s: float = 3600
) -> WindowWriter:
    return WindowWriter(store, Metrics(), GRAVITY_FRAME, 3, position, unstored, interval_s)


def stored(folder: Path) -> list[int]:
    windows = FeatureStore.open(str(folder)).read(GRAVITY_FRAME)
    assert set(windows.device_ids.tolist()) <= {"phone"}
    return [int(start) for start in windows.start_ms]


@pytest.mark.usefixtures("patient")
async def test_the_position_names_the_record_up_to_which_windows_are_stored(
    tmp_path: Path,
) -> None:
    #   records   ... 100 ....... 120 ....... 140
    #   windows           1280, 2560    3840
    #   stored        100         100         140, when the file is written
    writer = make_writer(Store(tmp_path), Position(95, 100), [])
    async with open_window_writer(writer):
        writer.add([output(120, 1280, 2560)])
        position = Position(115, 120)
        assert writer.committable(position) == Position(95, 120, stored=100)
        assert writer.committable(position).metadata().endswith(";100")
        writer.add([output(140, 3840)])
        assert writer.committable(Position(135, 140)).low == 95
        await writer.finish()
        assert writer.committable(Position(135, 140)) == Position(135, 140)
        assert stored(tmp_path) == [1280, 2560, 3840]
        writer.add([output(160)])
        assert writer.committable(Position(155, 160)) == Position(155, 160)


@pytest.mark.usefixtures("patient")
async def test_an_outage_of_the_store_holds_only_when_too_many_windows_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_writer, "MOST", 4)
    monkeypatch.setattr(window_writer, "_RETRY_S", 0.01)
    store = Store(tmp_path)
    store.is_down = True
    writer = make_writer(store, Position(95, 100), [], interval_s=0.01)
    async with open_window_writer(writer):
        writer.add([output(120, 1280, 2560)])
        await writer.wait_for_room()
        writer.add([output(140, 3840, 5120)])
        held = asyncio.create_task(writer.wait_for_room())
        assert await asyncio.wait({held}, timeout=0.1) == (set(), {held})
        assert writer.committable(Position(135, 140)).stored == 100
        store.is_down = False
        await asyncio.wait_for(held, 60)
        await writer.finish()
    assert stored(tmp_path) == [1280, 2560, 3840, 5120]


async def test_a_partition_that_ends_during_an_outage_leaves_its_windows_to_the_next_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_writer, "FINISH_S", 0.05)
    store = Store(tmp_path)
    store.is_down = True
    writer = make_writer(store, Position(95, 100), [])
    async with open_window_writer(writer):
        writer.add([output(120, 1280)])
        await writer.finish()
        left = writer.committable(Position(115, 120))
    assert left == Position(95, 120, stored=100)
    store.is_down = False
    monkeypatch.setattr(window_writer, "FINISH_S", 60)
    # The next worker has computed the window again from record 100 on.
    writer = make_writer(store, left, [windows_of(1280)])
    async with open_window_writer(writer):
        assert writer.committable(Position(115, 120)).stored == 100
        await writer.finish()
        assert writer.committable(Position(115, 120)) == Position(115, 120)
    assert stored(tmp_path) == [1280]


@pytest.mark.parametrize("wait", ["room", "finish"])
async def test_a_writer_that_fails_ends_what_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("windows cannot be encoded")

    monkeypatch.setattr(window_writer, "MOST", 2)
    monkeypatch.setattr(window_writer, "LARGE", 2)
    monkeypatch.setattr(window_writer, "FINISH_S", 3600)
    monkeypatch.setattr(window_writer, "encode_windows", fail)
    writer = make_writer(Store(tmp_path), Position(95, 100), [])

    async def store_windows() -> None:
        async with asyncio.timeout(60), open_window_writer(writer):
            writer.add([output(120, 1280, 2560)])
            await (writer.wait_for_room() if wait == "room" else writer.finish())

    with pytest.raises(ExceptionGroup) as raised:
        await store_windows()
    assert [repr(each) for each in flatten_causes(raised.value)] == [
        "RuntimeError('windows cannot be encoded')"
    ]


@pytest.mark.usefixtures("patient")
async def test_a_full_disk_is_an_outage_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, fsync, is_full = asyncio.Event(), os.fsync, True
    loop = asyncio.get_running_loop()

    def sync(file: int) -> None:
        if is_full:
            loop.call_soon_threadsafe(tried.set)
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(window_writer, "_RETRY_S", 0.01)
    writer = make_writer(Store(tmp_path), Position(95, 100), [], interval_s=0.01)
    async with open_window_writer(writer):
        writer.add([output(120, 1280)])
        await asyncio.wait_for(tried.wait(), 60)
        is_full = False
        await writer.finish()
    assert stored(tmp_path) == [1280]


@pytest.mark.usefixtures("patient")
async def test_the_windows_of_the_last_flush_wait_to_be_stored_although_no_record_follows(
    tmp_path: Path,
) -> None:
    #   records   ... 100 ....... 120 | flush, whose next record is 120, too
    #   windows           1280          2560
    #   stored                    120   120, until the file is written
    store = Store(tmp_path)
    writer = make_writer(store, Position(95, 100), [])
    last = replace(output(120, 2560), position=Position(118, 120, flushed=(120,)))
    async with open_window_writer(writer):
        writer.add([output(120, 1280)])
        await writer.finish()
        writer.add([last])
        left = writer.committable(last.position)
        assert left == Position(115, 120, flushed=(120,), stored=120)
        await writer.finish()
        assert writer.committable(last.position) == last.position


@pytest.mark.usefixtures("patient")
async def test_a_recovery_computes_the_windows_of_a_flush_that_are_not_stored(
    tmp_path: Path,
) -> None:
    # The worker that takes the position over has closed the window again, at the flush.
    left = Position(115, 120, flushed=(120,), stored=120)
    writer = make_writer(Store(tmp_path), left, [windows_of(2560)])
    async with open_window_writer(writer):
        assert writer.committable(left) == left
        await writer.finish()
        assert writer.committable(left) == Position(115, 120, flushed=(120,))
    assert stored(tmp_path) == [2560]


@pytest.mark.usefixtures("patient")
async def test_nothing_waits_after_a_file_during_which_only_silent_outputs_came(
    tmp_path: Path,
) -> None:
    #   records   ... 100 ....... 120 ....... 140 ....... 160
    #   windows           1280          -           2560
    #   file                      |--- written ---|
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    class SlowStore(Store):
        def write(self, name: str, content: bytes) -> None:
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(60)
            super().write(name, content)

    writer = make_writer(SlowStore(tmp_path), Position(95, 100), [])
    async with open_window_writer(writer):
        writer.add([output(120, 1280)])
        finished = asyncio.create_task(writer.finish())
        await asyncio.wait_for(begun.wait(), 60)
        writer.add([output(140)])
        go_on.set()
        await finished
        assert writer.committable(Position(135, 140)) == Position(135, 140)
        writer.add([output(160, 2560)])
        assert writer.committable(Position(155, 160)) == Position(135, 160, stored=140)


def test_the_last_commit_of_a_partition_has_time_after_the_wait_for_the_store() -> None:
    assert 2 * window_writer.FINISH_S <= DRAIN_S


def test_what_is_written_twice_is_read_once_and_joined_into_one_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    writer = make_writer(store, Position(95, 100), [])
    hour = 3_600_000
    writer._put(windows_of(1280, 2560, hour), 100, Position(115, 120))
    writer._put(windows_of(1280, 2560, hour, hour + 1280), 100, Position(135, 140))
    assert stored(tmp_path) == [1280, 2560, hour, hour + 1280]
    reader = FeatureStore.open(str(tmp_path))
    assert [len(each.files) for each in reader.list_hours()] == [2, 2]

    assert reader.compact(hour, GRAVITY_FRAME.names) == 2

    assert [len(each.files) for each in reader.list_hours()] == [1, 2]
    assert stored(tmp_path) == [1280, 2560, hour, hour + 1280]
    assert reader.compact(hour, GRAVITY_FRAME.names) == 0
    writer._put(windows_of(1280, 3840), 140, Position(155, 160))
    assert reader.compact(2 * hour, GRAVITY_FRAME.names) == 4
    assert stored(tmp_path) == [1280, 2560, 3840, hour, hour + 1280]


async def test_windows_that_no_file_has_are_computed_and_stored_by_the_next_worker(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(
        partitions=1, store_features=str(tmp_path / "features"), store_interval_s=3600
    )
    await topics.ensure(settings)
    await publish(settings, ten_seconds("phone"))
    with monkeypatch.context() as outage:
        # For the log and the position, this is the same as a worker that dies.
        outage.setattr(window_writer, "FINISH_S", 0.1)
        outage.setattr(Store, "is_down", True)
        outage.setattr(member, "open_window_store", lambda _: Store(tmp_path / "features"))
        await run_to_end(settings)
    assert len(await read_events(settings)) in WINDOWS_OF_10_S
    assert FeatureStore.open(str(tmp_path / "features")).list_hours() == []

    monkeypatch.setattr(window_writer, "FINISH_S", 60)
    await publish(settings, ten_seconds("other"))
    await run_to_end(settings)

    windows = FeatureStore.open(str(tmp_path / "features")).read(GRAVITY_FRAME)
    names = zip(windows.device_ids.tolist(), windows.start_ms.tolist(), strict=True)
    events = await read_events(settings)
    assert [f"{device}/{start}" for device, start in names] == sorted(e.window_id for e in events)
    assert {event.device_id for event in events} == {"phone", "other"}

    # The same log without a crash gives the same bytes.
    again = make_settings(
        partitions=1,
        readings_topic=settings.readings_topic,
        events_topic=f"{settings.events_topic}-2",
        group_id=f"{settings.group_id}-2",
        store_features=str(tmp_path / "again"),
    )
    await topics.ensure(again)
    await run_to_end(again)
    expected = FeatureStore.open(str(tmp_path / "again")).read(GRAVITY_FRAME)
    assert windows.features.tobytes() == expected.features.tobytes()
    assert windows.coverage.tolist() == expected.coverage.tolist()
    assert windows.settled.tolist() == expected.settled.tolist()


async def test_a_lane_without_records_leaves_its_waiting_windows_to_the_next_lane_of_its_worker(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(
        partitions=1, store_features=str(tmp_path / "features"), store_interval_s=3600
    )
    await topics.ensure(settings)
    await publish(settings, ten_seconds("phone"))
    monkeypatch.setattr(member, "open_window_store", lambda _: Store(tmp_path / "features"))
    monkeypatch.setattr(window_writer, "FINISH_S", 0.1)
    monkeypatch.setattr(Store, "is_down", True)
    await run_to_end(settings)
    shown = Member(settings)
    worker = member.GroupMember(
        settings,
        shown.metrics,
        shown.health,
        make_models(shown.predictor, shown.metrics, shown.health),
        shown.stopping,
        feature_set=GRAVITY_FRAME,
    )

    async def is_ready() -> bool:
        return shown.health.connected and not shown.health.recovering

    async def run_until_ready() -> None:
        shown.health.connected = False
        shown.stopping.clear()
        task = asyncio.create_task(worker.run())
        await until(is_ready)
        shown.stopping.set()
        await task

    # The first lane takes over windows that wait, and ends; the second one can store them.
    await run_until_ready()
    monkeypatch.setattr(window_writer, "FINISH_S", 60)
    monkeypatch.setattr(Store, "is_down", False)
    await run_until_ready()

    windows = FeatureStore.open(str(tmp_path / "features")).read(GRAVITY_FRAME)
    assert len(windows.start_ms) == len(await read_events(settings))
