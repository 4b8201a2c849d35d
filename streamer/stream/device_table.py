"""The device table: one row a device, one NumPy column a fact about it."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt

from streamer.arrays import Bools, Floats, Ints
from streamer.features.filter_chains import CHAINS
from streamer.features.window_shape import WindowShape
from streamer.stream.grid import phase_us
from streamer.stream.rings import RING, SMALLEST, RingPlaces, Rings, pack
from streamer.stream.samples import NEVER

CROWDED = RING // 2
"""Unfiltered slots of a device after which it is filtered though no window is complete."""

OPEN = 8
"""Windows of a device that may be open at once; a power of two. RING slots see at most 6 starts."""

LANDED = 128
"""Samples of a kind whose times are remembered."""

LOWS = 6
"""Crossings back to which the offsets reach that a device depends on."""

REACH = 4
"""Points of the grid that one sample may have a share in; a power of two."""

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
    """When its last record came by the partition clock, see `clock.Followed.seen_us`; `PRESENT`
    before the first."""
    last_offset: Ints
    """Offset of its last record."""
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

    opened: Ints
    """Windows opened so far; window j lives at position ``j % OPEN``."""
    closed: Ints
    """Windows closed or skipped so far."""
    reopening: Ints
    """Windows that were opened while samples were held, and will be again when they are landed."""
    skipped: Ints
    """Why windows of it were skipped in this fetch, a place in `WindowBuffer.counts`, or 0. A gap
    counts too where no window was open."""
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
            last_offset=ints(),
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
            opened=ints(),
            closed=ints(),
            reopening=ints(),
            skipped=ints(),
            follows=np.zeros(0, np.bool_),
            window_slot=ints(OPEN),
            window_hop=ints(OPEN),
        )


class Sensors(NamedTuple):
    """What admission knows of a device's sensors: 0 is acceleration, 1 is the gyroscope.

    A sample of both counts for both. The *kind* of a sample is 1 if it is of the gyroscope alone,
    0 otherwise: each kind keeps its own order.
    """

    apart: Bools
    """Whether the device has sent samples of one sensor in this life; `newest_us` counts then."""
    first_us: Ints
    """Time of the first sample of its life."""
    newest_us: Ints
    """(rows, 2) largest time of each sensor."""
    landed: Ints
    """(rows, 2) samples of each kind that were admitted in this life; see `Rings.landed_us`."""

    @classmethod
    def empty(cls) -> Self:
        """Return no rows yet."""
        rows, pairs = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
        return cls(np.zeros(0, np.bool_), rows, pairs, pairs)


LAST_US, FIRST_US, DECIDED, RESAMPLED, WORTH, UNEVEN_US, NEXT_HOP_US, GRID = range(8)
SENSOR_US, PRESENT, CROSSING_US, CROSSING_WORTH = range(8, 16, 2)
CROSSING_LANDED, CROSSING_UNEVEN_US, LOW = range(16, 22, 2)
"""Columns of `Sampling.run`; those of two numbers have the second one in the next column."""

_RUN = LOW + LOWS

TIME_US, DONE, KNOWN, SUMMED = range(4)
"""Columns of `Sampling.points`."""

NEWEST = REACH
"""Row of `Sampling.sums` that holds each sensor's last sample itself."""

WEIGHT = 6
"""Column of `Sampling.sums` that holds the weight of acceleration, before the gyroscope's."""


class Sampling(NamedTuple):
    """How a device's samples become slots.

    The numbers of a run stand side by side in one array: compiled functions get an array handed
    over as seven arguments.
    """

    run: Ints
    """(rows, 26) what is known of all that was sent since the device last started anew:

    | column | is |
    |---|---|
    | LAST_US | time of its last sample |
    | FIRST_US | time of its first sample |
    | SENSOR_US (2) | time of each sensor's last sample |
    | PRESENT (2) | 1 if the sensor takes part in the run |
    | DECIDED | 1 if it is known how the run is sampled |
    | RESAMPLED | 1 if slots lie on the grid; otherwise they are the samples as they come |
    | WORTH | slots that the samples would be worth as they come |
    | UNEVEN_US | by how much all steps in time differ from those of their slots |
    | NEXT_HOP_US | when the hop after the one of the last sample begins |
    | CROSSING_US (2) | times of the last samples that were the first ones of a hop, newest first |
    | CROSSING_WORTH (2) | WORTH at these |
    | CROSSING_LANDED (2) | number of the sample at these |
    | CROSSING_UNEVEN_US (2) | UNEVEN_US at these |
    | GRID | point of the grid that the next slot is, if resampled |
    | LOW (`LOWS`) | least offset since the last crossing, between that and the one before, ... |

    Point p of the grid is at phase + p * step.
    """
    points: Ints
    """(rows, 2, 4) of each sensor: TIME_US of its last sample, `NEVER` before the first; points
    before DONE are finished, before KNOWN have both neighbours, before SUMMED have a sum."""
    sparse: Bools
    """(rows, REACH, 2) whether the neighbours of a point are too far apart to be weighted."""
    sums: Floats
    """(rows, REACH + 1, 8) weighted sums of samples near a point, and the weights; `NEWEST`."""

    @classmethod
    def empty(cls) -> Self:
        """Return no rows yet."""
        return cls(
            np.zeros((0, _RUN), np.int64),
            np.zeros((0, 2, 4), np.int64),
            np.zeros((0, REACH, 2), np.bool_),
            np.zeros((0, REACH + 1, 8)),
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


T = TypeVar("T", Columns, Sensors, Sampling, Cursor, RingPlaces)


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

    def __init__(self, shape: WindowShape) -> None:
        self.columns = Columns.empty()
        self.sensors = Sensors.empty()
        self.sampling = Sampling.empty()
        self.cursor = Cursor.empty()
        self.places = RingPlaces.empty()
        self.rings = Rings.room(0, 0, shape.length)
        self.capacity = 0
        self._hop_us = shape.hop_us
        self._length = shape.length
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
        self.sensors = grown(self.sensors, self.capacity, live)
        self.sampling = grown(self.sampling, self.capacity, live)
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

    def skip_open(self, rows: Ints, place: int) -> int:
        """Give up the open windows of devices, for a reason that `Columns.skipped` remembers.

        Returns how many there were.
        """
        columns = self.columns
        count = columns.opened[rows] - columns.closed[rows] + columns.reopening[rows]
        columns.closed[rows] = columns.opened[rows]
        columns.reopening[rows] = 0
        columns.skipped[rows[count > 0]] = place
        return int(count.sum())

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
            self.sensors = grown(self.sensors, self.capacity)
            self.sampling = grown(self.sampling, self.capacity)
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
        columns.reopening[rows] = 0
        columns.follows[rows] = False
        self.sensors.apart[rows] = False
        self.sensors.first_us[rows] = NEVER
        self.sensors.newest_us[rows] = NEVER
        self.sensors.landed[rows] = 0
        run = self.sampling.run
        run[rows] = 0
        run[rows, LAST_US] = NEVER
        run[rows, FIRST_US] = NEVER
        run[rows, LOW:] = ALWAYS
