"""Decodes the records of a fetch by one profile, to the columns of the contract's readings."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from streamer.arrays import Ints
from streamer.contracts.readings import Decoded, Reject, Rejection
from streamer.contracts.records import KEY, KEY_END, VALUE, Records
from streamer.profiles.checks import check
from streamer.profiles.columns import Rows, to_samples
from streamer.profiles.fast_records import FastReader, ReadCells
from streamer.profiles.frames import find_framed
from streamer.profiles.general_reader import DecodeFramed, GeneralReader, find_header
from streamer.profiles.paths import Slot
from streamer.profiles.program import NO_SLOT, Program
from streamer.profiles.read_records import DeviceNumbers, ReadRecords, keep, merge
from streamer.profiles.record_layout import FRAME, NEED_REGISTRY, RecordLayout
from streamer.profiles.same_bytes import find_first_alike
from streamer.profiles.tree import have_own_places

if TYPE_CHECKING:
    from streamer.profiles.fast_framed import FastFramedReader, FindSchema


class ProfileDecoder:
    """Decodes records by one profile.

    Args:
        layout: where a record has what.
        decode_framed: decodes a value of Avro or Protobuf to objects, lists, texts and numbers.
        find_schema: returns the schema of an id. Without it every record in Avro or Protobuf is
            read by ``decode_framed``.
    """

    def __init__(
        self,
        layout: RecordLayout,
        decode_framed: DecodeFramed | None = None,
        find_schema: "FindSchema | None" = None,
    ) -> None:
        self._layout = layout
        self._program = Program(layout)
        self._general = GeneralReader(self._program, decode_framed)
        self._fast = _make_fast_reader(layout, self._program.slots, find_schema)

    def decode(self, records: Records, max_future_skew_us: int) -> Decoded:
        """Decode and check the records of a fetch; see `streamer.contracts.decode.decode`."""
        rejects: list[Reject] = []
        names = DeviceNumbers()
        if self._layout.encoding == "json-schema":
            records = _without_frames(records)
        parts = [*self._read_fast(records, names)]
        done = np.zeros(len(records), np.bool_)
        for part in parts:
            done[part.record] = True
        if not done.all():
            parts.append(self._read_others(records, np.flatnonzero(~done), names, rejects))
        read = merge(parts, len(self._program.slots))
        rows = Rows(read.count, records.timestamp[read.record], read.cells)
        samples = to_samples(rows, self._program)
        return check(samples, rows, read, list(names.numbers), rejects, max_future_skew_us)

    def _read_fast(self, records: Records, names: DeviceNumbers) -> Iterator[ReadRecords]:
        """Read what the compiled reader can read."""
        next_record = 0
        while self._fast is not None and next_record < len(records):
            part, next_record = self._fast.read(records, next_record)
            device = self._find_devices(records, part, names)
            read = ReadRecords(part.record, part.count, device, part.values)
            yield read if device.min(initial=0) >= 0 else keep(read, device >= 0)

    def _find_devices(self, records: Records, part: ReadCells, names: DeviceNumbers) -> Ints:
        """Return the device of each record, -1 where the general reader must say what is wrong."""
        if self._layout.device_header:
            name = self._layout.device_header
            keys = [find_header(records[i], name) for i in part.record.tolist()]
            return np.array([names.find(key) for key in keys], np.int64)
        spans = part.device
        if self._program.device == NO_SLOT:
            spans = records.table[part.record][:, [KEY, KEY_END]]
        first = np.empty(len(spans), np.int64)
        places = np.full(2 << len(spans).bit_length(), -1, np.int64)
        find_first_alike(np.frombuffer(records.buffer, np.uint8), spans, first, places)
        firsts = np.flatnonzero(first == np.arange(len(first)))
        device = np.empty(len(first) + 1, np.int64)
        device[len(first)] = -1  # of a key of null
        buffer = records.buffer
        device[firsts] = [names.find(buffer[begin:end]) for begin, end in spans[firsts].tolist()]
        return device[first]

    def _read_others(
        self, records: Records, wanted: Ints, names: DeviceNumbers, rejects: list[Reject]
    ) -> ReadRecords:
        """Read records one by one with the general reader."""
        record: list[int] = []
        count: list[int] = []
        device: list[int] = []
        cells: list[list[float]] = []
        for i in wanted.tolist():
            try:
                rows, number = self._general.read(records[i], names)
            except Rejection as no:
                rejects.append(Reject(i, no.reason, no.detail, no.samples))
                continue
            record.append(i)
            count.append(len(rows))
            device.append(number)
            cells += rows
        return ReadRecords(
            np.array(record, np.int64),
            np.array(count, np.int64),
            np.array(device, np.int64),
            np.array(cells).reshape(-1, len(self._program.slots)),
        )


def _make_fast_reader(
    layout: RecordLayout, slots: list[Slot], find_schema: "FindSchema | None"
) -> "FastReader | FastFramedReader | None":
    """Return the compiled reader of a layout, None if it has none."""
    if not have_own_places(slots):
        return None
    if layout.encoding not in NEED_REGISTRY:
        return FastReader(slots, layout)
    if find_schema is None:
        return None
    # It has compiled functions of its own, which other profiles need not load.
    from streamer.profiles.fast_framed import FastFramedReader  # noqa: PLC0415

    is_avro = layout.encoding == "avro"
    make = FastFramedReader.of_avro if is_avro else FastFramedReader.of_protobuf
    return make(slots, find_schema)


def _without_frames(records: Records) -> Records:
    """Return the records without the zero byte and the schema's id before their JSON.

    A value that is not framed stays as it is. Its first byte is then no JSON, or it is JSON that
    was written without a registry.
    """
    table = records.table.copy()
    table[find_framed(records), VALUE] += FRAME
    return Records(records.buffer, table)
