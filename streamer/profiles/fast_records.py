"""The compiled reader of records by a profile: from the bytes of a fetch to the cells of slots."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streamer.arrays import Bytes, Floats, Ints
from streamer.compiled import compiled_together
from streamer.contracts.readings import LARGEST_BATCH
from streamer.contracts.records import VALUE, VALUE_END, Records
from streamer.profiles.cells import Cells, note_record
from streamer.profiles.csv_walk import read_csv_record
from streamer.profiles.json_walk import read_json_record
from streamer.profiles.msgpack_walk import read_packed_record
from streamer.profiles.paths import Kind, Slot
from streamer.profiles.patterns import Patterns
from streamer.profiles.record_layout import RecordLayout
from streamer.profiles.tree import Tree

JSON: Final = -1
MSGPACK: Final = -2
"""Formats of values; any other number is the separator of CSV."""

_FORMATS = {"json": JSON, "json-schema": JSON, "msgpack": MSGPACK}


@dataclass(frozen=True, slots=True)
class ReadCells:
    """What was read of some records.

    Attributes:
        record: (r,) index of each record.
        count: (r,) rows of each.
        device: (r, 2) where the device id begins and ends in the buffer, if the profile has one.
        values: (rows, slots) cells, NaN where a record has nothing.
    """

    record: Ints
    count: Ints
    device: Ints
    values: Floats


class FastReader:
    """Reads records of one profile."""

    def __init__(self, slots: list[Slot], layout: RecordLayout) -> None:
        self._width = len(slots)
        self._has_device = any(slot.kind is Kind.DEVICE for slot in slots)
        self._tree = Tree.of(slots, layout.columns)
        self._format = _FORMATS.get(layout.encoding, ord(layout.separator))

    def read(self, records: Records, first: int) -> tuple[ReadCells, int]:
        """Read records from an index on, until the cells are full.

        Returns:
            What was read, without the records that need the general reader; and the index of the
            record to go on with.
        """
        integers = np.empty((4, len(records) - first), np.int64)
        cells = Cells.of(self._width)
        done, found, rows = _read_all(
            np.frombuffer(records.buffer, np.uint8),
            records.table,
            first,
            self._format,
            self._has_device,
            self._tree,
            cells,
            Patterns.empty(self._width),
            integers,
        )
        record, count, *device = integers[:, :found]
        return ReadCells(record, count, np.stack(device, axis=1), cells.values[:rows]), done


@compiled_together
def _read_all(
    buffer: Bytes,
    table: Ints,
    first: int,
    form: int,
    has_device: bool,
    tree: Tree,
    cells: Cells,
    patterns: Patterns,
    integers: Ints,
) -> tuple[int, int, int]:
    """Fill in integers and cells; returns the next record, and the numbers of records and rows."""
    found = 0
    rows = 0
    for record in range(first, len(table)):
        if len(cells.values) - rows <= LARGEST_BATCH:
            return record, found, rows
        begin, end = table[record, VALUE], table[record, VALUE_END]
        cells.device[:] = 0
        if form == JSON:
            count = read_json_record(buffer, begin, end, tree, cells, patterns, rows)
        elif form == MSGPACK:
            count = read_packed_record(buffer, begin, end, tree, cells, patterns, rows)
        else:
            count = read_csv_record(buffer, begin, end, form, tree, cells, rows)
        if note_record(cells, has_device, record, rows, count, integers, found):
            found += 1
            rows += count
    return len(table), found, rows
