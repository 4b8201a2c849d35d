"""Compiled versions of `series`, `statistics` and `spectra`. They return the same bits.

Each column is a series, and each row is a time, so that one instruction works on several series.
Sums add value by value along time, as NumPy does along the first axis. A sorting network moves the
minimum, the maximum and the quartiles into place. Entropies are sums of terms that add exactly.
"""

import math
from functools import cache
from typing import Final

import numpy as np

from streamer.arrays import Complexes, Floats, Ints
from streamer.compiled import compiled
from streamer.features import columnwise
from streamer.features.series import SERIES
from streamer.features.sorting_network import quantile_network
from streamer.features.spectra import (
    BANDS,
    BIASED_KURTOSIS,
    BIASED_SKEWNESS,
    SCALE,
    FrequencyDomain,
    Shape,
)
from streamer.features.statistics import ORDER, ROUNDING, Statistics, TimeDomain, bits_of_levels

_WIDTH: Final = 40
"""Columns computed at once: 38 series of two windows, or 39 spectra of three, and padding."""

_NOTHING: Final = ROUNDING**2
_STATISTICS: Final = len(Statistics._fields)
_MEAN, _SIZE, _STD, _MAD, _MAX, _MIN, _ENERGY, _IQR, _ENTROPY = range(_STATISTICS)
_SHAPE: Final = len(Shape._fields)
_PEAK, _MEAN_FREQUENCY, _SKEWNESS, _KURTOSIS = range(_SHAPE)


def compute_series(signals: Floats) -> Floats:
    """Return what `series.compute_series` returns, to the bit."""
    series = np.empty((len(signals), SERIES, signals.shape[-1] - 1))
    _fill_series(signals, series)
    return series


