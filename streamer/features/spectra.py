"""Amplitude spectra of series of 128 samples, and what only a spectrum has.

A spectrum has the bins k = 1 .. 64: no constant part, the Nyquist frequency included.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from streamer.features.statistics import sum_of_products

Array = npt.NDArray[np.float64]

_BINS: Final = np.arange(1.0, 65.0)


def amplitude(series: Array) -> Array:
    """The spectra (..., 64) of series (..., 128): |FFT| * 2 / 128, no window function."""
    transform = np.fft.rfft(series)[..., 1:]
    power: Array = np.square(transform.real)
    power += np.square(transform.imag)
    np.sqrt(power, out=power)
    power *= 2 / series.shape[-1]
    return power


def peak(spectrum: Array) -> Array:
    """The bin k of the largest amplitude, the lowest such bin."""
    k: Array = np.argmax(spectrum, axis=-1) + 1.0
    return k


def mean_frequency(spectrum: Array) -> Array:
    """The mean bin, weighted by amplitude; 0 for an empty spectrum."""
    total = spectrum.sum(axis=-1)
    weighted = sum_of_products(spectrum, np.broadcast_to(_BINS, spectrum.shape))
    mean: Array = np.divide(weighted, total, out=np.zeros_like(total), where=total > 0)
    return mean


def bands_energy(spectrum: Array) -> Array:
    """The energy (..., 14) of eight bands of 8 bins, four of 16, and the lower two of 24."""
    eight_by_eight = spectrum.reshape(*spectrum.shape[:-1], 8, 8)
    eighths = sum_of_products(eight_by_eight, eight_by_eight)
    quarters = eighths[..., ::2] + eighths[..., 1::2]
    lower, upper = eighths[..., :3], eighths[..., 3:6]
    halves = [part.sum(axis=-1, keepdims=True) for part in (lower, upper)]
    return np.concatenate([eighths, quarters, *halves], axis=-1)
