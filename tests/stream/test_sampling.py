"""Devices of any rate, with separate sensors, or with one sensor only."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from streamer.features.window_shape import WINDOW
from streamer.stream.accounting import Skip, Tally
from streamer.stream.grid import phase_us
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from tests.stream.logs import START_US, STEP_US, only, renumbered
from tests.stream.reference import Record, Sample, Window
from tests.stream.runs import assert_agrees, recovered, take_in

HOP_US = WINDOW.hop_us
GRID_US = START_US - START_US % HOP_US + phase_us("a", HOP_US)
"""Where a hop of device "a" begins."""
SECOND_US = 1_000_000

Floats = npt.NDArray[np.float64]


def walk(times_us: npt.ArrayLike) -> tuple[Sample, ...]:
    """What both sensors measure of a walk, whatever their rate."""
    times = np.asarray(times_us, np.int64)
    seconds = (times - GRID_US) / SECOND_US
    turns = 2 * np.pi * seconds[:, None] * [1.9, 3.8, 0.95, 1.9, 0.95, 3.8] + np.arange(6)
    values = np.sin(turns) * [0.3, 0.2, 0.1, 1.0, 0.5, 0.3] + [0.1, 0.97, 0.05, 0, 0, 0]
    return tuple(map(Sample, times.tolist(), map(tuple, values.tolist())))


def published(samples: tuple[Sample, ...], per_record: int = 10) -> list[Record]:
    """Records of device "a", each as soon as it is complete."""
    parts = [samples[i : i + per_record] for i in range(0, len(samples), per_record)]
    return [Record(i, part[-1].time_us, "a", part) for i, part in enumerate(parts)]


def every(step_us: float, seconds: float, begin_us: int = GRID_US + 3_000) -> npt.NDArray[np.int64]:
    """Times at a steady rate."""
    times: npt.NDArray[np.int64] = np.rint(np.arange(0, seconds * SECOND_US, step_us)).astype(int)
    return begin_us + times


def run(log: list[Record], rules: Rules | None = None) -> tuple[list[Window], Tally]:
    partition = PartitionWindows(rules or Rules(), WINDOW)
    result = take_in(partition, log, 0, len(log), [7])
    return result.windows.get("a", []), partition.tally


def signals_of(window: Window) -> Floats:
    return np.frombuffer(window.signals).reshape(9, WINDOW.length + 1)


def interleaved(*parts: list[Record]) -> list[Record]:
    return renumbered(sorted((each for part in parts for each in part), key=lambda r: r.clock_us))


def apart(acc_us: npt.NDArray[np.int64], gyro_us: npt.NDArray[np.int64]) -> list[Record]:
    """Each sensor in records of its own, at its own times."""
    acc = published(tuple(only("acc", each) for each in walk(acc_us)))
    gyro = published(tuple(only("gyro", each) for each in walk(gyro_us)))
    return interleaved(acc, gyro)


@pytest.mark.parametrize(
    "step_us", [80_000, 40_000, 32_000, 25_000, 21_001, 18_999, 16_000, 10_000, 5_000, 1_000]
)
def test_a_device_of_any_rate_has_the_windows_of_one_at_50_hz(step_us: int) -> None:
    wanted, _ = run(published(walk(every(STEP_US, 14, GRID_US))))
    found, tally = run(published(walk(every(step_us, 14))))
    assert [window.start_us for window in found] == [window.start_us for window in wanted[:9]]
    assert not tally.skipped
    for one, other in zip(found[2:], wanted[2:], strict=False):
        # Filters that are not settled remember their first sample; lines cut the tops off.
        close = 0.25 if step_us > STEP_US else 0.15
        assert np.abs(signals_of(one) - signals_of(other)).max() < close


@pytest.mark.parametrize("step_us", [19_000, 20_000, 21_000])
def test_within_5_percent_samples_are_taken_as_they_come(step_us: int) -> None:
    log = published(walk(every(step_us, 12)))
    assert_agrees(Rules(), WINDOW, log, [9])
    values = np.array([sample.values for record in log for sample in record.samples])
    partition = PartitionWindows(Rules(), WINDOW)
    take_in(partition, log, 0, len(log), [9])
    table = partition._table
    slots = int(table.columns.slots[0]) - 1 - np.arange(100)
    newest = table.rings.values[table.cells(np.zeros(100, np.int64), slots)]
    assert np.array_equal(newest, values[::-1][:100])


def test_jitter_of_5_ms_and_a_quarter_of_the_samples_lost_leave_all_windows() -> None:
    rng = np.random.default_rng(2)
    times = every(STEP_US, 20)
    jittered = np.sort(times + np.rint(rng.normal(0, 5_000, len(times))).astype(np.int64))
    for log in (
        published(walk(jittered)),
        published(tuple(each for each in walk(times) if rng.random() > 0.25)),
    ):
        windows, tally = run(log)
        assert len(windows) == 14
        assert not tally.skipped


@pytest.mark.parametrize(
    ("first_us", "then_us", "lost"),
    [(10_000, 20_000, 0), (10_000, 40_000, 0), (20_000, 40_000, 4), (20_000, 10_000, 4)],
)
def test_a_rate_that_changes_costs_four_windows_at_most(
    first_us: int, then_us: int, lost: int
) -> None:
    # rate      |      100 Hz      |      50 Hz       |
    # treatment |    resampled     | . |  as it comes |
    first = every(first_us, 10.5)
    then = every(then_us, 10, int(first[-1]) + then_us)
    log = published(walk(np.concatenate([first, then])))
    windows, tally = run(log)
    assert tally.skipped.total() <= lost
    assert len(windows) >= 14 - lost
    assert_agrees(Rules(), WINDOW, log, [11])


def test_sensors_that_come_apart_are_joined_in_time() -> None:
    wanted, _ = run(published(walk(every(STEP_US, 14, GRID_US))))
    log = apart(every(STEP_US, 14), every(STEP_US, 14, GRID_US + 10_000))
    found, tally = run(log)
    assert [window.start_us for window in found] == [window.start_us for window in wanted]
    assert all(window.gyroscope for window in found)
    assert not tally.skipped
    assert tally.late == 0
    for one, other in zip(found[2:], wanted[2:], strict=True):
        assert np.abs(signals_of(one) - signals_of(other)).max() < 0.15


def test_sensors_may_have_rates_of_their_own() -> None:
    log = apart(every(10_000, 10), every(16_000, 10, GRID_US + 9_000))
    windows, tally = run(log)
    assert len(windows) == 6
    assert not tally.skipped
    assert_agrees(Rules(), WINDOW, log, [5])


def test_a_sensor_that_stops_is_a_gap_and_then_absent() -> None:
    # acc    |--------------------------------------------|
    # gyro   |-------------| stops            | is back
    #                      gap     5.12 s     gap
    gyro_us = every(STEP_US, 10)
    log = apart(
        every(STEP_US, 40), np.concatenate([gyro_us, every(STEP_US, 10, GRID_US + 30 * SECOND_US)])
    )
    windows, tally = run(log)
    assert tally.skipped[Skip.GAP] >= 2
    assert {window.gyroscope for window in windows} == {True, False}
    without = [window.start_us for window in windows if not window.gyroscope]
    assert min(without) > gyro_us[-1]
    assert windows[-1].gyroscope
    assert_agrees(Rules(), WINDOW, log, [13])


def test_a_device_without_a_gyroscope_has_windows_that_say_so() -> None:
    # It is known after 5.12 s: until then a gyroscope may yet come.
    log = published(tuple(only("acc", each) for each in walk(every(10_000, 14))))
    windows, tally = run(log)
    assert [window.gyroscope for window in windows] == [False] * 9
    assert not tally.skipped
    for window in windows:
        assert not signals_of(window)[6:].any()


def test_each_sensor_has_its_own_duplicates_and_late_samples() -> None:
    log = apart(every(STEP_US, 4), every(STEP_US, 4))
    again = [replace(record, offset=record.offset + len(log)) for record in log[-6:]]
    partition = PartitionWindows(Rules(), WINDOW)
    take_in(partition, [*log, *again], 0, len(log) + 6, [3])
    tally = partition.tally
    assert tally.duplicate == 60
    assert tally.used + partition.waiting == 400
    old = [replace(record, offset=record.offset + len(log) + 6) for record in log[:2]]
    take_in(partition, [*log, *again, *old], len(log) + 6, len(log) + 8, [1])
    assert partition.tally.late == 20


@pytest.mark.parametrize("crash_s", [3, 20, 47, 60, 84])
@pytest.mark.parametrize("kind", ["apart", "acc", "rate"])
def test_after_a_crash_a_device_is_treated_as_before(kind: str, crash_s: int) -> None:
    # Epochs begin every 40.96 s; a recovery begins five hops before one.
    fast, slow = every(10_000, 33), every(25_000, 60, GRID_US + 33 * SECOND_US)
    logs = {
        "apart": lambda: apart(every(STEP_US, 90), every(16_000, 90, GRID_US + 9_000)),
        "acc": lambda: published(tuple(only("acc", s) for s in walk(every(STEP_US, 90)))),
        "rate": lambda: published(walk(np.concatenate([fast, slow]))),
    }
    log = logs[kind]()
    crash = next(i for i, each in enumerate(log) if each.clock_us > GRID_US + crash_s * SECOND_US)
    whole = PartitionWindows(Rules(), WINDOW)
    take_in(whole, log, 0, crash, [50])
    second = recovered(Rules(), WINDOW, log, whole, crash, [9])
    assert take_in(second, log, crash, len(log), [9]) == take_in(whole, log, crash, len(log), [50])
