"""The 19 series in time whose statistics are features."""

import numpy as np

from streamer.arrays import Floats

BODY, GRAVITY, BODY_JERK, GYRO, GYRO_JERK = (slice(i, i + 3) for i in range(0, 15, 3))
"""Signals of three axes."""

AXES, MAGNITUDES = slice(0, 15), slice(15, 19)
"""The magnitudes are those of all signals but gravity."""

SERIES = MAGNITUDES.stop


def series_of(signals: Floats) -> Floats:
    """The series (n, 19, length) of windows of signals (n, 9, length + 1), without negative zeros.

    A negative zero would be as good as any, but the smallest of a series' zeros could be either.
    """
    signals = signals + 0.0
    body, gravity, gyro = signals[:, 0:3], signals[:, 3:6], signals[:, 6:9]
    series = np.empty((len(signals), SERIES, signals.shape[-1] - 1))
    series[:, BODY] = body[..., :-1]
    series[:, GRAVITY] = gravity[..., :-1]
    series[:, GYRO] = gyro[..., :-1]
    # The published jerk is the difference of samples, not divided by the time between them.
    np.subtract(body[..., 1:], body[..., :-1], out=series[:, BODY_JERK])
    np.subtract(gyro[..., 1:], gyro[..., :-1], out=series[:, GYRO_JERK])
    for i, axes in enumerate((BODY, BODY_JERK, GYRO, GYRO_JERK)):
        x, y, z = np.moveaxis(series[:, axes], 1, 0)
        np.sqrt(x * x + y * y + z * z, out=series[:, MAGNITUDES][:, i])
    return series
