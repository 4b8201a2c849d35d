"""Fetches whole record batches, and reads their records into columns.

aiokafka makes a Python object of every record, which costs more than all that we then do with it.
Here its fetcher hands on each batch as it is, checked and decompressed; what it knows of offsets,
aborted transactions and control batches stays in force.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from crc32c import crc32c

from streamer.arrays import Bytes, Ints
from streamer.compiled import compiled_together
from streamer.contracts.records import COLUMNS, Records


class WholeBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """A record batch that counts as a single record, its last one."""

    @property
    def offset(self) -> int:
        """Offset of the last record, so that nobody skips a batch that is needed in part."""
        return int(self.next_offset) - 1

    def __iter__(self) -> Iterator["WholeBatch"]:
        self._maybe_uncompress()
        yield self

    def validate_crc(self) -> bool:
        """Whether it is what the broker has been given."""
        return crc32c(memoryview(self._buffer)[self.ATTRIBUTES_OFFSET :]) == int(self.crc)

    def records(self) -> Records:
        """Its records.

        Raises:
            CorruptRecordException: the batch is not what its header says.
        """
        buffer = bytes(self._buffer)
        table = np.empty((self._num_records, COLUMNS), np.int64)
        is_append_time = self.timestamp_type == self.LOG_APPEND_TIME
        end = scan(
            np.frombuffer(buffer, np.uint8),
            self._pos,
            self.base_offset,
            self.max_timestamp if is_append_time else self.first_timestamp,
            is_append_time,
            table,
        )
        if end != len(buffer):
            raise CorruptRecordException(f"a batch of {len(buffer)} bytes ends at {end}")
        return Records(buffer, table)


def as_records(batches: Sequence[WholeBatch]) -> Records:
    """All records of what a consumer of whole batches has fetched from a partition."""
    return Records.joined([batch.records() for batch in batches])


@compiled_together
def scan(
    buffer: Bytes,
    at: int,
    base_offset: int,
    base_ms: int,
    is_append_time: bool,
    table: Ints,
) -> int:
    """Find the records of a batch (message format 2).

    Args:
        buffer: the batch, decompressed.
        at: where its first record begins.
        base_offset: offset of the first record.
        base_ms: timestamp that the records' are relative to.
        is_append_time: whether it is that of all records.
        table: (records, 8), filled in as `Records.table`.

    Returns:
        Where the last record ends; -1 if the batch is malformed.
    """
    for row in range(len(table)):
        length, at = varint(buffer, at)
        end = at + length
        at += 1  # attributes, all unused
        since_ms, at = varint(buffer, at)
        number, at = varint(buffer, at)
        table[row, 0] = base_offset + number
        table[row, 1] = base_ms if is_append_time else base_ms + since_ms
        for column in (2, 4):
            length, at = varint(buffer, at)
            table[row, column] = at
            table[row, column + 1] = at + length
            at += max(length, 0)
        table[row, 6] = at
        table[row, 7] = end
        if not at < end <= len(buffer):
            return -1
        at = end
    return at


@compiled_together
def varint(buffer: Bytes, at: int) -> tuple[int, int]:
    """A number in Kafka's zigzag encoding, and where the next one begins."""
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


class _Fetched:
    """What a fetch response holds of a partition, before anybody knows for whom it is."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._records = _MemoryRecords(data)
        self.has_next = self._records.has_next
        self.next_batch = self._records.next_batch
        self.size_in_bytes = self._records.size_in_bytes


class _Batches(_MemoryRecordsPy):  # type: ignore[misc]
    """The batches of a fetch response."""

    def next_batch(self) -> WholeBatch:
        begin = self._next_slice
        self._cache_next()
        return WholeBatch(begin)


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Gives batches to a consumer that has asked for them."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if self._value_deserializer is whole_batches:
            self._records: Any = _Batches(args[1].data)
            self._consumer_record = lambda _partition, batch: batch


def whole_batches(value: bytes) -> bytes:
    """The `value_deserializer` of a consumer that wants `WholeBatch`es instead of records."""
    return value


# aiokafka has no other way in; consumers that have not asked for batches get records as ever.
_MemoryRecords = fetcher.MemoryRecords
fetcher.MemoryRecords = _Fetched
fetcher.PartitionRecords = _PartitionRecords
