"""Compiled reader of readings in JSON (and f32): from the bytes of a fetch to columns.

It reads what encoders usually write. It skips every other record: another format, escapes, unknown
or repeated names, faults of any kind. The general decoder (`streamer.contracts.parse`) reads those
and says what is wrong. Both decoders read a valid record to the same bits.
"""

from dataclasses import dataclass

import numpy as np

from streamer.arrays import Bytes, Floats, Ints, Words
from streamer.compiled import compiled_inline, compiled_together
from streamer.contracts.decimals import NOT_FAST, POWERS, read_number
from streamer.contracts.f32 import SENSOR_SIZE
from streamer.contracts.fast_f32 import is_block, read_block
from streamer.contracts.readings import (
    ACC,
    BOTH_SENSORS,
    GYRO,
    LARGEST_BATCH,
    LONGEST_DEVICE_ID,
    LONGEST_INTERVAL_MS,
)
from streamer.contracts.records import HEADERS, HEADERS_END, KEY, KEY_END, VALUE, VALUE_END, Records

_SHORTEST_SAMPLE = SENSOR_SIZE
"""Bytes of a sample of one sensor in f32, from which the room for samples is computed. A sample of
whole numbers in JSON may be shorter; the general decoder reads the records that find no room."""

_QUOTE, _BACKSLASH, _COLON, _COMMA = (ord(sign) for sign in '"\\:,')
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = (ord(sign) for sign in "{}[]")
_SPACES = tuple(ord(sign) for sign in " \n\r\t")
_NAMES = tuple(
    np.frombuffer(name, np.uint8)
    for name in (b'"timestamp"', b'"interval_ms"', b'"device_id"', b'"acc"', b'"gyro"')
)
_TIMESTAMP, _INTERVAL, _DEVICE_ID, _ACC, _GYRO = range(len(_NAMES))
_FIELDS_OF_SAMPLE = 1 << _TIMESTAMP | 1 << _DEVICE_ID
_FIELDS_OF_BATCH = _FIELDS_OF_SAMPLE | 1 << _INTERVAL
assert (1 << _ACC, 1 << _GYRO) == (ACC << _ACC, GYRO << _ACC), "sensors are bits of the fields"
_NO_LIST = 0
"""Stands for the length of a list when there is a single triple instead."""


@dataclass(frozen=True, slots=True)
class FastReadings:
    """The r readings of a fetch that the compiled reader has read, with s samples.

    Attributes:
        record: (r,) index of each reading's record.
        key: (r,) index of the first record with the same key.
        count: (r,) samples.
        sensors: (r,) sensors that the samples have, `ACC`, `GYRO` or both.
        timestamp: (r,) milliseconds since the epoch, of the first sample.
        interval_ms: (r,) between samples; 0 for a single sample.
        values: (s, 6); 0 in the columns of a sensor that is missing.
    """

    record: Ints
    key: Ints
    count: Ints
    sensors: Ints
    timestamp: Floats
    interval_ms: Floats
    values: Floats


