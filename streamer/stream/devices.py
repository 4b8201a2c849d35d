"""The device table: one row a device, one NumPy column a fact about it."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt

from streamer.arrays import Bools, Ints
from streamer.features.feature_set import FeatureSet
from streamer.features.filter_chains import CHAINS
from streamer.stream.grid import phase_us
from streamer.stream.rings import RING, SMALLEST, Places, Rings, pack
from streamer.stream.samples import NEVER

CROWDED = RING // 2
"""Unfiltered slots of a device after which it is filtered though no window is complete."""

OPEN = 8
"""Windows of a device that may be open at once; a power of two. RING slots see at most 6 starts."""


ALWAYS = -NEVER
"""An offset, or a time, after all others."""

ALL = slice(None)

NOT_DUE = -1
"""No slot: no epoch waits to be started."""


class Columns(NamedTuple):
    """Everything that is known about each device but its slots and filters.

    Slots are numbered from a device's first sample on.
    """

    phase_us: Ints
    """Offset of its grid."""
    clock_us: Ints
    """Partition clock at its last record; the end of time before the first."""
    newest_us: Ints
    """Largest sample time seen."""
    late_since_us: Ints
    """Partition clock at the begin of the stream of late samples that it sends, or NEVER."""
    late_newest_us: Ints
    """Largest sample time of that stream."""
    restarted_clock_us: Ints
    """Partition clock at the begin of a life begun by late samples, while it is new, or NEVER."""
    restarted_time_us: Ints
    """Time of the first sample of that life."""
    restart_until: Ints
    """Chains that start up to this offset need the records that the life before it needed."""
    fresh: Ints
    """Number of the life that its next sample begins, see `watermarks.CLOCK`; 0 for none."""

    slots: Ints
    """Slots so far."""
    base: Ints
    """First slot since it last started anew."""
    hop: Ints
    """Hop of the grid in which the last slot lies."""
    last_offset: Ints
    """Smallest offset of a record that the last slot depends on."""

    opened: Ints
    """Windows opened so far; window j lives at position ``j % OPEN``."""
    closed: Ints
    """Windows closed or skipped so far."""
    follows: Bools
    """Whether the last window before the oldest open one was predicted, in the same life."""
    window_slot: Ints
    """(rows, OPEN) slot at which the window starts."""
    window_hop: Ints
    """(rows, OPEN) number k of the window on the device's grid."""

    @classmethod
    def empty(cls) -> Self:
        """No rows yet."""

        def ints(*tail: int) -> Ints:
            return np.zeros((0, *tail), np.int64)

        return cls(
            phase_us=ints(),
            clock_us=ints(),
            newest_us=ints(),
            late_since_us=ints(),
            late_newest_us=ints(),
            restarted_clock_us=ints(),
            restarted_time_us=ints(),
            restart_until=ints(),
            fresh=ints(),
            slots=ints(),
            base=ints(),
            hop=ints(),
            last_offset=ints(),
            opened=ints(),
            closed=ints(),
            follows=np.zeros(0, np.bool_),
            window_slot=ints(OPEN),
            window_hop=ints(OPEN),
        )


class Cursor(NamedTuple):
    """How far each device is filtered, and from which record on its chains can be built again."""

    filtered: Ints
    """Slots filtered so far."""
    restart: Ints
    """Slot that starts a new epoch and is not filtered yet, or NOT_DUE."""
    restart_chain: Ints
    """Which chain starts there."""
    start_us: Ints
    """(rows, 2) time of each chain's first sample."""
    low: Ints
    """(rows, 2) smallest offset that each chain depends on."""

    @classmethod
    def empty(cls) -> Self:
        """No rows yet."""
        rows, pairs = np.zeros(0, np.int64), np.zeros((0, CHAINS), np.int64)
        return cls(rows, rows, rows, pairs, pairs)


T = TypeVar("T", Columns, Cursor, Places)


def grown(columns: T, rows: int, kept: Ints | slice = ALL) -> T:
    """Return the kept rows of the same arrays, lengthened with zeros to this many rows."""

    def longer(old: npt.NDArray[Any]) -> Any:
        new = np.zeros((rows, *old.shape[1:]), old.dtype)
        some = old[kept]
        new[: len(some)] = some
        return new

    arrays: Iterable[Any] = columns
    return type(columns)(*map(longer, arrays))


_MANY = 1024
"""Rows up to which a table is not worth shrinking."""


