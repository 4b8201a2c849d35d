"""The records of a fetch as columns, without a Python object for each record."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from streamer.arrays import Bools, Ints
from streamer.contracts.readings import Record
from streamer.contracts.zigzag import read_zigzag, write_zigzag

Headers = list[tuple[str, bytes | None]]

OFFSET, TIMESTAMP, APPENDED, KEY, KEY_END, VALUE, VALUE_END, HEADERS, HEADERS_END = range(9)
"""Columns of the table; the end of a null key or value is less than its begin."""

COLUMNS = 9

_NO_HEADERS = b"\0"
"""Headers in Kafka's encoding when there are none."""


@dataclass(frozen=True, slots=True)
class OneRecord:
    """A single record, see `streamer.contracts.readings.Record`."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int
    offset: int


@dataclass(frozen=True, slots=True)
class Records(Sequence[Record]):
    """Records of one partition, in order.

    Attributes:
        buffer: keys, values and headers; the headers are in Kafka's encoding.
        table: (n, 9) offset, Kafka timestamp in milliseconds, 1 if the broker has set it
            (`LogAppendTime`) and 0 if the producer has (`CreateTime`), then begin and end in the
            buffer of key, value and headers.
    """

    buffer: bytes
    table: Ints

    @property
    def offset(self) -> Ints:
        """(n,) offsets."""
        return self.table[:, OFFSET]

    @property
    def timestamp(self) -> Ints:
        """(n,) milliseconds since the epoch, by Kafka's clock."""
        return self.table[:, TIMESTAMP]

    @property
    def appended(self) -> Bools:
        """(n,) whether the broker has set the timestamp."""
        appended: Bools = self.table[:, APPENDED] == 1
        return appended

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> "Records": ...
    def __getitem__(self, index: int | slice) -> "Record | Records":
        if isinstance(index, slice):
            return Records(self.buffer, self.table[index])
        row: list[int] = self.table[index].tolist()
        offset, timestamp, _, key, key_end, value, value_end, headers, end = row
        return OneRecord(
            key=self.buffer[key:key_end] if key <= key_end else None,
            value=self.buffer[value:value_end] if value <= value_end else None,
            headers=read_headers(self.buffer[headers:end])[0],
            timestamp=timestamp,
            offset=offset,
        )

    def contents(self) -> Iterator[tuple[bytes | None, bytes | None, Headers | None]]:
        """Yield key, value and headers of each record; faster than indexing one by one.

        The headers are None if they are not in Kafka's encoding.
        """
        buffer = self.buffer
        for key, key_end, value, value_end, headers, end in self.table[:, KEY:].tolist():
            yield (
                buffer[key:key_end] if key <= key_end else None,
                buffer[value:value_end] if value <= value_end else None,
                _well_formed(buffer[headers:end]),
            )

    def since(self, offset: int) -> "Records":
        """Return the records from an offset on."""
        return self[int(np.searchsorted(self.offset, offset)) :]

    def before(self, offset: int) -> "Records":
        """Return the records before an offset."""
        return self[: int(np.searchsorted(self.offset, offset))]

    @classmethod
    def of(cls, records: Iterable[Record], *, appended: bool = True) -> "Records":
        """Make columns of single records; ``appended`` says whose their timestamps are."""
        buffer, rows = bytearray(), []
        for record in records:
            row = [record.offset, record.timestamp, int(appended)]
            for part in (record.key, record.value, encode_headers(record.headers)):
                row += [len(buffer), len(buffer) + (-1 if part is None else len(part))]
                buffer += part or b""
            rows.append(row)
        return cls(bytes(buffer), np.array(rows, np.int64).reshape(-1, COLUMNS))

    @classmethod
    def joined(cls, parts: Sequence["Records"]) -> "Records":
        """Return all records of the parts, in their order."""
        if len(parts) == 1:
            return parts[0]
        tables, start = [], 0
        for part in parts:
            table = part.table.copy()
            table[:, KEY:] += start
            tables.append(table)
            start += len(part.buffer)
        table = np.concatenate(tables) if tables else np.zeros((0, COLUMNS), np.int64)
        return cls(b"".join(part.buffer for part in parts), table)


def _well_formed(encoded: bytes) -> Headers | None:
    if encoded == _NO_HEADERS:
        return []
    headers, is_well_formed = read_headers(encoded)
    return headers if is_well_formed else None


def read_headers(encoded: bytes) -> tuple[Headers, bool]:
    r"""Read headers in Kafka's encoding.

    Bytes of a name that are not UTF-8 are written as `\xNN`: Kafka does not check names, and its
    clients cannot write such a name again.

    Returns:
        The headers, and whether they are well-formed. If not, those before the fault.
    """
    headers: Headers = []
    try:
        count, at = read_zigzag(encoded, 0)
        for _ in range(count):
            name, at = _read_bytes(encoded, at)
            value, at = _read_bytes(encoded, at)
            if name is None:
                return headers, False
            headers.append((name.decode(errors="backslashreplace"), value))
    except IndexError:
        return headers, False
    return headers, count >= 0 and at == len(encoded)


def _read_bytes(encoded: bytes, at: int) -> tuple[bytes | None, int]:
    """Return the bytes whose length is at an index, None for a negative one, and where they end."""
    length, at = read_zigzag(encoded, at)
    if length < 0:
        return None, at
    if at + length > len(encoded):
        raise IndexError
    return encoded[at : at + length], at + length


def encode_headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Return headers in Kafka's encoding."""
    encoded = write_zigzag(len(headers))
    for name, value in headers:
        key = name.encode()
        encoded += write_zigzag(len(key)) + key
        encoded += write_zigzag(-1) if value is None else write_zigzag(len(value)) + value
    return encoded
