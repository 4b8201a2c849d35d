"""The fast features against the slow reference, and each row on its own."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arrays import Floats
from streamer.errors import ShapeError
from streamer.features import NAMES, extract, scale, unscale
from tests.features import reference

SHAPE = (9, 129)
PEAKS = [i for i, name in enumerate(NAMES) if "maxInds" in name]
OTHERS = [i for i in range(len(NAMES)) if i not in PEAKS]


def noise(rng: np.random.Generator) -> Floats:
    return rng.normal(size=SHAPE)


def walk(rng: np.random.Generator) -> Floats:
    return np.cumsum(rng.normal(0, 0.1, SHAPE), axis=1)


def gait(rng: np.random.Generator) -> Floats:
    t = np.arange(129) / 50
    steps = np.sin(2 * np.pi * rng.uniform(1, 3, (9, 1)) * t + rng.uniform(0, 6, (9, 1)))
    return steps * rng.uniform(0.1, 1, (9, 1)) + rng.normal(0, 0.05, SHAPE)


def clipped(rng: np.random.Generator) -> Floats:
    return np.clip(rng.normal(0, 3, SHAPE), -2, 2)


def ties(rng: np.random.Generator) -> Floats:
    return rng.integers(-3, 4, SHAPE) / 8


def spikes(rng: np.random.Generator) -> Floats:
    return np.where(rng.random(SHAPE) < 0.02, rng.normal(0, 50, SHAPE), rng.normal(0, 1e-3, SHAPE))


def step(rng: np.random.Generator) -> Floats:
    return (np.arange(129) >= rng.integers(1, 128, (9, 1))) * rng.normal(0, 1, (9, 1)) + 0.1


def offset(rng: np.random.Generator) -> Floats:
    return rng.normal(0, 1e-4, SHAPE) + rng.normal(0, 1, (9, 1))


def large(rng: np.random.Generator) -> Floats:
    return 1e6 * rng.normal(size=SHAPE)


def small(rng: np.random.Generator) -> Floats:
    return 1e-9 * rng.normal(size=SHAPE)


def constant(rng: np.random.Generator) -> Floats:
    return np.repeat(rng.normal(size=(9, 1)), 129, axis=1)


def nothing(_: np.random.Generator) -> Floats:
    return np.zeros(SHAPE)


def one_impulse(rng: np.random.Generator) -> Floats:
    signals = np.zeros(SHAPE)
    signals[np.arange(9), rng.integers(1, 127, 9)] = 1.7
    return signals


KINDS = [
    *(noise, walk, gait, clipped, ties, spikes, step),
    *(offset, large, small, constant, nothing, one_impulse),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_features_are_those_of_the_reference_to_1e_9(
    kind: Callable[[np.random.Generator], Floats],
) -> None:
    rng = np.random.default_rng(7)
    windows = np.stack([kind(rng) for _ in range(6)])
    for window, fast in zip(windows, extract(windows), strict=True):
        slow = np.array(reference.features(window.tolist()))
        tolerance = 1e-9 * np.maximum(1, np.abs(slow))
        wrong = [
            (NAMES[i], fast[i], slow[i])
            for i in OTHERS
            if not abs(fast[i] - slow[i]) < tolerance[i]
        ]
        assert not wrong
        assert_peaks_are_as_high(window, fast)


def assert_peaks_are_as_high(window: Floats, fast: Floats) -> None:
    """Where bins are equally high but for rounding, either is a peak."""
    signals = [window[i, :128] for i in range(9)]
    jerks = [np.diff(window[i]) for i in range(9)]
    axes = [*signals[:3], *jerks[:3], *signals[6:]]
    norms = [np.sqrt(sum(s * s for s in part)) for part in _triples(signals, jerks)]
    for column, series in zip(PEAKS, [*axes, *norms], strict=True):
        spectrum = reference.amplitudes(series.tolist())
        chosen = spectrum[int(fast[column]) - 1]
        assert chosen >= max(spectrum) * (1 - 1e-9), NAMES[column]


def _triples(signals: list[Floats], jerks: list[Floats]) -> list[list[Floats]]:
    return [signals[:3], jerks[:3], signals[6:], jerks[6:]]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 150), st.integers(0, 2**32 - 1))
def test_a_row_has_the_same_bits_in_any_batch(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    windows = np.stack([KINDS[i % len(KINDS)](rng) for i in range(n)])
    together = extract(windows)
    some = rng.permutation(n)[: rng.integers(1, n + 1)]
    assert extract(windows[some]).tobytes() == together[some].tobytes()
    alone = int(rng.integers(n))
    assert extract(windows[alone : alone + 1]).tobytes() == together[alone].tobytes()


def test_no_windows_have_no_features() -> None:
    assert extract(np.zeros((0, *SHAPE))).shape == (0, 561)


@pytest.mark.parametrize(
    "windows",
    [np.zeros((2, 9, 128)), np.zeros((9, 129)), np.zeros((1, 6, 129)), np.zeros((1, 9, 129), "f4")],
)
def test_another_shape_or_type_is_refused_and_the_error_names_the_expected_one(
    windows: Floats,
) -> None:
    with pytest.raises(ShapeError, match=r"float64 windows of shape \(n, 9, 129\)"):
        extract(windows)


def test_there_are_561_names_and_the_published_repetitions_are_kept() -> None:
    assert len(NAMES) == 561
    assert len(set(NAMES)) == 561 - 2 * 3 * 14  # bandsEnergy is published without its axis
    assert NAMES[0] == "tBodyAcc-mean()-X"
    assert NAMES[554] == "angle(tBodyAccMean,gravity)"


@given(st.integers(0, 2**32 - 1))
def test_unscale_undoes_scale(seed: int) -> None:
    features = np.random.default_rng(seed).normal(0, 10, (3, 561))
    assert np.allclose(unscale(scale(features)), features, rtol=1e-12, atol=1e-12)
