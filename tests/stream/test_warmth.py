"""Filters that start anew at every epoch, against filters that never do."""

import numpy as np
import pytest

from streamer.arrays import Floats, Ints
from streamer.features.filters import condition
from streamer.features.window_shape import WINDOW
from streamer.stream.grid import phase_us
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from tests.stream.logs import START_US, STEP_US
from tests.stream.reference import Record, Sample, Window
from tests.stream.runs import take_in

SETTLED_US = 38_000_000
GRID_US = START_US - START_US % WINDOW.hop_us + phase_us("a", WINDOW.hop_us)


def movement(seconds: int, seed: int) -> Floats:
    """(6, n) half a minute of steps, half a minute of rest, and a body that slowly turns."""
    rng = np.random.default_rng(seed)
    time = np.arange(seconds * WINDOW.rate_hz) / WINDOW.rate_hz
    turn = 0.003 * rng.normal(size=len(time)).cumsum()
    phase = np.arange(3)[:, None]
    walking = np.sin(2 * np.pi * time / 60) > 0
    raw = 0.02 * rng.normal(size=(6, len(time)))
    raw[0] += np.cos(turn)
    raw[1] += np.sin(turn)
    raw[:3] += 0.4 * np.sin(2 * np.pi * 1.9 * time + phase) * walking
    raw[3:] += 1.2 * np.sin(2 * np.pi * 0.95 * time + phase) * walking + 0.05
    return raw


def windows_of(raw: Floats, times_us: Ints) -> list[Window]:
    taken = tuple(
        Sample(time_us, tuple(values))
        for time_us, values in zip(times_us.tolist(), raw.T.tolist(), strict=True)
    )
    log = [Record(0, START_US, "a", taken)]
    return take_in(PartitionWindows(Rules(), WINDOW), log, 0, 1, [1]).windows["a"]


@pytest.mark.parametrize("seed", range(3))
def test_once_settled_the_signals_are_those_of_filters_that_never_started_anew(seed: int) -> None:
    # s         0         38                                         300
    # settled   |   no    |                   yes                    |
    # apart by  | up to 1 |            less than 1e-6 g, rad/s       |
    start_us = START_US + seed * 15_777_777
    raw = movement(300, seed)
    times_us = start_us + STEP_US * np.arange(raw.shape[1])
    endless = condition(raw, start="rest")
    settled = [window for window in windows_of(raw, times_us) if window.settled]
    assert len(settled) > 200
    for window in settled:
        first = -(-(window.start_us - start_us) // STEP_US)
        signals = np.frombuffer(window.signals).reshape(9, -1)
        wanted = endless[:, first : first + WINDOW.length + 1]
        np.testing.assert_allclose(signals, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("into_us", [0, 19_999, 400_000, 1_279_999])
@pytest.mark.parametrize("hops", [0, 7, 31])
def test_windows_are_settled_from_38_s_after_the_first_sample(into_us: int, hops: int) -> None:
    start_us = GRID_US + hops * WINDOW.hop_us + into_us
    raw = movement(60, 0)
    windows = windows_of(raw, start_us + STEP_US * np.arange(raw.shape[1]))
    assert {window.settled for window in windows} == {False, True}
    for window in windows:
        assert window.settled == (window.start_us - start_us >= SETTLED_US)


def test_a_gap_unsettles_the_filters_and_an_epoch_does_not() -> None:
    # s         0        38           60  60.2      98.2        120
    # settled   |   no   |    yes     |gap|   no    |    yes    |
    raw = movement(120, 0)
    times_us = START_US + STEP_US * np.arange(raw.shape[1])
    times_us[3_000:] += 200_000
    windows = windows_of(raw, times_us)
    again_us = int(times_us[3_000])
    for window in windows:
        since_us = again_us if window.start_us > again_us - WINDOW.length_us else START_US
        assert window.settled == (window.start_us - since_us >= SETTLED_US)
    assert [window.settled for window in windows][-1]


def test_a_window_is_settled_after_exactly_38_s() -> None:
    # The first sample lies 38 s before a window's start, or a microsecond less.
    raw = movement(45, 0)
    window_us = GRID_US + 50 * WINDOW.hop_us
    for short_us, settled in ((0, True), (1, False)):
        start_us = window_us - SETTLED_US + short_us
        windows = windows_of(raw, start_us + STEP_US * np.arange(raw.shape[1]))
        (window,) = [window for window in windows if window.start_us == window_us]
        assert window.settled is settled
