"""Samples become slots: holes are filled, windows are opened, filter epochs begin. Compiled.

A step of ``dt`` between two samples is ``max(1, round(dt / step))`` slots, halves up::

    samples  0     20          60   83 ms
    slots    0     1     2     3    4        slot 2 is a filled hole at 40 ms

Nothing else is resampled, so a regular stream passes through untouched.
"""

from typing import NamedTuple

from streamer.arrays import Floats, Ints
from streamer.compiled import compiled_inline, compiled_together
from streamer.features.filter_chains import CHAINS
from streamer.stream.devices import NOT_DUE, OPEN
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
    """Return how many slots a step in time is worth, at least one."""
    return (2 * dt_us + step_us) // (2 * step_us) if 2 * dt_us >= 3 * step_us else 1


@compiled_together
def start_anew(device: int, at_us: int, offset: int, by_clock: bool, state: State) -> None:
    """Start a device anew: nothing before the slot that lands next matters.

    But that a life was begun by late samples depends on the life before it.
    """
    columns, cursor, limits = state.columns, state.cursor, state.limits
    columns.closed[device] = columns.opened[device]
    columns.base[device] = columns.slots[device]
    columns.follows[device] = False
    columns.last_offset[device] = offset
    into_us = at_us - columns.phase_us[device]
    hop = into_us // limits.hop_us
    # A device that starts within a step of a hop's beginning has not missed any of it.
    on_time = into_us - hop * limits.hop_us < limits.step_us
    columns.hop[device] = hop - 1 if on_time else hop
    cursor.filtered[device] = columns.slots[device]
    cursor.restart[device] = NOT_DUE
    if by_clock or offset <= columns.restart_until[device]:
        offset = _lowest(device, offset, state)
    for chain in range(CHAINS):
        cursor.low[device, chain] = offset


@compiled_together
def _lowest(device: int, offset: int, state: State) -> int:
    """Return the smallest offset that a device depends on already, or this one."""
    for chain in range(CHAINS):
        offset = min(offset, state.cursor.low[device, chain])
    return offset


@compiled_inline
def land_slot(samples: Admitted, i: int, part: int, slots: int, state: State) -> bool:
    """Land one of the slots that a sample is worth, of which the last is the sample itself.

    Returns whether it opens a window.
    """
    columns, cursor, rings = state.columns, state.cursor, state.rings
    device, at_us, offset = samples.row[i], samples.time_us[i], samples.offset[i]
    slot = columns.slots[device]
    at, mask = state.places.at[device], state.places.mask[device]
    before, here = at + ((slot - part) & mask), at + (slot & mask)
    if part < slots:
        before_us = rings.time_us[before]
        at_us = before_us + (at_us - before_us) * part // slots
        offset = min(offset, columns.last_offset[device])
    for channel in range(samples.values.shape[1]):
        value = samples.values[i, channel]
        if part < slots:
            first = rings.values[before, channel]
            value = first + (value - first) * (part / slots)
        rings.values[here, channel] = value
    rings.time_us[here] = at_us
    rings.real[here] = part == slots
    columns.slots[device] = slot + 1
    low = min(offset, columns.last_offset[device])
    columns.last_offset[device] = offset
    for chain in range(CHAINS):
        cursor.low[device, chain] = min(cursor.low[device, chain], offset)
    if at_us - columns.phase_us[device] < (columns.hop[device] + 1) * state.limits.hop_us:
        return False
    _begin_hop(device, at_us, low, state)
    return True


@compiled_together
def _begin_hop(device: int, at_us: int, low: int, state: State) -> None:
    """Open a window at the last slot, the first one in its hop; it may begin an epoch too."""
    columns, cursor, limits = state.columns, state.cursor, state.limits
    slot = columns.slots[device] - 1
    hop = (at_us - columns.phase_us[device]) // limits.hop_us
    epoch = hop // limits.epoch_hops
    if slot > columns.base[device] and epoch > columns.hop[device] // limits.epoch_hops:
        cursor.restart[device] = slot
        cursor.restart_chain[device] = epoch % CHAINS
        is_new = low <= columns.restart_until[device]
        cursor.low[device, epoch % CHAINS] = _lowest(device, low, state) if is_new else low
    columns.hop[device] = hop
    position = columns.opened[device] % OPEN
    columns.window_slot[device, position] = slot
    columns.window_hop[device, position] = hop
    columns.opened[device] += 1
