"""Reads the records of whole record batches into columns, a bounded amount at a time."""

import io
from collections.abc import Collection, Iterable, Iterator
from typing import Final

import numpy as np

from streamer.arrays import Bytes, Ints
from streamer.compiled import compiled_together
from streamer.contracts.dead_letters import CUT, LOST
from streamer.contracts.records import COLUMNS, OneRecord, Records
from streamer.kafka.aiokafka_internals import WholeBatch
from streamer.kafka.compression import FAILURES, NONE, MalformedError, Stream, open_stream

PART_BYTES: Final = 4 * 1024 * 1024
"""Unpacked bytes of records that are read at a time. Four bytes may be a sample, which takes some
hundred bytes while it is windowed."""

LARGEST_RECORD: Final = 16 * 1024 * 1024
"""Unpacked bytes of the largest record that is read whole. No reading is as large as that."""

PART_RECORDS: Final = 200_000
"""Records that are read at a time: a record may be as short as seven bytes."""

KEPT_BYTES: Final = 64 * 1024
"""How much is kept of the key and of the value of a record that is larger than
`LARGEST_RECORD`."""

_FIRST_RATIO: Final = 8
"""How much larger than a compressed batch the first buffer for it is."""

_SHORTEST: Final = 7
"""Bytes of the shortest record."""


class DamagedBatchError(Exception):
    """A batch cannot be read: its checksum is wrong, or it is not what its header says.

    Attributes:
        first: offset of the first record that cannot be read.
        last: offset of the last record of the batch.
    """

    def __init__(self, first: int, last: int, problem: str) -> None:
        super().__init__(
            f"the records {first} to {last} cannot be read, because their batch is damaged: "
            f"{problem}"
        )
        self.first = first
        self.last = last


def unpack(
    batches: Iterable[WholeBatch],
    skipped: Collection[int] = (),
    largest: int = LARGEST_RECORD,
) -> Iterator[Records]:
    """Yield the records of batches of one partition, in parts.

    A part has one record, or at most `PART_BYTES` bytes and `PART_RECORDS` records. What can be
    read before a damaged batch is yielded.

    A record that is larger than ``largest`` comes without its headers, its value cut to
    `KEPT_BYTES`, and with the header `CUT`, which tells its size.

    Args:
        batches: in their order.
        skipped: offsets; a damaged batch whose last record is one of them gives this record alone,
            empty, with the header `LOST`.
        largest: unpacked bytes of the largest record that is read whole.

    Raises:
        DamagedBatchError: a batch cannot be read, and is not to be skipped.
    """
    parts: list[Records] = []
    size = count = 0
    try:
        for part in (part for batch in batches for part in _parts(batch, skipped, largest)):
            if parts and (size + len(part.buffer) > PART_BYTES or count + len(part) > PART_RECORDS):
                yield Records.joined(parts)
                parts, size, count = [], 0, 0
            parts.append(part)
            size += len(part.buffer)
            count += len(part)
    except DamagedBatchError:
        if parts:
            yield Records.joined(parts)
        raise
    if parts:
        yield Records.joined(parts)


def _parts(batch: WholeBatch, skipped: Collection[int], largest: int) -> Iterator[Records]:
    """Yield the records of a batch."""
    first, last = batch.base_offset, batch.offset
    try:
        if not batch.validate_crc():
            raise MalformedError("its checksum is wrong")
        for part in _Parts(batch, largest).read():
            yield part
            first = int(part.offset[-1]) + 1
    except FAILURES as error:
        if last not in skipped:
            raise DamagedBatchError(min(first, last), last, str(error)) from error
        if first <= last:
            headers = [(LOST, f"{first}-{last}".encode())]
            yield Records.of([OneRecord(None, None, headers, batch.first_timestamp, last)])


