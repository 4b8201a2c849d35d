"""The device table: which device has which row, and its columns."""

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from streamer.arrays import Ints
from streamer.features.window_shape import WindowShape
from streamer.stream.device_columns import (
    ALWAYS,
    FIRST_US,
    LAST_US,
    LOW,
    Columns,
    Cursor,
    Sampling,
    Sensors,
)
from streamer.stream.grid import phase_us
from streamer.stream.rings import SMALLEST, RingPlaces, Rings, pack
from streamer.stream.samples import NEVER

ALL = slice(None)

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
        columns.follows[rows] = False
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
