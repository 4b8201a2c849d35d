"""The device table: one row a device, one NumPy column a fact about it."""

from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt

from streamer.arrays import Bools, Floats, Ints
from streamer.features.feature_set import FeatureSet
from streamer.features.filter_chains import CHAINS, Chains
from streamer.stream.grid import phase_us
from streamer.stream.samples import NEVER

RING = 256
"""Raw samples kept for a device; a power of two. 7.7 s at the slowest rate a slot can have."""

CROWDED = RING // 2
"""Unfiltered slots of a device after which it is filtered though no window is complete."""

OPEN = 8
"""Windows of a device that may be open at once; a power of two. RING slots see at most 6 starts."""


ALWAYS = -NEVER
"""An offset, or a time, after all others."""

NOT_DUE = -1
"""No slot: no epoch waits to be started."""


class Columns(NamedTuple):
    """Everything that is known about each device but its filters.

    Slots are numbered from a device's first sample on; slot i lives at ring position ``i % RING``.
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
    time_us: Ints
    """(rows, RING) times of the slots."""
    values: Floats
    """(rows, RING, 6) samples."""
    real: Bools
    """(rows, RING) true for a sample, false for the filling of a hole."""

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
            time_us=ints(RING),
            values=np.zeros((0, RING, 6)),
            real=np.zeros((0, RING), np.bool_),
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


T = TypeVar("T", Columns, Cursor, Chains)


def grown(columns: T, rows: int) -> T:
    """The same arrays, lengthened with zeros to this many rows."""

    def longer(old: npt.NDArray[Any]) -> Any:
        new = np.zeros((rows, *old.shape[1:]), old.dtype)
        new[: len(old)] = old
        return new

    return type(columns)(*map(longer, columns))


class DeviceTable:
    """Which device has which row, and all that is known of it there.

    Rows of forgotten devices are used again.
    """

    def __init__(self, features: FeatureSet) -> None:
        self.columns = Columns.empty()
        self.cursor = Cursor.empty()
        self.chains = Chains.empty(features.length)
        self.capacity = 0
        self._hop_us = features.hop_us
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
            self.chains = grown(self.chains, self.capacity)
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
