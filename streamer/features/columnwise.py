"""Compiled loops over columns, from which `compiled_features` is built.

A result is written to the arguments that have one value for each column. LLVM vectorizes these
loops as long as they write to no more than two arrays. Sums begin with zero, as NumPy's do.
"""

import math

import numpy as np

from streamer.arrays import Bytes, Floats, Ints
from streamer.compiled import compiled


@compiled
def copy_rows(columns: Floats, first: int, end: int, target: Floats) -> None:
    """Copy the rows from ``first`` to ``end``, without ``end``, to the beginning of ``target``."""
    for t in range(end - first):
        for j in range(columns.shape[1]):
            target[t, j] = columns[first + t, j]


@compiled
def add_up(columns: Floats, total: Floats) -> None:
    """Compute the sum of each column."""
    for j in range(len(total)):
        total[j] = 0
    for t in range(len(columns)):
        for j in range(len(total)):
            total[j] += columns[t, j]


@compiled
def add_up_sizes(columns: Floats, total: Floats) -> None:
    """Compute the sum of the absolute values of each column."""
    for j in range(len(total)):
        total[j] = 0
    for t in range(len(columns)):
        for j in range(len(total)):
            total[j] += abs(columns[t, j])


@compiled
def add_up_squares(columns: Floats, total: Floats) -> None:
    """Compute the sum of the squares of each column."""
    for j in range(len(total)):
        total[j] = 0
    for t in range(len(columns)):
        for j in range(len(total)):
            total[j] += columns[t, j] * columns[t, j]


@compiled
def add_up_weighted(columns: Floats, total: Floats) -> None:
    """Compute the sum of each column with the weights 1, 2, 3 ... of its rows."""
    for j in range(len(total)):
        total[j] = 0
    for t in range(len(columns)):
        for j in range(len(total)):
            total[j] += columns[t, j] * (t + 1.0)


@compiled
def add_up_errors(forward: Floats, backward: Floats, left: Floats, shared: Floats) -> None:
    """Compute the energy of both prediction errors together, and the sum of their products."""
    for j in range(len(left)):
        left[j], shared[j] = 0, 0
    for t in range(len(forward)):
        for j in range(len(left)):
            a, b = forward[t, j], backward[t, j]
            left[j] += a * a + b * b
            shared[j] += a * b


@compiled
def add_up_moments(deviations: Floats, spread: Floats, third: Floats, fourth: Floats) -> None:
    """Compute the sums of the third and of the fourth powers of the standardised columns."""
    for j in range(len(third)):
        third[j], fourth[j] = 0, 0
    for t in range(len(deviations)):
        for j in range(len(third)):
            standardised = deviations[t, j] / spread[j]
            square = standardised * standardised
            third[j] += square * standardised
            fourth[j] += square * square


@compiled
def subtract(deviations: Floats, columns: Floats, mean: Floats) -> None:
    """Subtract its mean from each column."""
    for t in range(len(columns)):
        for j in range(len(mean)):
            deviations[t, j] = columns[t, j] - mean[j]


@compiled
def reflect(forward: Floats, backward: Floats, k: Floats) -> None:
    """Apply the reflection coefficients ``k`` to both prediction errors (Burg), in place."""
    for t in range(len(forward)):
        for j in range(len(k)):
            a, b = forward[t, j], backward[t, j]
            forward[t, j] = a + k[j] * b
            backward[t, j] = b + k[j] * a


@compiled
def find_peak(columns: Floats, peak: Floats) -> None:
    """Find the row of the largest value of each column, counted from 1; the first of several."""
    largest = np.empty(len(peak))
    for j in range(len(peak)):
        largest[j], peak[j] = columns[0, j], 1
    for t in range(1, len(columns)):
        for j in range(len(peak)):
            higher = columns[t, j] > largest[j]
            largest[j] = columns[t, j] if higher else largest[j]
            peak[j] = t + 1.0 if higher else peak[j]


@compiled
def exchange_rows(columns: Floats, network: Ints) -> None:
    """Apply a sorting network, in place: of each pair of rows the lower one gets the minimum.

    Args:
        columns: (rows, columns).
        network: (exchanges, 3) as `quantile_network` returns it.
    """
    width = columns.shape[1]
    rows = columns.reshape(-1)
    # A call for each run would take longer than the run.
    for run in range(len(network)):
        size = network[run, 2] * width
        low = rows[network[run, 0] * width :][:size]
        high = rows[network[run, 1] * width :][:size]
        for i in range(size):
            a, b = low[i], high[i]
            low[i] = min(b, a)
            high[i] = max(a, b)


@compiled
def quantize(levels: Bytes, values: Floats) -> None:
    """Round values to the grey levels of an image: 0 is black (0), 1 is white (255)."""
    for j in range(len(levels)):
        level = 255 * values[j] + 0.5
        level = level if level > 0 else 0.0
        levels[j] = np.uint8(level if level < 255 else 255.0)


@compiled
def copy_without_last(values: Floats, copy: Floats) -> None:
    """Copy all values but the last one. Negative zeros become positive."""
    for t in range(len(copy)):
        copy[t] = values[t] + 0.0


@compiled
def copy_and_difference(values: Floats, copy: Floats, difference: Floats) -> None:
    """Copy all values but the last one, and compute their differences to the next values.

    Negative zeros become positive.
    """
    for t in range(len(copy)):
        value = values[t] + 0.0
        copy[t] = value
        difference[t] = (values[t + 1] + 0.0) - value


@compiled
def compute_magnitude(axes: Floats, size: Floats) -> None:
    """Compute the lengths of the vectors (3, length)."""
    for t in range(len(size)):
        x, y, z = axes[0, t], axes[1, t], axes[2, t]
        size[t] = math.sqrt(x * x + y * y + z * z)
