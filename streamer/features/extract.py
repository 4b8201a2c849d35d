"""The 561 UCI HAR features of windows of the nine signals."""

import re
from collections import defaultdict
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

# The 19 series in time: five signals of three axes, then four magnitudes.
_BODY, _GRAVITY, _BODY_JERK, _GYRO, _GYRO_JERK = (slice(i, i + 3) for i in range(0, 15, 3))
_AXES, _MAGNITUDES = slice(0, 15), slice(15, 19)

# All but gravity and the gyroscope's jerk have a spectrum: three signals, then four magnitudes.
_WITH_SPECTRUM: Final = np.r_[_BODY, _BODY_JERK, _GYRO, _MAGNITUDES]
_SPECTRAL_AXES, _SPECTRAL_MAGNITUDES = slice(0, 9), slice(9, 13)

# What is published as the magnitude of gravity is a copy of the magnitude of the body.
_PUBLISHED: Final = np.r_[_AXES, 15, _MAGNITUDES]


def _columns() -> dict[str, list[int]]:
    """The columns of each statistic; they follow the order of the series, then of the spectra."""
    columns = defaultdict(list)
    for column, name in enumerate(NAMES):
        statistic = re.search(r"(?<=-)\w+|^angle", name)
        assert statistic is not None
        columns[statistic[0]].append(column)
    return columns


_COLUMNS: Final = _columns()


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
    """The features of one chunk of windows."""
    series = _series(signals)
    spectra = amplitude(series[:, _WITH_SPECTRUM])
    in_time, standardised_series = describe(series)
    in_frequency, standardised_spectra = describe(spectra)
    skewness, kurtosis = skewness_and_kurtosis(standardised_spectra)

    blocks = {
        statistic: [time[:, _PUBLISHED], frequency]
        for statistic, time, frequency in zip(
            Statistics._fields, in_time, in_frequency, strict=True
        )
    }
    blocks |= {
        "sma": [
            _by_axes(np.abs(series[:, _AXES]).mean(axis=-1)).sum(axis=-1),
            in_time.mean[:, _PUBLISHED[15:]],
            _by_axes(in_frequency.mean[:, _SPECTRAL_AXES]).sum(axis=-1),
            in_frequency.mean[:, _SPECTRAL_MAGNITUDES],
        ],
        "arCoeff": [autoregression(series)[:, _PUBLISHED]],
        "correlation": [correlations(_by_axes(standardised_series[:, _AXES]))],
        "maxInds": [peak(spectra)],
        "meanFreq": [mean_frequency(spectra)],
        "skewness": [skewness],
        "kurtosis": [kurtosis],
        "bandsEnergy": [bands_energy(spectra[:, _SPECTRAL_AXES])],
        "angle": [_angles(_by_axes(in_time.mean[:, _AXES]))],
    }
    features = np.empty((len(signals), len(NAMES)))
    for statistic, columns in _COLUMNS.items():
        parts = [part.reshape(len(signals), -1) for part in blocks[statistic]]
        features[:, columns] = np.concatenate(parts, axis=1)
    return features


def _by_axes(values: Array) -> Array:
    """Axes (n, 3 * signals, ...) by signal: (n, signals, 3, ...)."""
    return values.reshape(len(values), -1, 3, *values.shape[2:])


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


def _angles(means: Array) -> Array:
    """The angles (n, 7) to mean gravity: of four signals' means (n, 5, 3), and of the axes."""
    vectors = np.empty((len(means), 7, 3))
    vectors[:, :4] = means[:, [0, 2, 3, 4]]
    vectors[:, 4:] = np.eye(3)
    gravity = means[:, 1:2]
    across = np.sqrt(np.square(np.cross(vectors, gravity)).sum(axis=-1))
    angles: Array = np.arctan2(across, (vectors * gravity).sum(axis=-1))
    return angles
