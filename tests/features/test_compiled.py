"""The compiled features and filters find the bits that their plain statements find."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.features import (
    compiled_features,
    extract,
    extract_plain,
    filter_chains,
    series,
    spectra,
    statistics,
)
from streamer.features.coefficients import SIGNALS, STATE_SIZE
from streamer.features.filter_chains import Chains
from streamer.features.filters import advance, state_at_rest
from tests.features.test_extract import KINDS


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_compiled_code_computes_the_series_that_numpy_computes_to_the_bit(
    n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    signals = np.stack([KINDS[kind](rng) for kind in rng.integers(len(KINDS), size=n)])
    signals[signals == 0] = -0.0
    assert (
        compiled_features.compute_series(signals).tobytes()
        == series.compute_series(signals).tobytes()
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_compiled_code_describes_series_as_numpy_does_to_the_bit(n: int, seed: int) -> None:
    in_time = some_series(n * 19, seed).reshape(n, 19, 128)
    for found, wanted in zip(
        compiled_features.describe_series(in_time, 15),
        statistics.describe_series(in_time, 15),
        strict=True,
    ):
        assert np.ascontiguousarray(wanted).tobytes() == found.tobytes()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_compiled_code_describes_spectra_as_numpy_does_to_the_bit(n: int, seed: int) -> None:
    transform = np.fft.rfft(some_series(n * 13, seed).reshape(n, 13, 128))
    for found, wanted in zip(
        compiled_features.describe_spectra(transform),
        spectra.describe_spectra(transform),
        strict=True,
    ):
        assert np.ascontiguousarray(wanted).tobytes() == found.tobytes()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_compiled_code_filters_as_scipy_does_to_the_bit(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table, row, chain = 5, int(rng.integers(5)), int(rng.integers(2))
    state = rng.normal(size=(table, 2, STATE_SIZE))
    history = rng.normal(size=(table, 2, SIGNALS, 129))
    samples = rng.normal(size=(6, n))
    chains = Chains(state.copy(), history.copy())

    bench, filters = filter_chains.Bench.empty(n), filter_chains.Filters.all()
    for channel, t in np.ndindex(samples.shape):
        filter_chains.put_sample(bench, t, channel, float(samples[channel, t]))
    filter_chains.restart_chain(chains, row, chain, bench, filters)
    filter_chains.advance_chains(chains, row, n, bench, filters)

    state[row, chain] = state_at_rest(samples[None, :, 0])
    signals, state[row] = advance(state[row], np.repeat(samples[None], 2, axis=0))
    history[row] = np.concatenate([history[row], signals], axis=-1)[..., -129:]
    assert chains.state.tobytes() == state.tobytes()
    assert chains.history.tobytes() == history.tobytes()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_extract_and_its_plain_statement_find_the_same_bits(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    signals = np.stack([KINDS[kind](rng) for kind in rng.integers(len(KINDS), size=n)])
    assert extract(signals).tobytes() == extract_plain(signals).tobytes()


def some_series(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Series of every kind; zeros are positive, as `extract` makes them."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(len(KINDS), size=count)
    rows = [KINDS[kind](rng)[rng.integers(9), :128] for kind in kinds]
    return np.array(rows).reshape(count, 128) + 0.0