def read_fast(records: Records) -> FastReadings:
    """Return the readings that this reader can read; the other records are missing."""
    n = len(records)
    integers = np.empty((4, n), np.int64)
    times = np.empty((2, n))
    values = np.empty((len(records.buffer) // _SHORTEST_SAMPLE + 1, 6))
    # A power of two, at least twice as many places as keys: a look-up takes one or two steps.
    places = np.full(2 << n.bit_length(), -1, np.int64)
    buffer = np.frombuffer(records.buffer, np.uint8)
    found, samples = _read_all(buffer, records.table, POWERS, integers, times, values, places)
    record, key, count, sensors = integers[:, :found]
    timestamp, interval_ms = times[:, :found]
    return FastReadings(record, key, count, sensors, timestamp, interval_ms, values[:samples])


@compiled_together
def _read_all(
    buffer: Bytes,
    table: Ints,
    powers: Words,
    integers: Ints,
    times: Floats,
    values: Floats,
    places: Ints,
) -> tuple[int, int]:
    """Fill in the columns; returns the numbers of readings and samples."""
    readings = 0
    samples = 0
    for row in range(len(table)):
        if not _is_plain(buffer, table[row, KEY], table[row, KEY_END]):
            continue
        headers, headers_end = table[row, HEADERS], table[row, HEADERS_END]
        if headers_end - headers == 1 and buffer[headers] == 0:
            count, sensors = _read_one(buffer, table, row, powers, times, readings, values, samples)
        elif is_block(buffer, headers, headers_end):
            begin, end = table[row, VALUE], table[row, VALUE_END]
            count, sensors = read_block(buffer, begin, end, times, readings, values, samples)
        else:
            continue
        if count > 0:
            integers[0, readings] = row
            integers[1, readings] = _first_with_key(buffer, table, row, places)
            integers[2, readings] = count
            integers[3, readings] = sensors
            if sensors != BOTH_SENSORS:
                column = 3 if sensors == ACC else 0
                values[samples : samples + count, column : column + 3] = 0
            readings += 1
            samples += count
    return readings, samples


@compiled_inline
def _read_one(
    buffer: Bytes,
    table: Ints,
    row: int,
    powers: Words,
    times: Floats,
    reading: int,
    values: Floats,
    sample: int,
) -> tuple[int, int]:
    """Read one record; returns its number of samples, or `NOT_FAST`, and their sensors."""
    end = table[row, VALUE_END]
    at = _skip(buffer, table[row, VALUE], end)
    if at >= end or buffer[at] != _OPEN:
        return NOT_FAST, 0
    times[_INTERVAL, reading] = 0
    seen = 0
    length = NOT_FAST
    while at < end and (seen == 0 or buffer[at] == _COMMA):
        at = _skip(buffer, at + 1, end)
        field, at = _read_name(buffer, at, end)
        if at == NOT_FAST or seen & (1 << field):
            return NOT_FAST, 0
        seen |= 1 << field
        if field in (_TIMESTAMP, _INTERVAL):
            at, times[field, reading] = read_number(buffer, at, end, powers)
        elif field == _DEVICE_ID:
            at = _read_key(buffer, at, end, table[row, KEY], table[row, KEY_END])
        else:
            column = 0 if field == _ACC else 3
            at, list_length = _read_axes(buffer, at, end, powers, values, sample, column)
            if length not in (NOT_FAST, list_length):
                return NOT_FAST, 0
            length = list_length
        if at == NOT_FAST:
            return NOT_FAST, 0
        at = _skip(buffer, at, end)
    if at >= end or buffer[at] != _CLOSE or _skip(buffer, at + 1, end) != end:
        return NOT_FAST, 0
    return _count(seen, length, times[_INTERVAL, reading]), seen >> _ACC


@compiled_together
def _count(seen: int, length: int, interval_ms: float) -> int:
    """Return the number of samples, from the fields seen and the length of the lists."""
    seen &= _FIELDS_OF_BATCH
    if seen == _FIELDS_OF_SAMPLE and length == _NO_LIST:
        return 1
    if seen == _FIELDS_OF_BATCH and 1 <= length <= LARGEST_BATCH:
        return length if 0 < interval_ms <= LONGEST_INTERVAL_MS else NOT_FAST
    return NOT_FAST


@compiled_inline
def _read_axes(
    buffer: Bytes, at: int, end: int, powers: Words, values: Floats, sample: int, column: int
) -> tuple[int, int]:
    """Read [x, y, z] or a list of these; returns the index after it and the length of the list."""
    if at >= end or buffer[at] != _OPEN_LIST:
        return NOT_FAST, 0
    after = _skip(buffer, at + 1, end)
    if after >= end or buffer[after] != _OPEN_LIST:
        return _read_triple(buffer, at, end, powers, values, sample, column), 0
    count = 0
    at = after
    while True:
        # A well-formed text never needs more rows than this; a hostile one might.
        if sample + count >= len(values):
            return NOT_FAST, 0
        at = _read_triple(buffer, at, end, powers, values, sample + count, column)
        if at == NOT_FAST:
            return NOT_FAST, 0
        count += 1
        at = _skip(buffer, at, end)
        if at >= end or buffer[at] != _COMMA:
            break
        at = _skip(buffer, at + 1, end)
    if at >= end or buffer[at] != _CLOSE_LIST:
        return NOT_FAST, 0
    return at + 1, count


@compiled_together
def _read_triple(
    buffer: Bytes, at: int, end: int, powers: Words, values: Floats, sample: int, column: int
) -> int:
    """Read [x, y, z]; returns the index after it."""
    if at >= end or buffer[at] != _OPEN_LIST:
        return NOT_FAST
    for axis in range(3):
        at = _skip(buffer, at + 1, end)
        at, values[sample, column + axis] = read_number(buffer, at, end, powers)
        if at == NOT_FAST:
            return NOT_FAST
        at = _skip(buffer, at, end)
        if at >= end or buffer[at] != (_CLOSE_LIST if axis == 2 else _COMMA):
            return NOT_FAST
    return at + 1


@compiled_together
def _is_plain(buffer: Bytes, key: int, key_end: int) -> bool:
    """Return whether a key is printable ASCII that JSON writes without escapes."""
    if not 1 <= key_end - key <= LONGEST_DEVICE_ID:
        return False
    for i in range(key, key_end):
        if not 32 <= buffer[i] < 127 or buffer[i] == _QUOTE or buffer[i] == _BACKSLASH:
            return False
    return True


@compiled_together
def _read_key(buffer: Bytes, at: int, end: int, key: int, key_end: int) -> int:
    """Read a string that equals the record's key; returns the index after it."""
    after = at + key_end - key + 2
    if after > end or buffer[at] != _QUOTE or buffer[after - 1] != _QUOTE:
        return NOT_FAST
    for i in range(key_end - key):
        if buffer[at + 1 + i] != buffer[key + i]:
            return NOT_FAST
    return after


@compiled_together
def _read_name(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number of the field whose quoted name is here, and the index of its value.

    The index is `NOT_FAST` where there is another name or no colon.
    """
    for field in range(len(_NAMES)):
        name = _NAMES[field]
        after = at + len(name)
        if after > end:
            continue
        matches = 0
        while matches < len(name) and buffer[at + matches] == name[matches]:
            matches += 1
        if matches == len(name):
            after = _skip(buffer, after, end)
            if after >= end or buffer[after] != _COLON:
                break
            return field, _skip(buffer, after + 1, end)
    return 0, NOT_FAST


@compiled_together
def _skip(buffer: Bytes, at: int, end: int) -> int:
    """Return the index of the next byte that is not a space."""
    while at < end and buffer[at] in _SPACES:
        at += 1
    return at


@compiled_together
def _first_with_key(buffer: Bytes, table: Ints, row: int, places: Ints) -> int:
    """Return the first record with the same key among those that were looked up."""
    begin = table[row, KEY]
    length = table[row, KEY_END] - begin
    place = np.int64(0)
    for i in range(length):
        place = (place * 31 + buffer[begin + i]) & 0xFFFF_FFFF
    place = (place ^ (place >> 15)) & (len(places) - 1)
    while places[place] >= 0:
        other = table[places[place], KEY]
        same = table[places[place], KEY_END] - other == length
        for i in range(length):
            if not same:
                break
            same = buffer[other + i] == buffer[begin + i]
        if same:
            return int(places[place])
        place = (place + 1) & (len(places) - 1)
    places[place] = row
    return row
