"""Loops over columns, compiled: the parts of `compiled_features`.

They become instructions for several columns at once, as long as they write to no more than two
arrays. Sums begin with zero, as NumPy's do.
"""

import math

import numpy as np

from streamer.arrays import Bytes, Floats, Ints
from streamer.compiled import compiled


@compiled
def copy(columns: Floats, first: int, end: int, copy: Floats) -> None:
    """Copy rows ``first`` to ``end``."""
    for t in range(end - first):
        for j in range(columns.shape[1]):
            copy[t, j] = columns[first + t, j]


@compiled
def add_up(columns: Floats, total: Floats) -> None:
    """The sum of each column."""
    for j in range(len(total)):
        total[j] = 0
    for t in range(len(columns)):
        for j in range(len(total)):
            total[j] += columns[t, j]


@compiled
def add_up_sizes(columns: Floats, total: Floats) -> None:
    """The sum of each column's absolute values."""
    for j in range(len(total)):
        total[j] = 0
    for t in range(len(columns)):
        for j in range(len(total)):
            total[j] += abs(columns[t, j])


@compiled
def add_up_squares(columns: Floats, total: Floats) -> None:
    """The sum of each column's squares."""
    for j in range(len(total)):
        total[j] = 0
    for t in range(len(columns)):
        for j in range(len(total)):
            total[j] += columns[t, j] * columns[t, j]


@compiled
def add_up_weighted(columns: Floats, total: Floats) -> None:
    """The sum of each column, row k times k, from 1 on."""
    for j in range(len(total)):
        total[j] = 0
    for t in range(len(columns)):
        for j in range(len(total)):
            total[j] += columns[t, j] * (t + 1.0)


@compiled
def add_up_errors(forward: Floats, backward: Floats, left: Floats, shared: Floats) -> None:
    """What is left of both prediction errors together, and what they share."""
    for j in range(len(left)):
        left[j], shared[j] = 0, 0
    for t in range(len(forward)):
        for j in range(len(left)):
            a, b = forward[t, j], backward[t, j]
            left[j] += a * a + b * b
            shared[j] += a * b


@compiled
def add_up_moments(deviations: Floats, spread: Floats, third: Floats, fourth: Floats) -> None:
    """The sums of the third and fourth powers of standardised columns."""
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
    """The deviations from the mean."""
    for t in range(len(columns)):
        for j in range(len(mean)):
            deviations[t, j] = columns[t, j] - mean[j]


@compiled
def reflect(forward: Floats, backward: Floats, k: Floats) -> None:
    """One step of Burg's recursion, in place."""
    for t in range(len(forward)):
        for j in range(len(k)):
            a, b = forward[t, j], backward[t, j]
            forward[t, j] = a + k[j] * b
            backward[t, j] = b + k[j] * a


@compiled
def find_peak(columns: Floats, peak: Floats) -> None:
    """The number of each column's largest row, from 1 on; the lowest if there are several."""
    largest = np.empty(len(peak))
    for j in range(len(peak)):
        largest[j], peak[j] = columns[0, j], 1
    for t in range(1, len(columns)):
        for j in range(len(peak)):
            higher = columns[t, j] > largest[j]
            largest[j] = columns[t, j] if higher else largest[j]
            peak[j] = t + 1.0 if higher else peak[j]


@compiled
def exchange(columns: Floats, network: Ints) -> None:
    """The smaller of each pair to one row, the larger to the other, for every run of a network."""
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
def grey(levels: Bytes, values: Floats) -> None:
    """The values as levels of an image."""
    for j in range(len(levels)):
        level = 255 * values[j] + 0.5
        level = level if level > 0 else 0.0
        levels[j] = np.uint8(level if level < 255 else 255.0)


@compiled
def positive(values: Floats, copy: Floats) -> None:
    """A copy, one value shorter, in which every zero is positive."""
    for t in range(len(copy)):
        copy[t] = values[t] + 0.0


@compiled
def differ(values: Floats, copy: Floats, difference: Floats) -> None:
    """A copy in which every zero is positive, and the differences to the values that follow."""
    for t in range(len(copy)):
        value = values[t] + 0.0
        copy[t] = value
        difference[t] = (values[t + 1] + 0.0) - value


@compiled
def magnitude(axes: Floats, size: Floats) -> None:
    """The length of each vector of three axes (3, length)."""
    for t in range(len(size)):
        x, y, z = axes[0, t], axes[1, t], axes[2, t]
        size[t] = math.sqrt(x * x + y * y + z * z)
