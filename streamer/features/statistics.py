"""Statistics of many series at once.

A series is computed by the same operations in the same order, whatever other series stand beside
it. Time is therefore the first axis of all arrays here, and a sum along it adds value by value, in
NumPy as in `compiled_features`. This gives the same bits.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.arrays import Floats

ROUNDING: Final = 1e-12
"""What varies, or is left over, by less than this share of a series' size is only rounding."""

ORDER: Final = 4
"""Of the autoregressive model."""

_UNIT: Final = 2.0**-44


class Statistics(NamedTuple):
    """What `describe` finds of series: one number for each.

    Attributes:
        mean: arithmetic mean.
        size: mean absolute value.
        std: standard deviation, with n - 1.
        mad: mean absolute deviation from the mean.
        max: largest value.
        min: smallest value.
        energy: mean square.
        iqr: interquartile range, with Hazen's percentiles.
        entropy: in bits, of the series as grey values of an image.
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


class InTime(NamedTuple):
    """What is found of n windows of series in time, the first ones axes x, y, z in turn.

    Attributes:
        statistics: (n, 9, series) in the order of `Statistics`.
        coefficients: (n, series, `ORDER`) autoregressive ones.
        correlations: (n, signals, 3) of the axes XY, XZ, YZ.
    """

    statistics: Floats
    coefficients: Floats
    correlations: Floats


def in_time(series: Floats, axes: int) -> InTime:
    """Describe n windows of series (n, series, length), of which the first ``axes`` are axes."""
    n, count, _ = series.shape
    columns = side_by_side(series)
    statistics, deviations, spread = describe(columns)
    return InTime(
        by_window(statistics, n),
        autoregression(columns).T.reshape(n, count, ORDER),
        _correlations(
            deviations.reshape(-1, n, count)[..., :axes], spread.reshape(n, count)[:, :axes]
        ),
    )


def side_by_side(series: Floats) -> Floats:
    """Series (n, series, length) as columns (length, n * series)."""
    return np.ascontiguousarray(series.reshape(-1, series.shape[-1]).T)


def by_window(found: Sequence[Floats], n: int) -> Floats:
    """What was found of the series of n windows, each (n * series,), as (n, found, series)."""
    return np.stack([each.reshape(n, -1) for each in found], axis=1)


def describe(columns: Floats) -> tuple[Statistics, Floats, Floats]:
    """Describe series (length, m), of a length that is a multiple of four, without negative zeros.

    Returns:
        The statistics, each (m,); the deviations (length, m) from the mean; and the unit (m,) that
        standardises them: `std`, but infinite for a constant series, which deviates by nothing.
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
    """Burg's autoregressive coefficients (`ORDER`, m): without the leading 1, not demeaned.

    A series of which the prediction leaves nothing has no further coefficients: they are 0.
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
    """The entropy that a grey level has by its count (length + 1) of a series' values.

    In multiples of 2**-44: sums of these are exact, whatever their order.
    """
    share = np.arange(1, length + 1) / length
    bits = np.zeros(length + 1)
    bits[1:] = np.rint(-share * np.log2(share) / _UNIT) * _UNIT
    return bits


def _correlations(deviations: Floats, spread: Floats) -> Floats:
    """Pearson's correlations (n, signals, 3) of axes (length, n, axes)."""
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
    """Entropy in bits of sorted series, taken as the grey values 0 to 1 of an image of 256 levels.

    Equal levels stand side by side in a sorted series, so the histogram is the lengths of its runs.
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
