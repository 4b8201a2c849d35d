"""Computes statistics of many series at once.

The statistics of a series have the same bits in any batch. Time is
therefore the first axis of the arrays: along the first axis, NumPy adds value by value, as
`compiled_features` does.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.arrays import Floats

ROUNDING: Final = 1e-12
"""A deviation below this share of the largest value of a series is a rounding error."""

ORDER: Final = 4
"""Order of the autoregressive model."""

_UNIT: Final = 2.0**-44


class Statistics(NamedTuple):
    """Statistics of series: one number for each series.

    Attributes:
        mean: arithmetic mean.
        size: mean absolute value.
        std: standard deviation, divided by n - 1.
        mad: mean absolute deviation from the mean.
        max: largest value.
        min: smallest value.
        energy: mean square.
        iqr: interquartile range, by Hazen's definition of percentiles.
        entropy: entropy in bits of the histogram of 256 grey levels, see `_entropy`.
    """

    mean: Floats
    size: Floats
    std: Floats
    mad: Floats
    max: Floats
    min: Floats
    energy: Floats
    iqr: Floats
    entropy: Floats


class TimeDomain(NamedTuple):
    """The description of the series in time of n windows.

    Attributes:
        statistics: (n, 9, series) in the order of `Statistics`.
        coefficients: (n, series, `ORDER`) of the autoregressive model.
        correlations: (n, signals, 3) of the axes x and y, x and z, y and z of each signal.
    """

    statistics: Floats
    coefficients: Floats
    correlations: Floats


def describe_series(series: Floats, axes: int) -> TimeDomain:
    """Describe the series (n, series, length) of n windows.

    The first ``axes`` series are the axes x, y, z of one signal after the other.
    """
    n, count, _ = series.shape
    columns = side_by_side(series)
    statistics, deviations, spread = describe(columns)
    return TimeDomain(
        by_window(statistics, n),
        autoregression(columns).T.reshape(n, count, ORDER),
        _correlations(
            deviations.reshape(-1, n, count)[..., :axes], spread.reshape(n, count)[:, :axes]
        ),
    )


def side_by_side(series: Floats) -> Floats:
    """Return series (n, series, length) as columns (length, n * series)."""
    return np.ascontiguousarray(series.reshape(-1, series.shape[-1]).T)


def by_window(found: Sequence[Floats], n: int) -> Floats:
    """Return results of the series of n windows, each (n * series,), as (n, results, series)."""
    return np.stack([each.reshape(n, -1) for each in found], axis=1)


def describe(columns: Floats) -> tuple[Statistics, Floats, Floats]:
    """Describe series (length, m), of a length that is a multiple of four, without negative zeros.

    Returns:
        The statistics, each (m,); the deviations (length, m) from the mean; and the divisor (m,)
        that standardises the deviations. The divisor is `std`. For a constant series it is
        infinite, so that rounding errors become 0.
    """
    length = len(columns)
    mean = columns.sum(axis=0) / length
    deviations = columns - mean
    std = np.sqrt(np.square(deviations).sum(axis=0) / (length - 1))
    ordered = np.sort(columns.T, axis=-1)
    low, high = ordered[:, 0], ordered[:, -1]
    statistics = Statistics(
        mean=mean,
        size=np.abs(columns).sum(axis=0) / length,
        std=std,
        mad=np.abs(deviations).sum(axis=0) / length,
        max=high,
        min=low,
        energy=np.square(columns).sum(axis=0) / length,
        iqr=_quartile(ordered, 3 * length // 4) - _quartile(ordered, length // 4),
        entropy=_entropy(ordered),
    )
    return statistics, deviations, np.where(std <= ROUNDING * np.maximum(high, -low), np.inf, std)


def autoregression(columns: Floats) -> Floats:
    """Return autoregressive coefficients (`ORDER`, m) of series, by Burg's method.

    The leading 1 is left out, and the mean is not removed. If the prediction errors of a series are
    rounding errors, its further coefficients are 0.
    """
    nothing = ROUNDING**2 * np.square(columns).sum(axis=0)
    forward, backward = columns[1:], columns[:-1]
    coefficients = np.zeros((ORDER, columns.shape[1]))
    for step in range(ORDER):
        left = np.square(forward)
        left += np.square(backward)
        left = left.sum(axis=0)
        shared = (forward * backward).sum(axis=0)
        k = np.divide(-2 * shared, left, out=np.zeros_like(left), where=left > nothing)
        coefficients[:step] += k * coefficients[:step][::-1]
        coefficients[step] = k
        forward, backward = (forward + k * backward)[1:], (backward + k * forward)[:-1]
    return coefficients


def bits_of_levels(length: int) -> Floats:
    """Return the term (length + 1,) of the entropy for a grey level with 0 to ``length`` values.

    The terms are multiples of 2**-44, so that their sums are exact in any order.
    """
    share = np.arange(1, length + 1) / length
    bits = np.zeros(length + 1)
    bits[1:] = np.rint(-share * np.log2(share) / _UNIT) * _UNIT
    return bits


def _correlations(deviations: Floats, spread: Floats) -> Floats:
    """Return Pearson's correlations (n, signals, 3) of axes, from deviations (length, n, axes)."""
    length, n, _ = deviations.shape
    x, y, z = np.moveaxis(deviations.reshape(length, n, -1, 3), -1, 0)
    unit_x, unit_y, unit_z = np.moveaxis(spread.reshape(n, -1, 3), -1, 0)
    return np.stack(
        [
            (a * b).sum(axis=0) / (length - 1) / unit_a / unit_b
            for a, b, unit_a, unit_b in (
                (x, y, unit_x, unit_y),
                (x, z, unit_x, unit_z),
                (y, z, unit_y, unit_z),
            )
        ],
        axis=-1,
    )


def _quartile(ordered: Floats, i: int) -> Floats:
    return (ordered[:, i - 1] + ordered[:, i]) / 2


def _entropy(ordered: Floats) -> Floats:
    """Return the entropy in bits of sorted series, whose values are taken as 256 grey levels.

    0 is black and 1 is white. In a sorted series equal levels are neighbours, so the lengths of
    their runs are the histogram.
    """
    length = ordered.shape[-1]
    levels = 255 * ordered
    levels += 0.5
    np.clip(levels, 0, 255, out=levels)
    grey = levels.astype(np.uint8)  # rounds down
    is_end = np.ones(ordered.shape, dtype=np.bool_)
    np.not_equal(grey[:, 1:], grey[:, :-1], out=is_end[:, :-1])
    ends = np.flatnonzero(is_end)
    runs = np.diff(ends, prepend=-1)
    entropy = np.bincount(ends // length, weights=bits_of_levels(length)[runs])
    return entropy.astype(np.float64, copy=False)
