"""Statistics of many series at once; every function reduces the last axis.

A series is computed by the same operations in the same order whatever other series stand beside it,
so a number never depends on the batch: sums along a row and `einsum`, no matrix products.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_ROUNDING: Final = 1e-12
"""What varies, or is left over, by less than this share of a series' size is only rounding."""


class Statistics(NamedTuple):
    """What `describe` finds of series: one number for each.

    Attributes:
        mean: arithmetic mean.
        std: standard deviation, with n - 1.
        mad: mean absolute deviation from the mean.
        max: largest value.
        min: smallest value.
        size: mean absolute value.
        energy: mean square.
        iqr: interquartile range, with Hazen's percentiles.
        entropy: in bits, of the series as grey values of an image.
    """

    mean: Array
    std: Array
    mad: Array
    max: Array
    min: Array
    size: Array
    energy: Array
    iqr: Array
    entropy: Array


def describe(series: Array) -> tuple[Statistics, Array]:
    """Describe series (..., length), of a length that is a multiple of four.

    Returns:
        The statistics, each (...), and the standardised series (..., length): the deviations from
        the mean in units of `std`. A constant series has none, so it is standardised to zeros.
    """
    length = series.shape[-1]
    mean = series.mean(axis=-1)
    size = np.abs(series).mean(axis=-1)
    deviations = series - mean[..., None]
    std = np.sqrt(sum_of_products(deviations, deviations) / (length - 1))
    constant = std <= _ROUNDING * size
    ordered = np.sort(series, axis=-1)
    statistics = Statistics(
        mean=mean,
        std=std,
        mad=np.abs(deviations).mean(axis=-1),
        max=ordered[..., -1],
        min=ordered[..., 0],
        size=size,
        energy=sum_of_products(series, series) / length,
        iqr=_quartile(ordered, 3 * length // 4) - _quartile(ordered, length // 4),
        entropy=_entropy(ordered),
    )
    return statistics, deviations / np.where(constant, np.inf, std)[..., None]


def sum_of_products(a: Array, b: Array) -> Array:
    """The sums (...) of the products of two series (..., length)."""
    products: Array = np.einsum("...i,...i->...", a, b, optimize=False)
    return products


def correlations(standardised: Array) -> Array:
    """Pearson's correlations XY, XZ, YZ (..., 3) of three axes (..., 3, length)."""
    x, y, z = np.moveaxis(standardised, -2, 0)
    products = [sum_of_products(*pair) for pair in ((x, y), (x, z), (y, z))]
    return np.stack(products, axis=-1) / (standardised.shape[-1] - 1)


def skewness_and_kurtosis(standardised: Array) -> Array:
    """The third and the fourth standardised moment (..., 2): biased, and not in excess of 3."""
    length = standardised.shape[-1]
    biased = length / (length - 1)  # the standardised series has a variance of 1 with n - 1
    squares = np.square(standardised)
    third = sum_of_products(squares, standardised) / length * biased**1.5
    fourth = sum_of_products(squares, squares) / length * biased**2
    return np.stack([third, fourth], axis=-1)


def autoregression(series: Array, order: int = 4) -> Array:
    """Burg's autoregressive coefficients (..., order): without the leading 1, not demeaned.

    A series of which the prediction leaves nothing has no further coefficients: they are 0.
    """
    forward, backward = series[..., 1:].copy(), series[..., :-1].copy()
    buffer = np.empty_like(forward)
    nothing = _ROUNDING**2 * sum_of_products(series, series)
    coefficients = np.zeros((*series.shape[:-1], order))
    for step in range(order):
        left = sum_of_products(forward, forward) + sum_of_products(backward, backward)
        shared = sum_of_products(forward, backward)
        k = np.zeros_like(left)
        np.divide(-2 * shared, left, out=k, where=left > nothing)
        k = k[..., None]
        coefficients[..., :step] += k * coefficients[..., :step][..., ::-1]
        coefficients[..., step : step + 1] = k
        if step < order - 1:
            reflected = np.multiply(k, forward, out=buffer[..., : forward.shape[-1]])
            forward += np.multiply(k, backward, out=...)
    return coefficients


def _quartile(ordered: Array, i: int) -> Array:
    return (ordered[..., i - 1] + ordered[..., i]) / 2


def _entropy(ordered: Array) -> Array:
    """Entropy in bits of sorted series, taken as the grey values 0 to 1 of an image of 256 levels.

    Equal levels stand side by side in a sorted series, so the histogram is the lengths of its runs.
    """
    length = ordered.shape[-1]
    levels = np.clip(np.floor(255 * ordered + 0.5), 0, 255)
    is_end = np.ones(ordered.shape, dtype=np.bool_)
    np.not_equal(levels[..., 1:], levels[..., :-1], out=is_end[..., :-1])
    ends = np.flatnonzero(is_end)
    share = np.diff(ends, prepend=-1) / length
    bits = np.bincount(ends // length, weights=-share * np.log2(share))
    return bits.reshape(ordered.shape[:-1])
