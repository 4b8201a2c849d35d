"""Closes windows whose slots have all landed, and skips those that get no prediction."""

from typing import NamedTuple, Self

import numpy as np

from streamer.arrays import Bools, Floats, Ints
from streamer.compiled import compiled_inline, compiled_together
from streamer.features.filter_chains import CHAINS
from streamer.stream.accounting import Skip, Tally
from streamer.stream.device_columns import OPEN, PRESENT
from streamer.stream.device_table import DeviceTable
from streamer.stream.filter_slots import filter_up_to
from streamer.stream.state import State
from streamer.stream.windows import RATE_TOLERANCE, ClosedWindows

_COUNTS = 9
OPENED, CLOSED, UNSETTLED, GAP, IDLE, PUSHED_OUT, LATE, RATE, COVERAGE = range(_COUNTS)
"""Columns of `WindowBuffer.counts`."""

SKIPS = {
    GAP: Skip.GAP,
    IDLE: Skip.IDLE,
    PUSHED_OUT: Skip.CROWDED,
    LATE: Skip.CLOCK,
    RATE: Skip.SAMPLING_RATE,
    COVERAGE: Skip.COVERAGE,
}
"""Why windows are skipped, by the place of their count."""


class WindowBuffer(NamedTuple):
    """Arrays into which compiled code writes closed windows, see `ClosedWindows`, and counts."""

    row: Ints
    start_us: Ints
    coverage: Floats
    settled: Bools
    follows: Bools
    gyroscope: Bools
    signals: Floats
    counts: Ints

    @classmethod
    def of(cls, windows: int, signals: tuple[int, ...]) -> Self:
        """Return a buffer for so many windows; their signals have the shape (9, length + 1)."""
        return cls(
            np.empty(windows, np.int64),
            np.empty(windows, np.int64),
            np.empty(windows),
            np.empty(windows, np.bool_),
            np.empty(windows, np.bool_),
            np.empty(windows, np.bool_),
            np.empty((windows, *signals)),
            np.zeros(_COUNTS, np.int64),
        )

    def windows(self, n: int, table: DeviceTable) -> ClosedWindows:
        """Return the first n windows."""
        return ClosedWindows(
            table.ids(self.row[:n]),
            self.start_us[:n],
            self.coverage[:n],
            self.settled[:n],
            self.follows[:n],
            self.gyroscope[:n],
            self.signals[:n],
        )

    def add_to(self, tally: Tally) -> None:
        """Add the counts to a tally."""
        counts: list[int] = self.counts.tolist()
        tally.opened += counts[OPENED]
        tally.closed += counts[CLOSED]
        tally.unsettled += counts[UNSETTLED]
        for place, reason in SKIPS.items():
            tally.skip(reason, counts[place])


@compiled_inline
def is_complete(device: int, state: State) -> bool:
    """Return whether the oldest window is complete: the two slots after its last one are there."""
    columns = state.columns
    slot = columns.window_slot[device, columns.closed[device] % OPEN]
    complete = slot + state.limits.length + 1
    return bool(
        columns.closed[device] < columns.opened[device] and complete < columns.slots[device]
    )


@compiled_together
def close_oldest(device: int, n: int, state: State, room: WindowBuffer) -> int:
    """Filter up to the end of the oldest window, and close or skip it.

    A window that is to be predicted is written to place n of the buffer.

    Returns:
        The next free place of the buffer.
    """
    columns, cursor, limits = state.columns, state.cursor, state.limits
    position = columns.closed[device] % OPEN
    slot = columns.window_slot[device, position]
    filter_up_to(device, slot + limits.length + 1, state)
    columns.closed[device] += 1

    coverage = _coverage(device, slot, state)
    off_rate = _is_off_rate(device, slot, state)
    good = not off_rate and coverage >= limits.min_coverage
    follows = columns.follows[device]
    columns.follows[device] = good
    if not good:
        columns.skipped[device] = RATE if off_rate else COVERAGE
        room.counts[columns.skipped[device]] += 1
        return n

    hop = columns.window_hop[device, position]
    # The window's nominal end is two hops on; its signals come from the epoch before that one.
    chain = ((hop + limits.hops) // limits.epoch_hops - 1) % CHAINS
    start_us = columns.phase_us[device] + hop * limits.hop_us
    settled = start_us - cursor.start_us[device, chain] >= limits.settled_us
    room.row[n] = device
    room.start_us[n] = start_us
    room.coverage[n] = coverage
    room.settled[n] = settled
    room.follows[n] = follows
    room.gyroscope[n] = state.sampling.run[device, PRESENT + 1] == 1
    room.counts[CLOSED] += 1
    room.counts[UNSETTLED] += not settled
    row, history = state.places.chain[device], state.rings.chains.history
    for signal in range(room.signals.shape[1]):
        for t in range(room.signals.shape[2]):
            room.signals[n, signal, t] = history[row, chain, signal, t]
    return n + 1


@compiled_together
def _coverage(device: int, slot: int, state: State) -> float:
    """Return the share of a window's slots that are samples, not filled holes."""
    at, mask = state.places.at[device], state.places.mask[device]
    real = 0
    for i in range(slot, slot + state.limits.length):
        real += state.rings.real[at + (i & mask)]
    return real / state.limits.length


@compiled_together
def _is_off_rate(device: int, slot: int, state: State) -> bool:
    at, mask = state.places.at[device], state.places.mask[device]
    time_us, limits = state.rings.time_us, state.limits
    nominal_us = (limits.length - 1) * limits.step_us
    last_us = time_us[at + ((slot + limits.length - 1) & mask)]
    span_us = last_us - time_us[at + (slot & mask)]
    return bool(abs(span_us - nominal_us) * RATE_TOLERANCE > nominal_us)
