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
        energy: mean square.
        iqr: interquartile range, with Hazen's percentiles.
        entropy: in bits, of the series as grey values of an image.
    """

    mean: Array
    std: Array
    mad: Array
    max: Array
    min: Array
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
    deviations = series - mean[..., None]
    std = np.sqrt(sum_of_products(deviations, deviations) / (length - 1))
    ordered = np.sort(series, axis=-1)
    low, high = ordered[..., 0], ordered[..., -1]
    constant = std <= _ROUNDING * np.maximum(high, -low)
    statistics = Statistics(
        mean=mean,
        std=std,
        mad=np.abs(deviations).mean(axis=-1),
        max=high,
        min=low,
        energy=sum_of_products(series, series) / length,
        iqr=_quartile(ordered, 3 * length // 4) - _quartile(ordered, length // 4),
        entropy=_entropy(ordered),
    )
    deviations /= np.where(constant, np.inf, std)[..., None]
    return statistics, deviations


def sum_of_products(a: Array, b: Array) -> Array:
    """The sums (...) of the products of two series (..., length)."""
    products: Array = np.einsum("...i,...i->...", a, b, optimize=False)
    return products


def correlations(standardised: Array) -> Array:
    """Pearson's correlations XY, XZ, YZ (..., 3) of three axes (..., 3, length)."""
    x, y, z = np.moveaxis(standardised, -2, 0)
    products = [sum_of_products(*pair) for pair in ((x, y), (x, z), (y, z))]
    covariances: Array = np.stack(products, axis=-1) / (standardised.shape[-1] - 1)
    return covariances


def skewness_and_kurtosis(standardised: Array) -> tuple[Array, Array]:
    """The third and the fourth standardised moment: biased, and the fourth not in excess of 3."""
    length = standardised.shape[-1]
    biased = length / (length - 1)  # the standardised series has a variance of 1 with n - 1
    squares = np.square(standardised)
    third = sum_of_products(squares, standardised) / length
    fourth = sum_of_products(squares, squares) / length
    return third * biased**1.5, fourth * biased**2


def autoregression(series: Array, order: int = 4) -> Array:
    """Burg's autoregressive coefficients (..., order): without the leading 1, not demeaned.

    A series of which the prediction leaves nothing has no further coefficients: they are 0.
    """
    # Time runs down the columns here: the prediction errors lose a sample at each step, and rows
    # can be dropped without leaving the rest ragged in memory, which is twice as fast.
    columns = np.ascontiguousarray(series.reshape(-1, series.shape[-1]).T)
    forward, backward, spare = columns[1:].copy(), columns[:-1], np.empty_like(columns[1:])
    nothing = _ROUNDING**2 * _column_sums(columns, columns)
    coefficients = np.zeros((order, columns.shape[1]))
    for step in range(order):
        left = _column_sums(forward, forward) + _column_sums(backward, backward)
        shared = _column_sums(forward, backward)
        k = np.divide(-2 * shared, left, out=np.zeros_like(left), where=left > nothing)
        coefficients[:step] += k * coefficients[:step][::-1]
        coefficients[step] = k
        spare = np.multiply(k, forward, out=spare[: len(forward)])
        spare += backward
        backward *= k
        forward += backward
        forward, backward, spare = forward[1:], spare[:-1], backward
    return coefficients.T.reshape(*series.shape[:-1], order)


def _column_sums(a: Array, b: Array) -> Array:
    sums: Array = np.einsum("ij,ij->j", a, b, optimize=False)
    return sums


def _quartile(ordered: Array, i: int) -> Array:
    return (ordered[..., i - 1] + ordered[..., i]) / 2


def _entropy(ordered: Array) -> Array:
    """Entropy in bits of sorted series, taken as the grey values 0 to 1 of an image of 256 levels.

    Equal levels stand side by side in a sorted series, so the histogram is the lengths of its runs.
    """
    length = ordered.shape[-1]
    levels = 255 * ordered
    levels += 0.5
    np.clip(levels, 0, 255, out=levels)
    grey = levels.astype(np.uint8)  # rounds down
    is_end = np.ones(ordered.shape, dtype=np.bool_)
    np.not_equal(grey[..., 1:], grey[..., :-1], out=is_end[..., :-1])
    ends = np.flatnonzero(is_end)
    share = np.arange(1, length + 1) / length
    bits = -share * np.log2(share)
    runs = np.diff(ends, prepend=-1)
    entropy = np.bincount(ends // length, weights=bits[runs - 1]).astype(np.float64, copy=False)
    return entropy.reshape(ordered.shape[:-1])
