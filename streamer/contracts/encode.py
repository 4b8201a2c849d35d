"""Encode samples as the records that `streamer.contracts.decode` reads."""

from math import isnan

import msgspec
from msgspec import UNSET

from streamer.arrays import Floats
from streamer.contracts import f32
from streamer.contracts.readings import (
    ACC,
    BOTH_SENSORS,
    CONTENT_TYPE,
    CONTENT_TYPES,
    GYRO,
    Format,
    Sample,
    SampleBatch,
)
from streamer.contracts.records import Headers
from streamer.errors import ShapeError

_ENCODERS = {
    Format.JSON: msgspec.json.Encoder().encode,
    Format.MSGPACK: msgspec.msgpack.Encoder().encode,
}


def encode(
    device_id: str,
    timestamp_ms: float,
    interval_ms: float | None,
    samples: Floats,
    format: Format = Format.JSON,  # noqa: A002 - the usual word
) -> tuple[bytes, bytes, Headers]:
    """Encode samples of one device as one record.

    Args:
        device_id: up to 255 bytes of UTF-8.
        timestamp_ms: of the first sample, since the epoch.
        interval_ms: between two samples; None gives the form for a single sample.
        samples: (n, 6), acceleration x y z in g, rotation x y z in rad/s; n is 1 without interval.
            A sensor that is NaN in the first sample is left out.
        format: `f32` rounds the samples to float32.

    Returns:
        Key, value and headers of the record. The values of the samples are not checked.

    Raises:
        ShapeError: there are no samples, not six channels, or several samples without an interval.
    """
    n = len(samples)
    if samples.shape != (n, 6) or n == 0 or (n > 1 and interval_ms is None):
        raise ShapeError(
            f"samples of shape {samples.shape} with interval_ms={interval_ms}: "
            "give (n, 6) with n >= 1, and an interval unless n is 1"
        )
    has_acc, has_gyro = not isnan(samples[0, 0]), not isnan(samples[0, 3])
    if format is Format.F32:
        sensors = has_acc * ACC | has_gyro * GYRO
        value = f32.pack(timestamp_ms, interval_ms or 0.0, samples, sensors or BOTH_SENSORS)
    else:
        acc = samples[:, :3].tolist() if has_acc else UNSET
        gyro = samples[:, 3:].tolist() if has_gyro else UNSET
        value = _ENCODERS[format](
            SampleBatch(device_id, timestamp_ms, interval_ms, acc, gyro)
            if interval_ms is not None
            else Sample(device_id, timestamp_ms, acc and acc[0], gyro and gyro[0])
        )
    headers: Headers = [] if format is Format.JSON else [(CONTENT_TYPE, CONTENT_TYPES[format])]
    return device_id.encode(), value, headers
