"""The 561 UCI HAR features of windows of the nine signals."""

from typing import Final

import numpy as np
import numpy.typing as npt

from streamer.errors import ShapeError
from streamer.features.filters import SIGNALS
from streamer.features.names import NAMES, UCI_HAR
from streamer.features.spectra import amplitude, bands_energy, mean_frequency, peak
from streamer.features.statistics import (
    Statistics,
    autoregression,
    correlations,
    describe,
    skewness_and_kurtosis,
)

Array = npt.NDArray[np.float64]

_CHUNK: Final = 64
"""Windows computed at once: what is in work then fits a processor's cache."""

# The 19 series in time: five signals of three axes and four magnitudes. All but gravity and the
# gyroscope's jerk have a spectrum.
_BODY, _GRAVITY, _BODY_JERK, _GYRO, _GYRO_JERK = (slice(i, i + 3) for i in range(0, 15, 3))
_AXES = slice(0, 15)
_MAGNITUDES = slice(15, 19)
_WITH_SPECTRUM = np.r_[_BODY, _BODY_JERK, _GYRO, _MAGNITUDES]

# The 13 spectra: three signals of three axes and four magnitudes.
_SPECTRAL_AXES = slice(0, 9)
_SPECTRAL_MAGNITUDES = slice(9, 13)


def extract(signals: Array) -> Array:
    """Compute the 561 published features of windows.

    Args:
        signals: (n, 9, 129) float64: body acceleration x y z and gravity x y z in g, gyroscope
            x y z in rad/s, as `streamer.features.filters` gives them; 128 samples at 50 Hz and the
            one after them, which the last jerk needs.

    Returns:
        (n, 561) in the order of `NAMES`, not scaled. A row is the same to the last bit whatever
        windows it is computed with.

    Raises:
        ShapeError: the array has another shape or type.
    """
    wanted = (SIGNALS, UCI_HAR.length + 1)
    if signals.ndim != 3 or signals.shape[1:] != wanted or signals.dtype != np.float64:
        raise ShapeError(
            f"features need float64 windows of shape (n, {wanted[0]}, {wanted[1]}), "
            f"got {signals.dtype} of shape {signals.shape}"
        )
    features = np.empty((len(signals), len(NAMES)))
    for start in range(0, len(signals), _CHUNK):
        rows = slice(start, start + _CHUNK)
        features[rows] = _extract(signals[rows])
    return features


def _extract(signals: Array) -> Array:
    series = _series(signals)
    spectra = amplitude(series[:, _WITH_SPECTRUM])
    time, standardised_time = describe(series)
    frequency, standardised_frequency = describe(spectra)
    ar = autoregression(series)
    shape = skewness_and_kurtosis(standardised_frequency)
    peaks, centres, bands = peak(spectra), mean_frequency(spectra), bands_energy(spectra)

    def grouped(values: Array, groups: int) -> Array:
        return values.reshape(len(signals), groups, -1)

    time_axes = [
        _published(time, _AXES, 3),
        grouped(ar[:, _AXES], 5),
        correlations(standardised_time[:, _AXES].reshape(-1, 5, 3, UCI_HAR.length)),
    ]
    time_magnitudes = [_published(time, _MAGNITUDES, 1), ar[:, _MAGNITUDES]]
    frequency_axes = [
        _published(frequency, _SPECTRAL_AXES, 3),
        grouped(peaks[:, _SPECTRAL_AXES], 3),
        grouped(centres[:, _SPECTRAL_AXES], 3),
        grouped(shape[:, _SPECTRAL_AXES], 3),
        grouped(bands[:, _SPECTRAL_AXES], 3),
    ]
    frequency_magnitudes = [
        _published(frequency, _SPECTRAL_MAGNITUDES, 1),
        grouped(peaks[:, _SPECTRAL_MAGNITUDES], 4),
        grouped(centres[:, _SPECTRAL_MAGNITUDES], 4),
        shape[:, _SPECTRAL_MAGNITUDES],
    ]
    blocks = [
        np.concatenate(time_axes, axis=-1),
        # The published magnitude of gravity is a copy of the body's.
        np.concatenate(time_magnitudes, axis=-1)[:, [0, 0, 1, 2, 3]],
        np.concatenate(frequency_axes, axis=-1),
        np.concatenate(frequency_magnitudes, axis=-1),
        _angles(time.mean[:, _AXES].reshape(-1, 5, 3)),
    ]
    return np.concatenate([grouped(block, 1)[:, 0] for block in blocks], axis=1)


def _series(signals: Array) -> Array:
    """The 19 series (n, 19, 128) in time: the five signals by axis, and the four magnitudes."""
    body, gravity, gyro = signals[:, 0:3], signals[:, 3:6], signals[:, 6:9]
    series = np.empty((len(signals), 19, UCI_HAR.length))
    series[:, _BODY] = body[..., :-1]
    series[:, _GRAVITY] = gravity[..., :-1]
    series[:, _GYRO] = gyro[..., :-1]
    # The published jerk is the difference of samples, not divided by the time between them.
    np.subtract(body[..., 1:], body[..., :-1], out=series[:, _BODY_JERK])
    np.subtract(gyro[..., 1:], gyro[..., :-1], out=series[:, _GYRO_JERK])
    for i, axes in enumerate((_BODY, _BODY_JERK, _GYRO, _GYRO_JERK)):
        x, y, z = np.moveaxis(series[:, axes], 1, 0)
        np.sqrt(x * x + y * y + z * z, out=series[:, _MAGNITUDES][:, i])
    return series


def _published(of: Statistics, rows: slice, axes: int) -> Array:
    """Statistics of groups of axes in published order (n, groups, 8 * axes + 1).

    A group has one number for each axis of every statistic, but one signal magnitude area (sma) in
    all: the sum of the axes' sizes.
    """
    by_group = Statistics(*(field[:, rows].reshape(len(field), -1, axes) for field in of))
    columns = by_group._replace(size=by_group.size.sum(axis=-1, keepdims=True))
    return np.concatenate(columns, axis=-1)


def _angles(means: Array) -> Array:
    """The angles (n, 7) to mean gravity: of four signals' means (n, 5, 3), and of the axes."""
    vectors = np.empty((len(means), 7, 3))
    vectors[:, :4] = means[:, [0, 2, 3, 4]]
    vectors[:, 4:] = np.eye(3)
    gravity = means[:, 1:2]
    across = np.sqrt(np.square(np.cross(vectors, gravity)).sum(axis=-1))
    return np.arctan2(across, (vectors * gravity).sum(axis=-1))