def describe_series(series: Floats, axes: int) -> TimeDomain:
    """Return what `statistics.describe_series` returns, to the bit."""
    n, count, length = series.shape
    found = TimeDomain(
        np.empty((n, _STATISTICS, count)),
        np.empty((n, count, ORDER)),
        np.empty((n, axes // 3, 3)),
    )
    _describe_series(series, quantile_network(length), _gains(length), *found)
    return found


def describe_spectra(transform: Complexes) -> FrequencyDomain:
    """Return what `spectra.describe_spectra` returns, to the bit."""
    n, count, length = len(transform), transform.shape[1], transform.shape[2] - 1
    found = FrequencyDomain(
        np.empty((n, _STATISTICS, count)), np.empty((n, _SHAPE, count)), np.empty((n, count, BANDS))
    )
    _describe_spectra(transform, quantile_network(length), _gains(length), *found)
    return found


@cache
def _gains(length: int) -> Floats:
    """Return what the entropy gains (length,) when a grey level with i values gets one more."""
    return np.diff(bits_of_levels(length))


@compiled
def _fill_series(signals: Floats, series: Floats) -> None:
    for window in range(len(signals)):
        for axis in range(3):
            columnwise.copy_and_difference(
                signals[window, axis], series[window, axis], series[window, 6 + axis]
            )
            columnwise.copy_and_difference(
                signals[window, 6 + axis], series[window, 9 + axis], series[window, 12 + axis]
            )
            columnwise.copy_without_last(signals[window, 3 + axis], series[window, 3 + axis])
        for i, signal in enumerate((0, 6, 9, 12)):
            columnwise.compute_magnitude(
                series[window, signal : signal + 3], series[window, 15 + i]
            )


@compiled
def _describe_series(
    series: Floats,
    network: Ints,
    gains: Floats,
    described: Floats,
    coefficients: Floats,
    correlations: Floats,
) -> None:
    windows, count, length = series.shape
    at_once = _WIDTH // count
    columns, deviations = np.zeros((length, _WIDTH)), np.empty((length, _WIDTH))
    spare, found = np.empty((length, _WIDTH)), np.zeros((_STATISTICS, _WIDTH))
    spread, burg = np.empty(_WIDTH), np.zeros((ORDER, _WIDTH))
    for first in range(0, windows, at_once):
        n = min(at_once, windows - first)
        _load(columns, series, first, n)
        _describe(columns, network, gains, spare, deviations, found, spread)
        _autoregress(columns, spare, burg)
        for i in range(n):
            _correlate(deviations, spread, i * count, correlations[first + i])
            for j in range(count):
                for k in range(_STATISTICS):
                    described[first + i, k, j] = found[k, i * count + j]
                for k in range(ORDER):
                    coefficients[first + i, j, k] = burg[k, i * count + j]


@compiled
def _describe_spectra(
    transform: Complexes,
    network: Ints,
    gains: Floats,
    described: Floats,
    shapes: Floats,
    bands: Floats,
) -> None:
    windows, count, length = transform.shape[0], transform.shape[1], transform.shape[2] - 1
    at_once = _WIDTH // count
    columns, deviations = np.zeros((length, _WIDTH)), np.empty((length, _WIDTH))
    spare, found = np.empty((length, _WIDTH)), np.zeros((_STATISTICS, _WIDTH))
    spread, shape = np.empty(_WIDTH), np.zeros((_SHAPE, _WIDTH))
    energies = np.zeros((BANDS, _WIDTH))
    for first in range(0, windows, at_once):
        n = min(at_once, windows - first)
        _load_amplitudes(columns, transform, first, n)
        _describe(columns, network, gains, spare, deviations, found, spread)
        _shape(columns, deviations, spread, shape)
        _bands(columns, energies)
        for i in range(n):
            for j in range(count):
                for k in range(_STATISTICS):
                    described[first + i, k, j] = found[k, i * count + j]
                for k in range(_SHAPE):
                    shapes[first + i, k, j] = shape[k, i * count + j]
                for k in range(BANDS):
                    bands[first + i, j, k] = energies[k, i * count + j]


@compiled
def _load(columns: Floats, series: Floats, first: int, n: int) -> None:
    """Put the series of n windows, from window ``first`` on, into columns."""
    _, count, length = series.shape
    for i in range(n):
        for j in range(count):
            for t in range(length):
                columns[t, i * count + j] = series[first + i, j, t]


@compiled
def _load_amplitudes(columns: Floats, transform: Complexes, first: int, n: int) -> None:
    """Put the amplitude spectra of n windows, from ``first`` on, into columns, without bin 0."""
    length, width = columns.shape
    count = transform.shape[1]
    for i in range(n):
        for j in range(count):
            for t in range(length):
                value = transform[first + i, j, t + 1]
                columns[t, i * count + j] = value.real * value.real + value.imag * value.imag
    for t in range(length):
        for j in range(width):
            columns[t, j] = math.sqrt(columns[t, j]) * SCALE


@compiled
def _describe(
    columns: Floats,
    network: Ints,
    gains: Floats,
    spare: Floats,
    deviations: Floats,
    found: Floats,
    spread: Floats,
) -> None:
    """Compute what `statistics.describe` returns."""
    length, width = columns.shape
    columnwise.add_up(columns, found[_MEAN])
    columnwise.add_up_sizes(columns, found[_SIZE])
    columnwise.add_up_squares(columns, found[_ENERGY])
    for j in range(width):
        found[_MEAN, j] /= length
    columnwise.subtract(deviations, columns, found[_MEAN])
    columnwise.add_up_sizes(deviations, found[_MAD])
    columnwise.add_up_squares(deviations, found[_STD])
    columnwise.copy_rows(columns, 0, length, spare)
    columnwise.exchange_rows(spare, network)
    _sum_entropy(columns, gains, found[_ENTROPY])
    quarter = length // 4
    for j in range(width):
        found[_SIZE, j] /= length
        found[_ENERGY, j] /= length
        found[_MAD, j] /= length
        found[_STD, j] = math.sqrt(found[_STD, j] / (length - 1))
        found[_MIN, j], found[_MAX, j] = spare[0, j], spare[length - 1, j]
        upper = (spare[3 * quarter - 1, j] + spare[3 * quarter, j]) / 2
        found[_IQR, j] = upper - (spare[quarter - 1, j] + spare[quarter, j]) / 2
        largest = max(found[_MAX, j], -found[_MIN, j])
        spread[j] = np.inf if found[_STD, j] <= ROUNDING * largest else found[_STD, j]


@compiled
def _sum_entropy(columns: Floats, gains: Floats, entropy: Floats) -> None:
    """Compute the entropy of the grey levels of each column: each value adds to it."""
    length, width = columns.shape
    counts = np.zeros((width, 256), np.uint8)
    levels = np.empty(width, np.uint8)
    for j in range(width):
        entropy[j] = 0
    for t in range(length):
        columnwise.quantize(levels, columns[t])
        for j in range(width):
            had = counts[j, levels[j]]
            entropy[j] += gains[had]
            counts[j, levels[j]] = had + 1


@compiled
def _autoregress(columns: Floats, forward: Floats, coefficients: Floats) -> None:
    """Compute what `statistics.autoregression` returns. ``columns`` become the backward errors."""
    length, width = columns.shape
    nothing, left, shared = np.empty(width), np.empty(width), np.empty(width)
    columnwise.add_up_squares(columns, nothing)
    columnwise.copy_rows(columns, 1, length, forward)
    for step in range(ORDER):
        ahead, behind = forward[step : length - 1], columns[: length - 1 - step]
        columnwise.add_up_errors(ahead, behind, left, shared)
        k = coefficients[step]
        for j in range(width):
            k[j] = -2 * shared[j] / left[j] if left[j] > _NOTHING * nothing[j] else 0.0
            for i in range((step + 1) // 2):
                a, b = coefficients[i, j], coefficients[step - 1 - i, j]
                coefficients[i, j] = a + k[j] * b
                coefficients[step - 1 - i, j] = b + k[j] * a
        if step < ORDER - 1:
            columnwise.reflect(ahead, behind, k)


@compiled
def _correlate(deviations: Floats, spread: Floats, first: int, correlations: Floats) -> None:
    """Compute Pearson's correlations of the axes of the window that begins at a column."""
    length = len(deviations)
    for signal in range(len(correlations)):
        x = first + 3 * signal
        y, z = x + 1, x + 2
        xy, xz, yz = 0.0, 0.0, 0.0
        for t in range(length):
            xy += deviations[t, x] * deviations[t, y]
            xz += deviations[t, x] * deviations[t, z]
            yz += deviations[t, y] * deviations[t, z]
        correlations[signal, 0] = xy / (length - 1) / spread[x] / spread[y]
        correlations[signal, 1] = xz / (length - 1) / spread[x] / spread[z]
        correlations[signal, 2] = yz / (length - 1) / spread[y] / spread[z]


@compiled
def _shape(columns: Floats, deviations: Floats, spread: Floats, shape: Floats) -> None:
    """Compute the `Shape` of each spectrum."""
    length, width = columns.shape
    total, weighted = np.empty(width), np.empty(width)
    columnwise.add_up(columns, total)
    columnwise.add_up_weighted(columns, weighted)
    columnwise.find_peak(columns, shape[_PEAK])
    columnwise.add_up_moments(deviations, spread, shape[_SKEWNESS], shape[_KURTOSIS])
    for j in range(width):
        shape[_MEAN_FREQUENCY, j] = weighted[j] / total[j] if total[j] > 0 else 0.0
        shape[_SKEWNESS, j] = shape[_SKEWNESS, j] / length * BIASED_SKEWNESS
        shape[_KURTOSIS, j] = shape[_KURTOSIS, j] / length * BIASED_KURTOSIS


@compiled
def _bands(columns: Floats, energies: Floats) -> None:
    """Compute the energy of each band; wide bands are sums of narrow ones."""
    for band in range(8):
        columnwise.add_up_squares(columns[8 * band : 8 * band + 8], energies[band])
    for j in range(columns.shape[1]):
        for i in range(4):
            energies[8 + i, j] = energies[2 * i, j] + energies[2 * i + 1, j]
        for i in range(2):
            two = energies[3 * i, j] + energies[3 * i + 1, j]
            energies[12 + i, j] = two + energies[3 * i + 2, j]
