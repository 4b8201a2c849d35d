"""What was read of records, by either reader, before it is converted and checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamer.arrays import Bools, Floats, Ints
from streamer.contracts.parse import DeviceIds
from streamer.contracts.readings import Rejection


class DeviceNumbers:
    """Numbers of the devices of a fetch."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self._ids = DeviceIds()

    def number(self, key: bytes | None) -> int:
        """Return the number of the device whose id these bytes are.

        Raises:
            Rejection: they are not a device id.
        """
        return self.numbers.setdefault(self._ids[key], len(self.numbers))

    def find(self, key: bytes | None) -> int:
        """Return the same, -1 if they are not a device id."""
        try:
            return self.number(key)
        except Rejection:
            return -1


@dataclass(frozen=True, slots=True)
class ReadRecords:
    """The cells of r records, with the number of the device of each."""

    record: Ints
    count: Ints
    device: Ints
    cells: Floats


def keep(read: ReadRecords, good: Bools) -> ReadRecords:
    """Return the records that are good."""
    cells = read.cells[np.repeat(good, read.count)]
    return ReadRecords(read.record[good], read.count[good], read.device[good], cells)


def merge(parts: Sequence[ReadRecords], width: int) -> ReadRecords:
    """Return all parts in the order of their records."""
    parts = [part for part in parts if len(part.record)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        nothing = np.empty(0, np.int64)
        return ReadRecords(nothing, nothing, nothing, np.empty((0, width)))
    record, count, device, cells = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("record", "count", "device", "cells")
    )
    if np.all(np.diff(record) > 0):
        return ReadRecords(record, count, device, cells)
    order = np.argsort(record)
    rows = np.argsort(np.repeat(record, count), kind="stable")
    return ReadRecords(record[order], count[order], device[order], cells[rows])
