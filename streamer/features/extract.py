"""Computes the 561 UCI HAR features of windows of the nine signals.

It computes series in time (`series`), their statistics (`statistics`) and those of their spectra
(`spectra`), and puts the results into the published order.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from streamer.arrays import Complexes, Floats, Ints
from streamer.features import compiled_features, series, spectra, statistics
from streamer.features.feature_set import NAMES
from streamer.features.series import (
    AXES,
    BODY,
    BODY_JERK,
    GYRO,
    MAGNITUDES,
    check_signals,
)
from streamer.features.spectra import FrequencyDomain, Shape
from streamer.features.statistics import Statistics, TimeDomain

_CHUNK: Final = 64
"""Windows computed at once. Their intermediate results fit into the cache of a processor."""

# Gravity and the gyroscope's jerk have no spectrum. The three others and the four magnitudes have.
_WITH_SPECTRUM: Final = np.r_[BODY, BODY_JERK, GYRO, MAGNITUDES]
_SPECTRAL_AXES = slice(0, 9)

# The published magnitude of gravity is a copy of the magnitude of the body acceleration (15).
_PUBLISHED: Final = np.r_[AXES, 15, MAGNITUDES]

_SIZE, _MEAN = Statistics._fields.index("size"), Statistics._fields.index("mean")


class _Steps(NamedTuple):
    """The three steps from windows of signals to the numbers that become features."""

    compute_series: Callable[[Floats], Floats]
    describe_series: Callable[[Floats, int], TimeDomain]
    describe_spectra: Callable[[Complexes], FrequencyDomain]


_COMPILED: Final = _Steps(
    compiled_features.compute_series,
    compiled_features.describe_series,
    compiled_features.describe_spectra,
)
_PLAIN: Final = _Steps(series.compute_series, statistics.describe_series, spectra.describe_spectra)


def _find_columns() -> Ints:
    """Return the column (561,) of each feature among the numbers that `_extract_chunk` joins."""
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
    # Features of the same statistic are published in the order of the series, then of the spectra.
    columns = defaultdict(list)
    for column, name in enumerate(NAMES):
        found = re.search(r"(?<=-)\w+|^angle", name)
        assert found is not None
        columns[found[0]].append(column)
    places = np.empty(len(NAMES), np.int64)
    for statistic, of_statistic in columns.items():
        places[of_statistic] = np.concatenate([part.ravel() for part in blocks[statistic]])
    return places


_COLUMNS: Final = _find_columns()


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
    """Return what `extract` returns, to the bit, computed by the readable version in NumPy."""
    return _extract(signals, _PLAIN)


def _extract(signals: Floats, steps: _Steps) -> Floats:
    check_signals(signals)
    features = np.empty((len(signals), len(NAMES)))
    for start in range(0, len(signals), _CHUNK):
        rows = slice(start, start + _CHUNK)
        features[rows] = _extract_chunk(signals[rows], steps)
    return features


def _extract_chunk(signals: Floats, steps: _Steps) -> Floats:
    values = steps.compute_series(signals)
    time = steps.describe_series(values, AXES.stop)
    frequency = steps.describe_spectra(np.fft.rfft(values[:, _WITH_SPECTRUM]))
    means = _by_axes(time.statistics[:, _MEAN, AXES])
    sizes = (time.statistics[:, _SIZE, AXES], frequency.statistics[:, _SIZE, _SPECTRAL_AXES])
    sizes = _by_axes(np.concatenate(sizes, axis=1)).sum(axis=-1)
    parts = (*time, *frequency, sizes, _angles(means))
    found = np.concatenate([part.reshape(len(signals), -1) for part in parts], axis=1)
    return np.take(found, _COLUMNS, axis=1)


def _by_axes(values: Floats) -> Floats:
    """Return axes (n, 3 * signals, ...) as (n, signals, 3, ...)."""
    return values.reshape(len(values), -1, 3, *values.shape[2:])


def _angles(means: Floats) -> Floats:
    """Return angles (n, 7) to mean gravity: of four signal means (n, 5, 3), and of x, y, z."""
    vectors = np.empty((len(means), 7, 3))
    vectors[:, :4] = means[:, [0, 2, 3, 4]]
    vectors[:, 4:] = np.eye(3)
    x, y, z = np.moveaxis(vectors, -1, 0)
    up_x, up_y, up_z = np.moveaxis(means[:, 1:2], -1, 0)
    # Axis by axis: `cross` and sums of three numbers take twice as long.
    across = np.square(y * up_z - z * up_y)
    across += np.square(z * up_x - x * up_z)
    across += np.square(x * up_y - y * up_x)
    # A negative zero would turn the angle of a vector of zeros by half a turn.
    angles: Floats = np.arctan2(np.sqrt(across), x * up_x + y * up_y + z * up_z + 0.0)
    return angles
