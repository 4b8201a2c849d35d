"""The 561 UCI HAR features of windows of the nine signals."""

import math
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from streamer.arrays import Complexes, Floats, Ints
from streamer.errors import ShapeError
from streamer.features import compiled_features, series, spectra, statistics
from streamer.features.coefficients import SIGNALS
from streamer.features.feature_set import NAMES
from streamer.features.series import AXES, BODY, BODY_JERK, GYRO, MAGNITUDES
from streamer.features.spectra import InFrequency, Shape
from streamer.features.statistics import InTime, Statistics
from streamer.features.window_shape import WINDOW

_CHUNK: Final = 64
"""Windows computed at once: what is in work then fits a processor's cache."""

# All but gravity and the gyroscope's jerk have a spectrum: three signals, then four magnitudes.
_WITH_SPECTRUM: Final = np.r_[BODY, BODY_JERK, GYRO, MAGNITUDES]
_SPECTRAL_AXES = slice(0, 9)

# What is published as the magnitude of gravity is a copy of the magnitude of the body.
_PUBLISHED: Final = np.r_[AXES, 15, MAGNITUDES]

_SIZE, _MEAN = Statistics._fields.index("size"), Statistics._fields.index("mean")


class _Steps(NamedTuple):
    """The three steps from windows of signals to the numbers that features are made of."""

    series_of: Callable[[Floats], Floats]
    in_time: Callable[[Floats, int], InTime]
    in_frequency: Callable[[Complexes], InFrequency]


_COMPILED: Final = _Steps(
    compiled_features.series_of, compiled_features.in_time, compiled_features.in_frequency
)
_PLAIN: Final = _Steps(series.series_of, statistics.in_time, spectra.in_frequency)


def _places() -> Ints:
    """(561,) Where each feature is among the numbers that are found of a window, in their order."""
    shapes = (9, 19), (19, 4), (5, 3), (9, 13), (4, 13), (13, 14), (8,), (7,)
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    in_time, coefficients, correlations, in_frequency, shape, bands, sizes, angles = (
        numbers.reshape(shape)
        for numbers, shape in zip(np.split(np.arange(ends[-1]), ends), shapes, strict=False)
    )
    blocks = {
        statistic: [time[_PUBLISHED], frequency]
        for statistic, time, frequency in zip(
            Statistics._fields, in_time, in_frequency, strict=True
        )
    }
    magnitudes, spectral_magnitudes = in_time[_SIZE, _PUBLISHED[15:]], in_frequency[_SIZE, 9:]
    blocks |= {
        "sma": [sizes[:5], magnitudes, sizes[5:], spectral_magnitudes],
        "arCoeff": [coefficients[_PUBLISHED]],
        "correlation": [correlations],
        "maxInds": [shape[Shape._fields.index("peak")]],
        "meanFreq": [shape[Shape._fields.index("mean_frequency")]],
        "skewness": [shape[Shape._fields.index("skewness")]],
        "kurtosis": [shape[Shape._fields.index("kurtosis")]],
        "bandsEnergy": [bands[_SPECTRAL_AXES]],
        "angle": [angles],
    }
    # The features of a statistic follow the order of the series, then of the spectra.
    columns = defaultdict(list)
    for column, name in enumerate(NAMES):
        found = re.search(r"(?<=-)\w+|^angle", name)
        assert found is not None
        columns[found[0]].append(column)
    places = np.empty(len(NAMES), np.int64)
    for statistic, of_statistic in columns.items():
        places[of_statistic] = np.concatenate([part.ravel() for part in blocks[statistic]])
    return places


_PLACES: Final = _places()


def extract(signals: Floats) -> Floats:
    """Compute the 561 published features of windows.

    Args:
        signals: (n, 9, 129) float64: body acceleration x y z and gravity x y z in g, gyroscope
            x y z in rad/s, as `streamer.features.filters` states them; 128 samples at 50 Hz and the
            one after them, which the last jerk needs.

    Returns:
        (n, 561) in the order of `NAMES`, not scaled. A row is the same to the last bit whatever
        windows it is computed with.

    Raises:
        ShapeError: the array has another shape or type.
    """
    return _extract(signals, _COMPILED)


def extract_plain(signals: Floats) -> Floats:
    """Compute what `extract` does, to the bit, with NumPy alone: the readable statement of it."""
    return _extract(signals, _PLAIN)


def _extract(signals: Floats, steps: _Steps) -> Floats:
    wanted = (SIGNALS, WINDOW.length + 1)
    if signals.ndim != 3 or signals.shape[1:] != wanted or signals.dtype != np.float64:
        raise ShapeError(
            f"features need float64 windows of shape (n, {wanted[0]}, {wanted[1]}), "
            f"got {signals.dtype} of shape {signals.shape}"
        )
    features = np.empty((len(signals), len(NAMES)))
    for start in range(0, len(signals), _CHUNK):
        rows = slice(start, start + _CHUNK)
        features[rows] = _extract_chunk(signals[rows], steps)
    return features


def _extract_chunk(signals: Floats, steps: _Steps) -> Floats:
    in_time = steps.series_of(signals)
    time = steps.in_time(in_time, AXES.stop)
    frequency = steps.in_frequency(np.fft.rfft(in_time[:, _WITH_SPECTRUM]))
    means = _by_axes(time.statistics[:, _MEAN, AXES])
    sizes = (time.statistics[:, _SIZE, AXES], frequency.statistics[:, _SIZE, _SPECTRAL_AXES])
    sizes = _by_axes(np.concatenate(sizes, axis=1)).sum(axis=-1)
    parts = (*time, *frequency, sizes, _angles(means))
    found = np.concatenate([part.reshape(len(signals), -1) for part in parts], axis=1)
    return np.take(found, _PLACES, axis=1)


def _by_axes(values: Floats) -> Floats:
    """Axes (n, 3 * signals, ...) by signal: (n, signals, 3, ...)."""
    return values.reshape(len(values), -1, 3, *values.shape[2:])


def _angles(means: Floats) -> Floats:
    """The angles (n, 7) to mean gravity: of four signals' means (n, 5, 3), and of the axes."""
    vectors = np.empty((len(means), 7, 3))
    vectors[:, :4] = means[:, [0, 2, 3, 4]]
    vectors[:, 4:] = np.eye(3)
    gravity = means[:, 1:2]
    across = np.sqrt(np.square(np.cross(vectors, gravity)).sum(axis=-1))
    angles: Floats = np.arctan2(across, (vectors * gravity).sum(axis=-1))
    return angles
