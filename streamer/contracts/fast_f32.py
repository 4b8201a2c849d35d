"""Compiled reader of the format `f32`: from the bytes of a block to rows of columns."""

from typing import Final

import numpy as np

from streamer.arrays import Bytes, Floats
from streamer.compiled import compiled_together
from streamer.contracts.decimals import NOT_FAST, little_endian
from streamer.contracts.f32 import HEADER_SIZE, SENSOR_SIZE, VERSION
from streamer.contracts.readings import (
    ACC,
    BOTH_SENSORS,
    CONTENT_TYPE,
    CONTENT_TYPES,
    GYRO,
    LARGEST_BATCH,
    LONGEST_INTERVAL_MS,
    Format,
)
from streamer.contracts.records import encode_headers

_HEADERS: Final = np.frombuffer(
    encode_headers([(CONTENT_TYPE, CONTENT_TYPES[Format.F32])]), np.uint8
)


@compiled_together
def is_block(buffer: Bytes, at: int, end: int) -> bool:
    """Return whether these headers name this format and nothing else."""
    same = end - at == len(_HEADERS)
    for i in range(len(_HEADERS)):
        same = same and buffer[at + i] == _HEADERS[i]
    return same


@compiled_together
def read_block(
    buffer: Bytes, at: int, end: int, times: Floats, reading: int, values: Floats, sample: int
) -> tuple[int, int]:
    """Read one block into the columns.

    Args:
        buffer: the bytes of all records.
        at: index of the first byte of the block.
        end: index after its last byte.
        times: (2, readings) timestamp and interval; the block's are written there.
        reading: column of ``times`` to write.
        values: (samples, 6); the samples are written there, in the columns of their sensors.
        sample: first row of ``values`` to write.

    Returns:
        The number of samples, `NOT_FAST` if the block is malformed; and their sensors.
    """
    if end - at < HEADER_SIZE or little_endian(buffer, at, 2) != VERSION:
        return NOT_FAST, 0
    sensors = np.int64(little_endian(buffer, at + 2, 2))
    if sensors == 0:
        sensors = np.int64(BOTH_SENSORS)
    count = np.int64(little_endian(buffer, at + 4, 4))
    size = count * SENSOR_SIZE * (2 if sensors == BOTH_SENSORS else 1)
    if sensors > BOTH_SENSORS or end - at != HEADER_SIZE + size or not 1 <= count <= LARGEST_BATCH:
        return NOT_FAST, 0
    if sample + count > len(values):
        return NOT_FAST, 0
    times[0, reading] = np.uint64(little_endian(buffer, at + 8, 8)).view(np.float64)
    interval_ms = np.uint64(little_endian(buffer, at + 16, 8)).view(np.float64)
    times[1, reading] = interval_ms
    if not 0 < interval_ms <= LONGEST_INTERVAL_MS and not (count == 1 and interval_ms == 0):
        return NOT_FAST, 0
    at += HEADER_SIZE
    first, last = 0 if sensors & ACC else 3, 6 if sensors & GYRO else 3
    for i in range(count):
        for column in range(first, last):
            values[sample + i, column] = np.uint32(little_endian(buffer, at, 4)).view(np.float32)
            at += 4
    return int(count), int(sensors)
