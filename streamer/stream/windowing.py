"""Admitted samples of a partition become closed windows. This is the windowing algorithm.

For each device, and for each of its samples in the order of their times:

1. A sample that comes more than ``max_gap`` after the one before it, or begins a new life of its
   device, starts the device anew: its open windows are skipped, its filters will start at rest.
   (`slots.start_anew`)
2. Otherwise the hole before it is filled: a step of about n times 20 ms becomes n slots, of which
   n - 1 are interpolated. (`slots.slots_of`, `slots.land_slot`)
3. Each slot lands in the device's ring. The first slot at or after the nominal start h of a hop
   opens the window of that hop, and may begin a new epoch of the filters. (`slots.land_slot`)
4. A window is complete when its 128 slots and the two after them have landed. The device's slots
   are then filtered up to the first of those two, and the window takes the newest 129 signals of
   the chain that is warm. (`filter_slots.filter_up_to`, `closing.close_oldest`)
5. A window sampled too fast, too slowly or too sparsely is skipped; every other one is handed on.
   (`closing.close_oldest`)

In time, hops of 64 slots, a device that starts within hop k - 1::

    hop                k         k+1       k+2       k+3
    slots   .....|.....0.........64........128..130..192..194..
    window k           |-------------------|..^              closes with slot 129
    window k+1                   |-------------------|..^    closes with slot 193
                                                      ^ one for the jerk, one for the median

The work is done sample by sample, by compiled code, in batches of about `ENOUGH_WINDOWS` windows.
"""

from collections.abc import Iterator

import numpy as np

from streamer.compiled import as_index, compiled_inline, compiled_together
from streamer.features.window_shape import WindowShape
from streamer.stream.accounting import Tally
from streamer.stream.admission import Arrivals
from streamer.stream.closing import (
    GAP,
    IDLE,
    LATE,
    OPENED,
    PUSHED_OUT,
    WindowBuffer,
    close_oldest,
    is_complete,
)
from streamer.stream.device_columns import (
    CROWDED,
    DECIDED,
    FIRST_US,
    LAST_US,
    NEXT_HOP_US,
    OPEN,
    RESAMPLED,
    UNEVEN_US,
    WORTH,
    Columns,
)
from streamer.stream.device_table import DeviceTable
from streamer.stream.filter_slots import filter_up_to
from streamer.stream.resampling import next_slot, take_in
from streamer.stream.rings import RING, grow
from streamer.stream.rules import Rules
from streamer.stream.sampling import (
    HELD,
    begin_run,
    depend,
    hold_single,
    remember,
    starts_anew,
    take_part,
    treat,
)
from streamer.stream.slots import Admitted, land_part, open_windows, slots_of
from streamer.stream.state import State, Tools
from streamer.stream.watermarks import BY_CLOCK, BY_CROWD, LIVES
from streamer.stream.windows import ENOUGH_WINDOWS, ClosedWindows


class Windowing:
    """Finds the windows of admitted samples, for all devices of a table."""

    def __init__(self, rules: Rules, shape: WindowShape, table: DeviceTable) -> None:
        self._table = table
        self._tools = Tools.of(shape, rules)

    def land(self, samples: Arrivals, tally: Tally) -> Iterator[ClosedWindows]:
        """Take in admitted samples.

        Returns:
            The windows that have all they need then, each device's in the order of its grid.
        """
        tally.used += len(samples)
        table = self._table
        columns = Admitted(
            samples.row, samples.life, samples.time_us, samples.values, samples.offset
        )
        singles = bool(samples.single.any())
        at = 0
        while at < len(samples):
            # The last sample, with the hole before it, may complete more than one window.
            room = WindowBuffer.of(ENOUGH_WINDOWS + OPEN, table.rings.chains.history.shape[2:])
            at, n = _land(columns, singles, at, State.of(table, self._tools), room)
            if at < len(samples) and n < ENOUGH_WINDOWS:
                table.make_room()
            room.add_to(tally)
            if n:
                yield room.windows(n, table)


@compiled_together
def _land(
    samples: Admitted, singles: bool, begin: int, state: State, room: WindowBuffer
) -> tuple[int, int]:
    """Land samples until `ENOUGH_WINDOWS` are closed, or a few more, or a ring finds no room.

    Returns which sample is next, and how many windows are in the room.
    """
    columns, filtered = state.columns, state.cursor.filtered
    acc = gyro = True
    n = 0
    for i in range(begin, len(samples.row)):
        if n >= ENOUGH_WINDOWS:
            return i, n
        device = as_index(samples.row[i])
        if state.places.mask[device] < RING - 1 and not _fits(samples, i, state):
            return i, n
        if singles:
            acc, gyro = not np.isnan(samples.values[i, 0]), not np.isnan(samples.values[i, 3])
        slots = _begin_sample(samples, i, acc, gyro, state, room)
        part = 1
        while _land_next(samples, i, part, slots, state, room):
            part += 1
            if is_complete(device, state):
                n = close_oldest(device, n, state, room)
            elif columns.slots[device] - filtered[device] > CROWDED:
                filter_up_to(device, columns.slots[device] - 1, state)
    return len(samples.row), n