class DeviceTable:
    """Which device has which row, and all that is known of it there.

    Rows of forgotten devices are used again.
    """

    def __init__(self, features: FeatureSet) -> None:
        self.columns = Columns.empty()
        self.cursor = Cursor.empty()
        self.places = Places.empty()
        self.rings = Rings.room(0, 0, features.length)
        self.capacity = 0
        self._hop_us = features.hop_us
        self._length = features.length
        self._row_of: dict[str, int] = {}
        self._id_of: list[str] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._row_of)

    def rows(self, device_ids: list[str]) -> Ints:
        """Rows of devices; new ones get a row of their own."""
        new: list[int] = []
        rows = np.empty(len(device_ids), np.int64)
        for i, device_id in enumerate(device_ids):
            row = self._row_of.get(device_id)
            if row is None:
                row = self._take(device_id)
                new.append(row)
            rows[i] = row
        if new:
            self._reset(new)
        return rows

    def ids(self, rows: Ints) -> list[str]:
        """Names of the devices in these rows."""
        return [self._id_of[row] for row in rows.tolist()]

    def live(self) -> Ints:
        """Rows in use."""
        return np.fromiter(self._row_of.values(), np.int64, len(self._row_of))

    def forget(self, rows: Ints) -> None:
        """Free the rows."""
        for row in rows.tolist():
            del self._row_of[self._id_of[row]]
            self._free.append(row)

    def shrink(self) -> Ints | None:
        """Return memory that few of the devices of before need.

        Returns:
            (rows,) the new row of each live device by its old one; None if nothing has moved.
        """
        live = self.live()
        if self.capacity <= _MANY or len(live) > self.capacity // 4:
            return None
        moved = np.zeros(self.capacity, np.int64)
        moved[live] = np.arange(len(live))
        self._id_of = list(self._row_of)
        self._row_of = {device_id: row for row, device_id in enumerate(self._id_of)}
        self._free = []
        self.capacity = max(16, 2 * len(live))
        self.columns = grown(self.columns, self.capacity, live)
        self.cursor = grown(self.cursor, self.capacity, live)
        self.places = grown(self.places, self.capacity, live)
        self.make_room()
        return moved

    def cells(self, rows: Ints, slots: Ints) -> Ints:
        """Return the cells (n,) of slots (n,) of devices in rows (n,)."""
        return self.places.at[rows] + (slots & self.places.mask[rows])

    def make_room(self, cells: int = 0, rows: Ints | None = None) -> None:
        """Pack the rings of all live devices, or of those in some rows, and leave room for more."""
        rows = self.live() if rows is None else rows
        self.rings = pack(self.rings, self.places, rows, cells, self._length)

    def skip_open(self, rows: Ints) -> int:
        """Give up the open windows of devices; says how many there were."""
        columns = self.columns
        skipped = int((columns.opened[rows] - columns.closed[rows]).sum())
        columns.closed[rows] = columns.opened[rows]
        return skipped

    def _take(self, device_id: str) -> int:
        if self._free:
            row = self._free.pop()
            self._id_of[row] = device_id
        else:
            row = len(self._id_of)
            self._id_of.append(device_id)
        self._row_of[device_id] = row
        return row

    def _reset(self, rows: list[int]) -> None:
        if len(self._id_of) > self.capacity:
            self.capacity = max(16, 2 * self.capacity, len(self._id_of))
            self.columns = grown(self.columns, self.capacity)
            self.cursor = grown(self.cursor, self.capacity)
            self.places = grown(self.places, self.capacity)
        if self.rings.used[0] + SMALLEST * len(rows) > len(self.rings.time_us):
            self.make_room(SMALLEST * len(rows), np.setdiff1d(self.live(), rows))
        self.places.at[rows] = self.rings.used[0] + SMALLEST * np.arange(len(rows))
        self.places.mask[rows] = SMALLEST - 1
        self.places.chain[rows] = -1
        self.rings.used[0] += SMALLEST * len(rows)
        columns = self.columns
        for row in rows:
            columns.phase_us[row] = phase_us(self._id_of[row], self._hop_us)
        columns.clock_us[rows] = -NEVER
        columns.newest_us[rows] = NEVER
        columns.late_since_us[rows] = NEVER
        columns.restarted_clock_us[rows] = NEVER
        columns.restart_until[rows] = NEVER
        self.cursor.low[rows] = ALWAYS
        columns.fresh[rows] = 0
        columns.slots[rows] = 0
        columns.base[rows] = 0
        columns.opened[rows] = 0
        columns.closed[rows] = 0
        columns.follows[rows] = False
