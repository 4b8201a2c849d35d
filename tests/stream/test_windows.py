"""Which windows there are, when they close, and what is in them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.features.filters import condition
from streamer.features.window_shape import WINDOW
from streamer.stream.accounting import Skip
from streamer.stream.grid import phase_us
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from streamer.stream.slots import slots_of
from tests.stream.logs import (
    RULES,
    SHORT_EPOCHS,
    SIZES,
    START_US,
    STEP_US,
    logs,
    regular,
    renumbered,
    samples,
)
from tests.stream.reference import Record, Window
from tests.stream.runs import assert_agrees, take_in

HOP_US = WINDOW.hop_us
GRID_US = START_US - START_US % HOP_US + phase_us("a", HOP_US)
"""Where a hop of device "a" begins."""


def windows_of(log: list[Record], rules: Rules | None = None) -> list[Window]:
    partition = PartitionWindows(rules or Rules(), WINDOW)
    return take_in(partition, log, 0, len(log), [len(log)]).windows.get("a", [])


def signals_of(window: Window) -> Floats:
    return np.frombuffer(window.signals).reshape(9, WINDOW.length + 1)


def published(times: list[int]) -> list[Record]:
    """One record with all samples of device "a"."""
    return [Record(0, times[-1], "a", samples(times))]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_windows_verdicts_and_counts_are_those_of_the_reference(data: st.DataObject) -> None:
    rules = data.draw(RULES)
    log = data.draw(logs(rules))
    sizes = data.draw(SIZES)
    flushed = data.draw(st.sets(st.integers(1, len(log)), max_size=2))
    # Windows do not depend on how the log is cut, but a flush lies between two batches.
    assert_agrees(rules, SHORT_EPOCHS, log, sizes, flushed)


def test_real_epochs_agree_with_the_reference() -> None:
    phone = regular("phone", START_US, 7_000, per_record=25)
    watch = regular("watch", START_US + 7_000, 6_500, per_record=9, seed=1)
    log = renumbered(sorted(phone + watch, key=lambda record: record.clock_us))
    assert_agrees(Rules(), WINDOW, log, [300, 1, 60])


@pytest.mark.parametrize("offset_us", [0, 1, 7_300, 19_999])
def test_a_regular_stream_is_not_resampled_wherever_it_lies_on_the_grid(offset_us: int) -> None:
    # hop       |         k         |        k+1        |
    # samples   | *  *  *  *  * ... | *  *  *
    #             ^ the window starts here and takes 128 samples as they are
    log = regular("a", GRID_US + offset_us, 1_000)
    raw = np.array([sample.values for record in log for sample in record.samples]).T
    signals = condition(np.ascontiguousarray(raw), start="rest")
    windows = windows_of(log)
    assert [window.start_us for window in windows] == [GRID_US + k * HOP_US for k in range(14)]
    for k, window in enumerate(windows):
        np.testing.assert_array_equal(signals_of(window), signals[:, 64 * k : 64 * k + 129])


def test_a_window_closes_with_its_130th_sample_and_not_before() -> None:
    # samples   0  1  2 ... 127 | 128    129
    #           the window      | jerk   median
    log = regular("a", GRID_US, 130)
    assert windows_of(log[:129]) == []
    assert len(windows_of(log)) == 1


@pytest.mark.parametrize(("into_us", "hops"), [(0, [0]), (19_999, [0]), (20_000, [1]), (-1, [0])])
def test_a_device_has_the_window_of_a_hop_that_it_starts_with_or_within_a_step_of(
    into_us: int, hops: list[int]
) -> None:
    # hop       |                   k                   |
    # samples   | *  *  *      starts within 20 ms: has window k
    #           |    *  *  *   has missed a sample of window k
    log = regular("a", GRID_US + into_us, 64 * 3 + 1)
    started = [(window.start_us - GRID_US) // HOP_US for window in windows_of(log)]
    assert started == hops


@pytest.mark.parametrize(
    ("pause_us", "closed", "skipped"), [(200_000, 1, {}), (200_001, 0, {Skip.GAP: 1})]
)
def test_a_gap_longer_than_max_gap_restarts_the_device(
    pause_us: int, closed: int, skipped: dict[Skip, int]
) -> None:
    # 50 samples   pause   80 samples
    # * * * * *             * * * * *
    begin = list(range(GRID_US, GRID_US + 50 * STEP_US, STEP_US))
    after = begin[-1] + pause_us
    log = published(begin + list(range(after, after + 80 * STEP_US, STEP_US)))
    partition = PartitionWindows(Rules(), WINDOW)
    take_in(partition, log, 0, 1, [1])
    assert (partition.tally.closed, dict(partition.tally.skipped)) == (closed, skipped)


@pytest.mark.parametrize(
    ("dt_us", "slots"),
    [(1, 1), (20_000, 1), (29_999, 1), (30_000, 2), (49_999, 2), (50_000, 3), (100_000, 5)],
)
def test_a_step_in_time_is_worth_its_rounded_number_of_slots_and_at_least_one(
    dt_us: int, slots: int
) -> None:
    assert slots_of(dt_us, STEP_US) == slots


def test_holes_are_filled_linearly_and_lower_the_coverage() -> None:
    # ms       0    20   40   60   80
    # samples  0.0                 0.8       the others lie on a line between the two
    # filling       0.2  0.4  0.6
    times = [GRID_US + slot * STEP_US for slot in range(131)]
    line = [replace(each, values=(i / 100,) * 6) for i, each in enumerate(samples(times))]
    whole = windows_of([Record(0, START_US, "a", tuple(line))])
    holes = {50, 51, 52, 90}
    kept = tuple(each for i, each in enumerate(line) if i not in holes)
    (window,) = windows_of([Record(0, START_US, "a", kept)])
    assert window.coverage == 124 / 128
    np.testing.assert_allclose(signals_of(window), signals_of(whole[0]), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("lost", "closed"), [(25, 1), (26, 0)])
def test_a_window_with_too_few_samples_is_skipped(lost: int, closed: int) -> None:
    # A fifth of 128 samples may be missing: 25, not 26.
    times = [GRID_US + slot * STEP_US for slot in range(131)]
    missing = set(range(3, 3 + 3 * lost, 3))
    log = published([each for i, each in enumerate(times) if i not in missing])
    partition = PartitionWindows(Rules(min_coverage=0.8), WINDOW)
    take_in(partition, log, 0, 1, [1])
    assert partition.tally.closed == closed
    assert partition.tally.skipped[Skip.COVERAGE] == 1 - closed
