"""The block format `application/x-streamer-f32`: a header of 24 bytes, then float32 samples.

Little-endian throughout, every field on its natural boundary, so that a C struct matches it:

| offset | type | content |
|---|---|---|
| 0 | uint16 | version, 1 |
| 2 | uint16 | sensors of the samples: 1 acc, 2 gyro, 0 or 3 both |
| 4 | uint32 | count of samples |
| 8 | float64 | timestamp of the first sample, milliseconds since the epoch |
| 16 | float64 | interval between samples, milliseconds; may be 0 when count is 1 |
| 24 | float32 | count rows of acc x y z (g), gyro x y z (rad/s), without the absent sensor |

The device id is the key of the record.
"""

import struct

import msgspec
import numpy as np

from streamer.arrays import Floats
from streamer.contracts.readings import (
    ACC,
    BOTH_SENSORS,
    GYRO,
    LARGEST_BATCH,
    LONGEST_INTERVAL_MS,
    Rejection,
    RejectReason,
)

VERSION = 1
SAMPLES = np.dtype("<f4")

_HEADER = struct.Struct("<HHIdd")
HEADER_SIZE = _HEADER.size
SENSOR_SIZE = 3 * SAMPLES.itemsize
"""Bytes that a sample takes for each of its sensors."""


class Block(msgspec.Struct, gc=False):
    """The content of a record in this format."""

    device_id: str
    timestamp: float
    interval_ms: float
    count: int
    sensors: int
    """`ACC`, `GYRO` or both."""
    samples: bytes
    """`count` rows of three float32 for each sensor."""

    def rows(self) -> Floats:
        """Return the samples (count, 6), with 0 in the columns of a sensor that is missing."""
        rows = np.zeros((self.count, 6))
        given = np.frombuffer(self.samples, SAMPLES).reshape(self.count, -1)
        with np.errstate(invalid="ignore"):  # a signalling NaN must not cause a warning
            rows[:, columns_of(self.sensors)] = given
        return rows


def columns_of(sensors: int) -> slice:
    """Return the columns of samples (n, 6) that these sensors have."""
    return slice(0 if sensors & ACC else 3, 6 if sensors & GYRO else 3)


def pack(
    timestamp_ms: float, interval_ms: float, samples: Floats, sensors: int = BOTH_SENSORS
) -> bytes:
    """Return the value of a record with samples (n, 6) of sensors, rounded to float32."""
    told = 0 if sensors == BOTH_SENSORS else sensors
    header = _HEADER.pack(VERSION, told, len(samples), timestamp_ms, interval_ms)
    return header + samples[:, columns_of(sensors)].astype(SAMPLES).tobytes()


def block_size(values: bytes, begin: int) -> int:
    """Return the size of the block that begins in a sequence of blocks.

    If its header is not one of a block, the rest of the sequence is taken for a block.
    """
    if len(values) - begin >= HEADER_SIZE:
        version, told, count, _, _ = _HEADER.unpack_from(values, begin)
        if version == VERSION and told <= BOTH_SENSORS:
            return int(HEADER_SIZE + count * (told or BOTH_SENSORS).bit_count() * SENSOR_SIZE)
    return len(values) - begin


def unpack(device_id: str, value: bytes) -> Block:
    """Return the content of the value of a device's record.

    Raises:
        Rejection: the value is malformed, or the schema does not allow its count or interval.
    """
    if len(value) < HEADER_SIZE:
        raise Rejection(
            RejectReason.MALFORMED,
            f"{len(value)} bytes are too few for the header of {HEADER_SIZE}",
        )
    version, told, count, timestamp, interval_ms = _HEADER.unpack_from(value)
    if version != VERSION:
        raise Rejection(RejectReason.MALFORMED, f"version {version} is not {VERSION}")
    if told > BOTH_SENSORS:
        raise Rejection(RejectReason.MALFORMED, f"sensors {told} are not 1, 2 or 3")
    sensors = told or BOTH_SENSORS
    size = HEADER_SIZE + count * sensors.bit_count() * SENSOR_SIZE
    if len(value) != size:
        raise Rejection(
            RejectReason.MALFORMED,
            f"{count} samples take {size} bytes, the value has {len(value)}",
        )
    if not 1 <= count <= LARGEST_BATCH:
        raise Rejection(
            RejectReason.SCHEMA, f"{count} samples, not 1 to {LARGEST_BATCH}", max(count, 1)
        )
    if not (0 < interval_ms <= LONGEST_INTERVAL_MS or (count == 1 and interval_ms == 0)):
        raise Rejection(
            RejectReason.SCHEMA,
            f"interval of {interval_ms} ms, not above 0 and up to {LONGEST_INTERVAL_MS:.0f}",
            count,
        )
    return Block(device_id, timestamp, interval_ms, count, sensors, value[HEADER_SIZE:])
