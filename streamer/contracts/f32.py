"""The block format `application/x-streamer-f32`: a header of 24 bytes, then float32 samples.

Little-endian throughout, every field on its natural boundary, so that a C struct matches it:

| offset | type | content |
|---|---|---|
| 0 | uint32 | version, 1 |
| 4 | uint32 | count of samples |
| 8 | float64 | timestamp of the first sample, milliseconds since the epoch |
| 16 | float64 | interval between samples, milliseconds; may be 0 when count is 1 |
| 24 | float32 | count rows of acc x y z (g), gyro x y z (rad/s) |

The device id is the key of the record.
"""

import struct

import msgspec
import numpy as np

from streamer.arrays import Floats
from streamer.contracts.readings import (
    LARGEST_BATCH,
    LONGEST_INTERVAL_MS,
    Rejection,
    RejectReason,
)

VERSION = 1
SAMPLES = np.dtype("<f4")

_HEADER = struct.Struct("<IIdd")
HEADER_SIZE = _HEADER.size
SAMPLE_SIZE = 6 * SAMPLES.itemsize


class Block(msgspec.Struct, gc=False):
    """The content of a record in this format."""

    device_id: str
    timestamp: float
    interval_ms: float
    count: int
    samples: bytes
    """`count` rows of six float32."""


def pack(timestamp_ms: float, interval_ms: float, samples: Floats) -> bytes:
    """Return the value of a record with samples (n, 6), which are rounded to float32."""
    header = _HEADER.pack(VERSION, len(samples), timestamp_ms, interval_ms)
    return header + samples.astype(SAMPLES).tobytes()


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
    version, count, timestamp, interval_ms = _HEADER.unpack_from(value)
    if version != VERSION:
        raise Rejection(RejectReason.MALFORMED, f"version {version} is not {VERSION}")
    size = HEADER_SIZE + count * SAMPLE_SIZE
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
    return Block(device_id, timestamp, interval_ms, count, value[HEADER_SIZE:])
