"""The compiled reader of Avro by a profile: each record by the plan of its schema."""

from collections.abc import Callable

import numpy as np

from streamer.arrays import Ints
from streamer.contracts.records import VALUE, Records
from streamer.profiles.avro_plan import NO_PLAN, AvroPlans
from streamer.profiles.avro_values import AvroSchema
from streamer.profiles.avro_walk import read_avro_records
from streamer.profiles.cells import Cells
from streamer.profiles.fast_records import ReadCells
from streamer.profiles.frames import find_framed
from streamer.profiles.paths import Kind, Slot
from streamer.profiles.record_layout import FRAME
from streamer.profiles.tree import Tree

FindSchema = Callable[[int], AvroSchema | None]
"""Returns the schema of an id, None if there is none of use; may ask a registry."""


class FastAvroReader:
    """Reads records of one profile, of any number of schemas.

    Args:
        slots: of the profile.
        find_schema: is called once for each id.
    """

    def __init__(self, slots: list[Slot], find_schema: FindSchema) -> None:
        self._width = len(slots)
        self._has_device = any(slot.kind is Kind.DEVICE for slot in slots)
        self._tree = Tree.of(slots)
        self._find_schema = find_schema
        self._plans = AvroPlans(self._tree)
        self._starts: dict[int, int] = {}
        self._plan = self._plans.to_arrays()

    def read(self, records: Records, first: int) -> tuple[ReadCells, int]:
        """Read records from an index on, until the cells are full.

        Returns:
            What was read, without the records that need the general reader; and the index of the
            record to go on with.

        Raises:
            RegistryError: the registry does not answer.
        """
        starts = self._find_starts(records)
        integers = np.empty((4, len(records) - first), np.int64)
        cells = Cells.of(self._width)
        done, found, rows = read_avro_records(
            np.frombuffer(records.buffer, np.uint8),
            records.table,
            first,
            starts,
            self._has_device,
            self._plan,
            self._tree,
            cells,
            integers,
        )
        record, count, *device = integers[:, :found]
        return ReadCells(record, count, np.stack(device, axis=1), cells.values[:rows]), done

    def _find_starts(self, records: Records) -> Ints:
        """Return for each record where its plan starts, `NO_PLAN` if there is none."""
        starts = np.full(len(records), NO_PLAN, np.int64)
        framed = find_framed(records)
        buffer = np.frombuffer(records.buffer, np.uint8)
        frames = buffer[records.table[framed, VALUE][:, np.newaxis] + np.arange(1, FRAME)]
        ids, which = np.unique(frames.view(">u4").ravel(), return_inverse=True)
        starts[framed] = np.array([self._find_start(number) for number in ids.tolist()], np.int64)[
            which
        ]
        return starts

    def _find_start(self, number: int) -> int:
        """Return where the plan of a schema starts, and make it if need be."""
        if number not in self._starts:
            schema = self._find_schema(number)
            self._starts[number] = NO_PLAN if schema is None else self._plans.add(schema)
            self._plan = self._plans.to_arrays()
        return self._starts[number]
