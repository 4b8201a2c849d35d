"""The 19 series in time that features describe: five signals of three axes, and four magnitudes."""

import numpy as np

from streamer.arrays import Floats
from streamer.errors import ShapeError
from streamer.features.coefficients import SIGNALS
from streamer.features.window_shape import WINDOW

BODY, GRAVITY, BODY_JERK, GYRO, GYRO_JERK = (slice(i, i + 3) for i in range(0, 15, 3))
"""Series of the signals with three axes."""

AXES, MAGNITUDES = slice(0, 15), slice(15, 19)
"""All axes, and the magnitudes of all signals but gravity."""

SERIES = MAGNITUDES.stop


def check_signals(signals: Floats) -> None:
    """Check that an array holds windows of the nine signals.

    Raises:
        ShapeError: it has another shape than (n, 9, 129), or another type than float64.
    """
    wanted = (SIGNALS, WINDOW.length + 1)
    if signals.ndim != 3 or signals.shape[1:] != wanted or signals.dtype != np.float64:
        raise ShapeError(
            f"features need float64 windows of shape (n, {wanted[0]}, {wanted[1]}), "
            f"got {signals.dtype} of shape {signals.shape}"
        )


def compute_series(signals: Floats) -> Floats:
    """Return the series (n, 19, length) of windows of signals (n, 9, length + 1).

    Negative zeros become positive. Otherwise NumPy and the compiled code could choose different
    zeros as the minimum of a series.
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