class _Parts:
    """A batch that is being read."""

    def __init__(self, batch: WholeBatch, largest: int) -> None:
        self._batch = batch
        self._largest = largest
        self._left = batch.count
        payload = batch.payload
        if batch.compression_type == NONE:
            self._buffer = bytearray(payload)
            self._filled = len(payload)
            self._stream: Stream = io.BytesIO()
        else:
            self._buffer = bytearray(min(PART_BYTES, _FIRST_RATIO * len(payload)))
            self._filled = 0
            self._stream = open_stream(batch)

    def read(self) -> Iterator[Records]:
        """Yield all records.

        Raises:
            MalformedError: there are more records or fewer than the header says.
        """
        if self._left < 0:
            raise MalformedError(f"its header says that it has {self._left} records")
        ended = self._fill()
        while self._left:
            rows, end, table = self._scan(min(self._filled, PART_BYTES))
            if not rows and self._filled > PART_BYTES:
                rows, end, table = self._scan(self._filled, most=1)
            if rows:
                yield Records(bytes(memoryview(self._buffer)[:end]), table[:rows])
                self._left -= rows
                self._drop(end)
            elif ended:
                raise MalformedError(f"{self._left} records are missing")
            elif len(self._buffer) < self._largest:
                size = min(self._largest, 4 * len(self._buffer))
                self._buffer += bytes(size - len(self._buffer))
            else:
                yield self._cut()
                self._left -= 1
            ended = self._fill()
        if self._filled:
            raise MalformedError("bytes follow the last record")

    def _fill(self) -> bool:
        """Fill the buffer; return whether the stream has ended."""
        with memoryview(self._buffer) as view:
            while self._filled < len(view):
                size = self._stream.readinto(view[self._filled :])
                if not size:
                    return True
                self._filled += size
        return False

    def _scan(self, size: int, most: int | None = None) -> tuple[int, int, Ints]:
        """Find the records that are whole in so many bytes, no more than ``most``.

        Returns their number, their end and their table.
        """
        batch = self._batch
        rows = min(self._left, most or PART_RECORDS, 1 + size // _SHORTEST)
        table = np.empty((rows, COLUMNS), np.int64)
        append_time_ms = batch.append_time_ms
        found, end = scan(
            np.frombuffer(self._buffer, np.uint8, size),
            batch.base_offset,
            batch.first_timestamp if append_time_ms is None else append_time_ms,
            append_time_ms is not None,
            table,
        )
        if found < 0:
            raise MalformedError(f"a record at byte {end} is malformed")
        return found, end, table

    def _drop(self, size: int) -> None:
        """Forget so many bytes at the beginning of the buffer."""
        rest = self._filled - size
        self._buffer[:rest] = self._buffer[size : self._filled]
        self._filled = rest

    def _cut(self) -> Records:
        """Return the record that does not fit into the buffer, without most of it."""
        batch, buffer = self._batch, np.frombuffer(self._buffer, np.uint8)
        length, begin = varint(buffer, 0)
        since_ms, at = varint(buffer, begin + 1)
        number, at = varint(buffer, at)
        key, at = _cut_field(buffer, at)
        value, _ = _cut_field(buffer, at)
        del buffer  # or the buffer could not change its size
        self._skip(begin + length)
        append_time_ms = batch.append_time_ms
        return Records.of(
            [
                OneRecord(
                    key,
                    value,
                    [(CUT, str(length).encode())],
                    batch.first_timestamp + since_ms if append_time_ms is None else append_time_ms,
                    batch.base_offset + number,
                )
            ],
            appended=append_time_ms is not None,
        )

    def _skip(self, size: int) -> None:
        """Forget so many bytes, more than the buffer holds."""
        if size <= self._filled:
            self._drop(size)
            return
        left, self._filled = size - self._filled, 0
        with memoryview(self._buffer) as view:
            while left:
                read = self._stream.readinto(view[: min(left, len(view))])
                if not read:
                    raise MalformedError("its last record is cut off")
                left -= read


def _cut_field(buffer: Bytes, at: int) -> tuple[bytes | None, int]:
    """Return the beginning of a key or value, and where the next field begins."""
    length, at = varint(buffer, at)
    if length < 0:
        return None, at
    return bytes(buffer[at : at + min(length, KEPT_BYTES)]), min(at + length, len(buffer))


@compiled_together
def scan(
    buffer: Bytes, base_offset: int, base_ms: int, is_append_time: bool, table: Ints
) -> tuple[int, int]:
    """Find the whole records (message format 2) at the beginning of a buffer.

    Args:
        buffer: records, uncompressed; the last one may be cut off.
        base_offset: offset that the records' are relative to.
        base_ms: timestamp that the records' are relative to.
        is_append_time: whether it is that of all records.
        table: (most, 9), filled in as `Records.table`; no more records are looked for.

    Returns:
        How many records there are, and where the last one ends; -1 and where the record begins if
        one is malformed.
    """
    at = 0
    for row in range(len(table)):
        begin = at
        length, at = varint(buffer, at)
        end = at + length
        if at >= len(buffer) or end > len(buffer):
            return row, begin
        if length < 1:
            return -1, begin
        at += 1  # attributes, all unused
        since_ms, at = varint(buffer, at)
        number, at = varint(buffer, at)
        table[row, 0] = base_offset + number
        table[row, 1] = base_ms if is_append_time else base_ms + since_ms
        table[row, 2] = is_append_time
        for column in (3, 5):
            length, at = varint(buffer, at)
            if length > end - at:
                return -1, begin
            table[row, column] = at
            table[row, column + 1] = at + length
            at += max(length, 0)
        table[row, 7] = at
        table[row, 8] = end
        if at >= end:
            return -1, begin
        at = end
    return len(table), at


@compiled_together
def varint(buffer: Bytes, at: int) -> tuple[int, int]:
    """Return a number in Kafka's zigzag encoding, and where the next one begins."""
    raw = np.int64(0)
    shift = 0
    while at < len(buffer):
        byte = np.int64(buffer[at])
        at += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return int((raw >> 1) ^ -(raw & 1)), at
