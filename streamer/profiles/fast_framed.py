"""The compiled readers of Avro and Protobuf by a profile: each record by the plan of its schema."""

import threading
from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np

from streamer.arrays import Ints
from streamer.contracts.records import VALUE, Records
from streamer.profiles.cells import Cells
from streamer.profiles.fast_records import ReadCells
from streamer.profiles.frames import find_framed
from streamer.profiles.paths import Kind, Slot
from streamer.profiles.record_layout import FRAME
from streamer.profiles.tree import Tree

FindSchema = Callable[[int], Any]
"""Returns the schema of an id, None if there is none of use; may ask a registry."""

NO_PLAN = -1
"""The start of the plan of a schema that has none."""


class Plans(Protocol):
    """Makes plans of schemas, one after the other."""

    def add(self, schema: Any) -> int:
        """Add the plan of a schema; returns where it starts, or `NO_PLAN`."""

    def to_arrays(self) -> Any:
        """Return all plans, for the compiled reader."""


class FastFramedReader:
    """Reads records of one profile, of any number of schemas; several threads may use it.

    Args:
        slots: of the profile.
        find_schema: is called once for each id.
        make_plans: makes the plans for the tree of the slots.
        read_records: reads records by these plans, see `avro_walk.read_avro_records`.
    """

    def __init__(
        self,
        slots: list[Slot],
        find_schema: FindSchema,
        make_plans: Callable[[Tree], Plans],
        read_records: Callable[..., tuple[int, int, int]],
    ) -> None:
        self._width = len(slots)
        self._has_device = any(slot.kind is Kind.DEVICE for slot in slots)
        self._tree = Tree.of(slots)
        self._find_schema = find_schema
        self._plans = make_plans(self._tree)
        self._read_records = read_records
        self._starts: dict[int, int] = {}
        self._plan = self._plans.to_arrays()
        # A plan has counts that are written while a record is read, without the GIL.
        self._lock = threading.Lock()

    @classmethod
    def of_avro(cls, slots: list[Slot], find_schema: FindSchema) -> Self:
        """Return the reader of Avro; its compiled functions are loaded only here."""
        from streamer.profiles.avro_plan import AvroPlans  # noqa: PLC0415
        from streamer.profiles.avro_walk import read_avro_records  # noqa: PLC0415

        return cls(slots, find_schema, AvroPlans, read_avro_records)

    @classmethod
    def of_protobuf(cls, slots: list[Slot], find_schema: FindSchema) -> Self:
        """Return the reader of Protobuf; its compiled functions are loaded only here."""
        from streamer.profiles.protobuf_plan import ProtobufPlans  # noqa: PLC0415
        from streamer.profiles.protobuf_walk import read_protobuf_records  # noqa: PLC0415

        return cls(slots, find_schema, ProtobufPlans, read_protobuf_records)

    def read(self, records: Records, first: int) -> tuple[ReadCells, int]:
        """Read records from an index on, until the cells are full.

        Returns:
            What was read, without the records that need the general reader; and the index of the
            record to go on with.

        Raises:
            RegistryError: the registry does not answer.
        """
        integers = np.empty((4, len(records) - first), np.int64)
        cells = Cells.of(self._width)
        with self._lock:
            done, found, rows = self._read_records(
                np.frombuffer(records.buffer, np.uint8),
                records.table,
                first,
                self._find_starts(records),
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
