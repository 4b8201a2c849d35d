"""With numba and without it workers publish the same bytes: the kernels find the same bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.compiled import IS_COMPILED
from streamer.features import cascades, kernels, series, spectra, statistics
from streamer.features.chains import Chains
from streamer.features.filters import SIGNALS, STATE_SIZE
from tests.features.test_extract import KINDS

pytestmark = pytest.mark.skipif(not IS_COMPILED, reason="numba is not installed")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_kernels_make_the_series_that_numpy_makes_to_the_bit(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    signals = np.stack([KINDS[kind](rng) for kind in rng.integers(len(KINDS), size=n)])
    signals[signals == 0] = -0.0
    assert kernels.series_of(signals).tobytes() == series.series_of(signals).tobytes()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_kernels_find_in_time_what_numpy_finds_to_the_bit(n: int, seed: int) -> None:
    in_time = some_series(n * 19, seed).reshape(n, 19, 128)
    for found, wanted in zip(
        kernels.in_time(in_time, 15), statistics.in_time(in_time, 15), strict=True
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


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_kernels_filter_as_scipy_does_to_the_bit(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table, row, chain = 5, int(rng.integers(5)), int(rng.integers(2))
    state = rng.normal(size=(table, 2, STATE_SIZE))
    history = rng.normal(size=(table, 2, SIGNALS, 129))
    samples = rng.normal(size=(6, n))
    compiled, uncompiled = (Chains(state.copy(), history.copy()) for _ in range(2))

    bench, filters = cascades.Bench.empty(n), cascades.Filters.all()
    for channel, t in np.ndindex(samples.shape):
        cascades.lay(bench, t, channel, float(samples[channel, t]))
    cascades.restart(compiled, row, chain, bench, filters)
    cascades.advance(compiled, row, n, bench, filters)

    uncompiled.restart(np.array([row]), np.int64(chain), samples[None, :, 0])
    uncompiled.advance(np.array([row]), samples[None])
    assert compiled.state.tobytes() == uncompiled.state.tobytes()
    assert compiled.history.tobytes() == uncompiled.history.tobytes()


def some_series(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Series of every kind; zeros are positive, as `extract` makes them."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(len(KINDS), size=count)
    rows = [KINDS[kind](rng)[rng.integers(9), :128] for kind in kinds]
    return np.array(rows).reshape(count, 128) + 0.0