@compiled_together
def _fits(samples: Admitted, i: int, state: State) -> bool:
    """Return whether a device's ring has room for a sample's slots; it grows if it can.

    Once it is decided how a run is sampled it needs the largest ring: it may be resampled.
    """
    device, at_us = as_index(samples.row[i]), samples.time_us[i]
    run, limits, count = state.sampling.run, state.limits, state.columns.slots[device]
    dt_us = at_us - run[device, LAST_US]
    wanted = count - state.columns.base[device] + 1
    if dt_us <= limits.max_gap_us:
        wanted += slots_of(dt_us, limits.step_us) - 1
        if (
            state.sensors.apart[device]
            or at_us - run[device, FIRST_US] >= limits.hop_us
            or wanted > HELD
        ):
            wanted = RING
    if wanted <= state.places.mask[device] + 1:
        return True
    return grow(device, count, state.sensors.landed, wanted, state.places, state.rings)


@compiled_inline
def _begin_sample(
    samples: Admitted, i: int, acc: bool, gyro: bool, state: State, room: WindowBuffer
) -> int:
    """Decide how a sample becomes slots; it may start its device anew.

    Returns how many slots it is worth if it is taken as it comes.
    """
    device, at_us = as_index(samples.row[i]), samples.time_us[i]
    run, limits, apart = state.sampling.run, state.limits, state.sensors.apart[device]
    begun = _begun_life(samples, i, state.columns)
    dt_us = at_us - run[device, LAST_US]
    slots = 1
    if begun > 0 or (
        starts_anew(device, at_us, acc, gyro, state) if apart else dt_us > limits.max_gap_us
    ):
        skipped = open_windows(device, state)
        room.counts[_reason(begun)] += skipped
        # A device that only has gaps opens no window.
        if skipped or (begun == 0 and state.columns.slots[device] > 0):
            state.columns.skipped[device] = _reason(begun)
        begin_run(device, at_us, samples.offset[i], begun, state)
        take_part(device, at_us, acc, gyro, state)
    else:
        if apart:
            take_part(device, at_us, acc, gyro, state)
        if acc and gyro and run[device, DECIDED] and at_us < run[device, NEXT_HOP_US]:
            slots = slots_of(dt_us, limits.step_us)
            run[device, WORTH] += slots
            run[device, UNEVEN_US] += abs(dt_us - slots * limits.step_us)
        else:
            slots = treat(device, at_us, not (acc and gyro), state, room.counts)
    depend(device, samples.offset[i], state)
    remember(device, 0 if acc else 1, at_us, state)
    if run[device, RESAMPLED]:
        take_in(device, at_us, samples.values, i, state)
    elif not (acc and gyro):
        hold_single(samples, i, state)
        slots = 0
    return slots


@compiled_inline
def _land_next(
    samples: Admitted, i: int, part: int, slots: int, state: State, room: WindowBuffer
) -> bool:
    """Land the next slot of a sample, its part-th; says if there was one."""
    device = as_index(samples.row[i])
    if state.sampling.run[device, RESAMPLED]:
        return next_slot(device, samples.time_us[i], samples.values, i, state, room.counts)
    if part > slots:
        return False
    room.counts[OPENED] += land_part(samples, i, part, slots, state)
    return True


@compiled_inline
def _begun_life(samples: Admitted, i: int, columns: Columns) -> int:
    """Return the number of the life that a sample begins, 0 if it goes on with the one before."""
    device, life = as_index(samples.row[i]), samples.life[i]
    if i == 0 or samples.row[i - 1] != device:
        fresh = columns.fresh[device]
        columns.fresh[device] = 0
        return int(life if life > 0 else fresh)
    return int(0 if life == samples.life[i - 1] else life)


@compiled_inline
def _reason(begun: int) -> int:
    """Return the place of the count of windows that are open when a device starts anew."""
    if begun == 0:
        return GAP
    why = begun % LIVES
    if why == BY_CLOCK:
        return LATE
    return PUSHED_OUT if why == BY_CROWD else IDLE
