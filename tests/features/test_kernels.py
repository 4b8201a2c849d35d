"""With numba and without it workers publish the same bytes: the kernels find the same bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.compiled import IS_COMPILED
from streamer.features import kernels, spectra, statistics
from tests.features.test_extract import KINDS

pytestmark = pytest.mark.skipif(not IS_COMPILED, reason="numba is not installed")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_kernels_find_in_time_what_numpy_finds_to_the_bit(n: int, seed: int) -> None:
    series = some_series(n * 19, seed).reshape(n, 19, 128)
    for found, wanted in zip(
        kernels.in_time(series, 15), statistics.in_time(series, 15), strict=True
    ):
        assert np.ascontiguousarray(wanted).tobytes() == found.tobytes()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_kernels_find_in_spectra_what_numpy_finds_to_the_bit(n: int, seed: int) -> None:
    transform = np.fft.rfft(some_series(n * 13, seed).reshape(n, 13, 128))
    for found, wanted in zip(
        kernels.in_frequency(transform), spectra.in_frequency(transform), strict=True
    ):
        assert np.ascontiguousarray(wanted).tobytes() == found.tobytes()


def some_series(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Series of every kind; zeros are positive, as `extract` makes them."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(len(KINDS), size=count)
    rows = [KINDS[kind](rng)[rng.integers(9), :128] for kind in kinds]
    return np.array(rows).reshape(count, 128) + 0.0
