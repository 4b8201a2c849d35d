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

from streamer.compiled import compiled_inline, compiled_together
from streamer.features.feature_set import FeatureSet
from streamer.stream.accounting import Tally
from streamer.stream.admission import Arrivals
from streamer.stream.closing import GAP, IDLE, LATE, OPENED, Room, close_oldest, is_complete
from streamer.stream.devices import CROWDED, OPEN, Columns, DeviceTable
from streamer.stream.filter_slots import filter_up_to
from streamer.stream.rings import RING, grow
from streamer.stream.rules import Rules
from streamer.stream.slots import Admitted, land_slot, slots_of, start_anew
from streamer.stream.state import State, Tools
from streamer.stream.watermarks import CLOCK
from streamer.stream.windows import ENOUGH_WINDOWS, ClosedWindows


class Windowing:
    """Finds the windows of admitted samples, for all devices of a table."""

    def __init__(self, rules: Rules, features: FeatureSet, table: DeviceTable) -> None:
        self._table = table
        self._tools = Tools.of(features, rules)

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
        at = 0
        while at < len(samples):
            # The last sample, with the hole before it, may complete more than one window.
            room = Room.of(ENOUGH_WINDOWS + OPEN, table.rings.chains.history.shape[2:])
            at, n = _land(columns, at, State.of(table, self._tools), room)
            if at < len(samples) and n < ENOUGH_WINDOWS:
                table.make_room()
            room.add_to(tally)
            if n:
                yield room.windows(n, table)


@compiled_inline
def _life_begun(samples: Admitted, i: int, columns: Columns) -> int:
    """Return the number of the life that a sample begins; 0 if it begins none."""
    device, life = samples.row[i], samples.life[i]
    if i > 0 and samples.row[i - 1] == device:
        return int(life if life != samples.life[i - 1] else 0)
    fresh = columns.fresh[device]
    columns.fresh[device] = 0
    return int(life if life > 0 else fresh)


@compiled_inline
def _fits(device: int, slots: int, state: State) -> bool:
    """Return whether a device's ring has room for some more slots; it grows if it can."""
    count = state.columns.slots[device]
    wanted = count + slots - state.columns.base[device]
    is_full = wanted > state.places.mask[device] + 1
    return not is_full or grow(device, count, wanted, state.places, state.rings)


@compiled_together
def _land(samples: Admitted, begin: int, state: State, room: Room) -> tuple[int, int]:
    """Land samples until `ENOUGH_WINDOWS` are closed, or a few more, or a ring finds no room.

    Returns which sample is next, and how many windows are in the room.
    """
    row, columns, limits = samples.row, state.columns, state.limits
    places = state.places
    n = 0
    for i in range(begin, len(row)):
        if n >= ENOUGH_WINDOWS:
            return i, n
        device, slots = row[i], 1
        count = columns.slots[device]
        newest = places.at[device] + ((count - 1) & places.mask[device])
        dt_us = samples.time_us[i] - state.rings.time_us[newest]
        is_gap = count == 0 or dt_us > limits.max_gap_us
        if not is_gap:
            slots = slots_of(dt_us, limits.step_us)
        if places.mask[device] < RING - 1 and not _fits(device, slots, state):
            return i, n
        begun = _life_begun(samples, i, columns)
        if begun > 0 or is_gap:
            slots = 1
            skipped = columns.opened[device] - columns.closed[device]
            by_clock = begun % 2 == CLOCK
            room.counts[LATE if by_clock else IDLE if begun > 0 else GAP] += skipped
            start_anew(device, samples.time_us[i], samples.offset[i], by_clock, state)
        for part in range(1, slots + 1):
            room.counts[OPENED] += land_slot(samples, i, part, slots, state)
            if is_complete(device, state):
                n = close_oldest(device, n, state, room)
            elif columns.slots[device] - state.cursor.filtered[device] > CROWDED:
                filter_up_to(device, columns.slots[device] - 1, state)
    return len(row), n
