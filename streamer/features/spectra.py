"""Describes amplitude spectra of series of 128 samples.

A spectrum has the bins k = 1 .. 64: without the constant part, with the Nyquist frequency.
"""

from typing import Final, NamedTuple

import numpy as np

from streamer.arrays import Complexes, Floats
from streamer.features.statistics import by_window, describe, side_by_side

BINS: Final = np.arange(1.0, 65.0)
BANDS: Final = 14
SCALE: Final = 2 / (2 * len(BINS))

# `describe` standardises with n - 1. The published moments are biased, which means with n.
BIASED: Final = len(BINS) / (len(BINS) - 1)
BIASED_SKEWNESS: Final = BIASED**1.5
BIASED_KURTOSIS: Final = BIASED**2


class Shape(NamedTuple):
    """The shape of spectra: one number for each spectrum.

    Attributes:
        peak: the bin of the largest amplitude; the lowest of several.
        mean_frequency: the mean bin, weighted by amplitude; 0 for a spectrum of zeros.
        skewness: the third standardised moment, biased.
        kurtosis: the fourth standardised moment, biased; 3 is not subtracted.
    """

    peak: Floats
    mean_frequency: Floats
    skewness: Floats
    kurtosis: Floats


class FrequencyDomain(NamedTuple):
    """The description of the spectra of n windows.

    Attributes:
        statistics: (n, 9, spectra) in the order of `Statistics`.
        shape: (n, 4, spectra) in the order of `Shape`.
        bands: (n, spectra, 14) energy of eight bands of 8 bins, of four bands of 16, and of the two
            lower bands of 24.
    """

    statistics: Floats
    shape: Floats
    bands: Floats


def describe_spectra(transform: Complexes) -> FrequencyDomain:
    """Describe amplitude spectra, given the `rfft` (n, series, 65) of the series of n windows."""
    n, count, _ = transform.shape
    columns = side_by_side(amplitude(transform))
    statistics, deviations, spread = describe(columns)
    total, weighted = columns.sum(axis=0), (columns * BINS[:, None]).sum(axis=0)
    standardised = deviations / spread
    squares = np.square(standardised)
    shape = Shape(
        peak=np.argmax(columns, axis=0) + 1.0,
        mean_frequency=np.divide(weighted, total, out=np.zeros_like(total), where=total > 0),
        skewness=(squares * standardised).sum(axis=0) / len(columns) * BIASED_SKEWNESS,
        kurtosis=np.square(squares).sum(axis=0) / len(columns) * BIASED_KURTOSIS,
    )
    bands = _bands(columns).T.reshape(n, count, BANDS)
    return FrequencyDomain(by_window(statistics, n), by_window(shape, n), bands)


def amplitude(transform: Complexes) -> Floats:
    """Return the spectra (..., 64) of transforms (..., 65): |FFT| * 2 / 128, no window function."""
    power: Floats = np.square(transform.real[..., 1:])
    power += np.square(transform.imag[..., 1:])
    np.sqrt(power, out=power)
    power *= SCALE
    return power


def _bands(columns: Floats) -> Floats:
    """Return the energy (14, m) of each band."""
    eighths = np.square(columns).reshape(8, 8, -1).sum(axis=1)
    quarters = eighths[::2] + eighths[1::2]
    halves = [eighths[i] + eighths[i + 1] + eighths[i + 2] for i in (0, 3)]
    return np.concatenate([eighths, quarters, halves])
