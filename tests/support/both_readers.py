"""Compares the compiled reader of records with a schema with the general one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from streamer.contracts.records import Records
from streamer.profiles.objects import read_object
from streamer.profiles.program import Program
from streamer.profiles.record_layout import RecordLayout
from tests.support.records import ARecord


class BothReaders:
    """Both readers of one schema and a layout.

    Args:
        general: reads data to objects, and has the schema.
        make_fast: makes the compiled reader of slots, and of a function that finds the schema.
        layout: of the records.
    """

    def __init__(self, general: Any, make_fast: Callable[..., Any], layout: RecordLayout) -> None:
        self.general = general
        self.program = Program(layout)
        self.fast = make_fast(self.program.slots, lambda _: general.schema)

    def read_fast(self, values: list[bytes]) -> dict[int, tuple[Any, bytes | None]]:
        """Return rows and device id of each value that the compiled reader reads."""
        records = Records.of([framed(7, value) for value in values])
        cells, done = self.fast.read(records, 0)
        assert done == len(values)
        ends = np.cumsum(cells.count)
        has_device = self.program.device >= 0
        return {
            record: (
                cells.values[end - count : end],
                records.buffer[begin:after] if has_device else None,
            )
            for record, count, end, (begin, after) in zip(
                *(each.tolist() for each in (cells.record, cells.count, ends, cells.device)),
                strict=True,
            )
        }

    def check(self, values: list[bytes]) -> int:
        """Check that what is read is what the general reader reads; return how many are read."""
        read = self.read_fast(values)
        for record, (rows, device) in read.items():
            expected, device_id = read_object(self.general(values[record]), self.program)
            np.testing.assert_array_equal(rows, np.array(expected))
            assert np.array_equal(np.signbit(rows), np.signbit(expected)) or np.isnan(rows).any()
            assert device == (None if device_id is None else device_id.encode())
        return len(read)


def framed(number: int, data: bytes) -> ARecord:
    """Return a record with data of a schema."""
    return ARecord(b"watch", b"\0" + number.to_bytes(4, "big") + data)
