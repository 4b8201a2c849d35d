"""Puts slots into a device's ring, opens windows and begins filter epochs. Compiled.

Samples at 50 Hz are slots. A step of ``dt`` between two of them is ``max(1, round(dt / step))``
slots, halves rounded up::

    samples  0     20          60   83 ms
    slots    0     1     2     3    4        slot 2 is a filled hole at 40 ms

`resampling` makes the slots of all other samples.
"""

from typing import NamedTuple

from streamer.arrays import Floats, Ints
from streamer.compiled import as_index, compiled_inline, compiled_together
from streamer.features.filter_chains import CHAINS
from streamer.stream.device_columns import ALWAYS, LOW, LOWS, NOT_DUE, OPEN
from streamer.stream.state import State


class Admitted(NamedTuple):
    """The columns of `Arrivals`."""

    row: Ints
    life: Ints
    time_us: Ints
    values: Floats
    offset: Ints


@compiled_inline
def slots_of(dt_us: int, step_us: int) -> int:
    """Return to how many slots a step in time corresponds, at least one."""
    return (2 * dt_us + step_us) // (2 * step_us) if 2 * dt_us >= 3 * step_us else 1


@compiled_inline
def open_windows(device: int, state: State) -> int:
    """Return the number of open windows."""
    columns = state.columns
    return int(columns.opened[device] - columns.closed[device] + columns.reopening[device])


@compiled_together
def begin_slots(device: int, at_us: int, state: State) -> None:
    """Begin a run of slots with the next one: give up open windows, start the filters at rest."""
    columns, cursor, limits = state.columns, state.cursor, state.limits
    columns.closed[device] = columns.opened[device]
    columns.reopening[device] = 0
    columns.base[device] = columns.slots[device]
    columns.follows[device] = False
    into_us = at_us - columns.phase_us[device]
    hop = into_us // limits.hop_us
    # A device that starts within a step of a hop's beginning has not missed any of it.
    on_time = into_us - hop * limits.hop_us < limits.step_us
    columns.hop[device] = hop - 1 if on_time else hop
    cursor.filtered[device] = columns.slots[device]
    cursor.restart[device] = NOT_DUE


@compiled_inline
def land_part(samples: Admitted, i: int, part: int, slots: int, state: State) -> bool:
    """Land one of the slots of a step; the last one is the sample, the others are interpolated.

    Returns:
        Whether it opens a window that is not counted yet.
    """
    columns, rings = state.columns, state.rings
    device, at_us = as_index(samples.row[i]), samples.time_us[i]
    slot = columns.slots[device]
    at, mask = state.places.at[device], state.places.mask[device]
    before, here = at + ((slot - part) & mask), at + (slot & mask)
    if part < slots:
        before_us = rings.time_us[before]
        at_us = before_us + (at_us - before_us) * part // slots
    for channel in range(samples.values.shape[1]):
        value = samples.values[i, channel]
        if part < slots:
            first = rings.values[before, channel]
            value = first + (value - first) * (part / slots)
        rings.values[here, channel] = value
    rings.real[here] = part == slots
    return land_slot(device, at_us, state)


@compiled_inline
def land_slot(device: int, at_us: int, state: State) -> bool:
    """Land a slot whose values are in the ring.

    Returns:
        Whether it opens a window that is not counted yet.
    """
    columns = state.columns
    slot = columns.slots[device]
    state.rings.time_us[state.places.at[device] + (slot & state.places.mask[device])] = at_us
    columns.slots[device] = slot + 1
    if at_us - columns.phase_us[device] < (columns.hop[device] + 1) * state.limits.hop_us:
        return False
    return _begin_hop(device, at_us, state)


@compiled_together
def _begin_hop(device: int, at_us: int, state: State) -> bool:
    """Open a window at the last slot, which is the first one of its hop, and maybe begin an epoch.

    Returns:
        Whether the window has not been counted yet.
    """
    columns, cursor, limits = state.columns, state.cursor, state.limits
    slot = columns.slots[device] - 1
    hop = (at_us - columns.phase_us[device]) // limits.hop_us
    epoch = hop // limits.epoch_hops
    if slot > columns.base[device] and epoch > columns.hop[device] // limits.epoch_hops:
        cursor.restart[device] = slot
        cursor.restart_chain[device] = epoch % CHAINS
        cursor.low[device, epoch % CHAINS] = chain_low(device, False, state)
    columns.hop[device] = hop
    position = columns.opened[device] % OPEN
    columns.window_slot[device, position] = slot
    columns.window_hop[device, position] = hop
    columns.opened[device] += 1
    if columns.reopening[device]:
        columns.reopening[device] -= 1
        return False
    return True


@compiled_together
def chain_low(device: int, by_clock: bool, state: State) -> int:
    """Return the smallest offset that a chain depends on if it starts with the next slot.

    It reaches `LOWS` crossings back. A life that late samples have begun depends on the life before
    it too.
    """
    run, cursor = state.sampling.run, state.cursor
    low = ALWAYS
    for k in range(LOWS):
        low = min(low, run[device, LOW + k])
    if by_clock or low <= state.columns.restart_until[device]:
        for chain in range(CHAINS):
            low = min(low, cursor.low[device, chain])
    return low
