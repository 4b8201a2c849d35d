"""The newest slots of each device, in rings that grow with what the device has sent. Compiled.

All rings lie in the same arrays. A ring begins with `SMALLEST` cells and is copied to one of twice
the size when it is full, up to `RING` cells. The cells that it leaves are free once
`DeviceTable.make_room` packs the arrays again. So a device that has sent one sample costs some
hundred bytes. docs/performance.md says what one costs that goes on sending.
"""

from typing import Final, NamedTuple, Self

import numpy as np

from streamer.arrays import Bools, Floats, HalfWords, Ints, map_zeros
from streamer.compiled import compiled_together
from streamer.features.filter_chains import Chains

RING: Final = 256
"""Cells of the largest ring; a power of two. 7.7 s at the slowest rate a slot can have."""

SMALLEST: Final = 4
"""Cells of a new ring; a power of two."""


_SPARE: Final = 64
"""Largest rings that packed arrays have room for besides twice what is there."""


class RingPlaces(NamedTuple):
    """Where the slots and the chains of each device are; each (rows,).

    Slot i of a device lives in cell ``at + (i & mask)``. As both are unsigned, compiled code need
    not ask whether a cell is counted from the end.
    """

    at: HalfWords
    mask: HalfWords
    """Cells of the ring less one."""
    chain: Ints
    """Row of the device's chains; -1 while its ring is not the largest: nothing is filtered yet."""

    @classmethod
    def empty(cls) -> Self:
        """Return no rows yet."""
        unsigned = np.zeros(0, np.uint32)
        return cls(unsigned, unsigned, np.zeros(0, np.int64))


class Rings(NamedTuple):
    """The cells of all rings, and the chains; those after `used` are free."""

    time_us: Ints
    """(cells,) times of the slots."""
    values: Floats
    """(cells, 6) samples."""
    real: Bools
    """(cells,) true for a sample, false for the filling of a hole."""
    landed_us: Ints
    """(2, cells) times of the last samples of each kind, see `Sensors`: sample i of a device lives
    in cell ``at + (i & mask)``. Devices that send no samples of kind 1 take no memory for them."""
    chains: Chains
    used: Ints
    """(2,) cells, and rows of chains."""

    @classmethod
    def room(cls, cells: int, chains: int, length: int) -> Self:
        """Return room for this many cells and rows of chains, for windows of a length."""
        return cls(
            map_zeros((cells,), np.int64),
            map_zeros((cells, 6), np.float64),
            map_zeros((cells,), np.bool_),
            map_zeros((2, cells), np.int64),
            Chains.room(chains, length),
            np.zeros(2, np.int64),
        )


@compiled_together
def grow(
    device: int, slots: int, landed: Ints, wanted: int, places: RingPlaces, rings: Rings
) -> bool:
    """Give a device a ring of at least so many cells, and chains with the largest ring.

    Args:
        device: its row.
        slots: how many slots it has had.
        landed: (rows, 2) how many samples of each kind have landed.
        wanted: how many it needs.
        places: of all devices.
        rings: of all devices.

    Returns:
        False if there is no room.
    """
    size = np.int64(places.mask[device]) + 1
    while size < min(wanted, RING):
        size *= 2
    used = rings.used[0]
    chains = 1 if size == RING else 0
    if used + size > len(rings.time_us) or rings.used[1] + chains > len(rings.chains.state):
        return False
    at, mask = places.at[device], places.mask[device]
    for slot in range(max(0, slots - mask - 1), slots):
        old, new = at + (slot & mask), used + (slot & (size - 1))
        rings.time_us[new] = rings.time_us[old]
        rings.real[new] = rings.real[old]
        for channel in range(rings.values.shape[1]):
            rings.values[new, channel] = rings.values[old, channel]
    for kind in range(2):
        count = landed[device, kind]
        for i in range(max(0, count - mask - 1), count):
            rings.landed_us[kind, used + (i & (size - 1))] = rings.landed_us[kind, at + (i & mask)]
    places.at[device], places.mask[device] = used, size - 1
    rings.used[0] += size
    if chains:
        places.chain[device] = rings.used[1]
        rings.used[1] += 1
    return True


def pack(rings: Rings, places: RingPlaces, rows: Ints, cells: int, length: int) -> Rings:
    """Return the rings of some rows in new arrays without anything between; moves their places.

    Args:
        rings: as they are.
        places: of all rows.
        rows: (n,) those that are kept.
        cells: how many more cells there is to be room for, at least.
        length: of a window.
    """
    sizes = places.mask[rows].astype(np.int64) + 1
    filtered = rows[places.chain[rows] >= 0]
    total, chains = int(sizes.sum()), len(filtered)
    # What is not used is not resident either, see `map_zeros`.
    room = 2 * total + max(cells, _SPARE * RING)
    packed = Rings.room(room, 2 * chains + _SPARE, length)
    ends = np.cumsum(sizes)
    old = np.repeat(places.at[rows] - ends + sizes, sizes) + np.arange(total)
    packed.time_us[:total] = rings.time_us[old]
    packed.values[:total] = rings.values[old]
    packed.real[:total] = rings.real[old]
    packed.landed_us[0, :total] = rings.landed_us[0, old]
    # Most devices send no samples of kind 1, and zeros that are copied would take memory.
    of_kind_1 = rings.landed_us[1, old]
    written = np.flatnonzero(of_kind_1)
    packed.landed_us[1, written] = of_kind_1[written]
    packed.chains.state[:chains] = rings.chains.state[places.chain[filtered]]
    packed.chains.history[:chains] = rings.chains.history[places.chain[filtered]]
    packed.used[:] = total, chains
    places.at[rows] = ends - sizes
    places.chain[filtered] = np.arange(chains)
    return packed
