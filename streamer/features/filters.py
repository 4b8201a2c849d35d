"""Filters raw samples to the nine signals of the features: the readable version, with SciPy.

The input is six channels: acceleration x y z in g with gravity, and gyroscope x y z in rad/s. The
output is nine signals: body acceleration x y z, gravity x y z, and gyroscope x y z.

1. A median of three samples removes spikes.
2. A Butterworth low-pass of order 10 at 20 Hz removes noise.
3. A Butterworth low-pass of order 3 at 0.3 Hz extracts gravity from the acceleration. Body
   acceleration is the difference.
4. A Butterworth low-pass of order 2 at 0.1 Hz extracts the drift of the gyroscope, which is
   subtracted.

Training uses this module for whole recordings. Workers use `filter_chains`, which gives the same
bits for the samples of one device as they come; tests compare the two.

Many chains of filters run side by side. The state of a chain is one row of `STATE_SIZE` numbers.
Results have the same bits, however samples are divided into blocks and chains into batches.
"""

from typing import Final, Literal

import numpy as np
from scipy import signal

from streamer.arrays import Floats
from streamer.errors import ShapeError
from streamer.features.coefficients import (
    AT_REST,
    CHANNELS,
    FILTERED,
    SECTIONS,
    SIGNALS,
    STATE_SIZE,
)


class _LowPass:
    """A low-pass for several channels, as second-order sections."""

    def __init__(self, sections: Floats, rest: Floats, channels: int) -> None:
        self._sections = sections
        self._rest = rest
        self._shape = (channels, len(sections), 2)
        self.state_size = channels * len(sections) * 2

    def at_rest(self, level: Floats) -> Floats:
        """Return the state (m, state_size) in which constant inputs (m, channels) stay constant."""
        return (level[:, :, None, None] * self._rest).reshape(len(level), self.state_size)

    def __call__(self, x: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Filter x (m, channels, n) from a state (m, state_size); return the new state too."""
        zi = np.moveaxis(state.reshape(-1, *self._shape), 2, 0)
        y, zf = signal.sosfilt(self._sections, x, axis=-1, zi=zi)
        return y, np.moveaxis(zf, 0, 2).reshape(state.shape)


_NOISE, _GRAVITY, _DRIFT = map(_LowPass, SECTIONS, AT_REST, FILTERED)
_PARTS: Final = (_NOISE.state_size, _NOISE.state_size + _GRAVITY.state_size)


def median3(samples: Floats) -> Floats:
    """Return the median of every sample and its two neighbours.

    Args:
        samples: (..., n + 2), n samples between the one before and the one after them.

    Returns:
        (..., n)
    """
    before, here, after = samples[..., :-2], samples[..., 1:-1], samples[..., 2:]
    low, high = np.minimum(before, here), np.maximum(before, here)
    # Which of two different zeros is the minimum depends on the processor: make all positive.
    median: Floats = np.maximum(low, np.minimum(high, after)) + 0.0
    return median


def state_at_zero(m: int) -> Floats:
    """Return the state (m, `STATE_SIZE`) of m chains after a long input of zeros."""
    return np.zeros((m, STATE_SIZE))


def state_at_rest(first: Floats) -> Floats:
    """Return the state of chains after a long input of one constant sample.

    In this state the whole acceleration is gravity, and the whole rotation is drift. A stream that
    starts with this sample makes no step, from which the filters would have to settle.

    Args:
        first: (m, 6), the first sample of each chain, median-filtered.

    Returns:
        (m, `STATE_SIZE`)
    """
    _check(first, (None, CHANNELS))
    acceleration, gyroscope = first[:, :3], first[:, 3:]
    return np.concatenate(
        [_NOISE.at_rest(first), _GRAVITY.at_rest(acceleration), _DRIFT.at_rest(gyroscope)], axis=1
    )


def advance(state: Floats, samples: Floats) -> tuple[Floats, Floats]:
    """Filter the next samples of m chains.

    Args:
        state: (m, `STATE_SIZE`), as this function or `state_at_rest` returned it.
        samples: (m, 6, n), median-filtered; the same number of samples for every chain.

    Returns:
        The signals (m, 9, n) and the state (m, `STATE_SIZE`) after them.
    """
    _check(samples, (None, CHANNELS, None))
    _check(state, (len(samples), STATE_SIZE))
    noise, gravity, drift = np.split(state, _PARTS, axis=1)
    smooth, noise = _NOISE(samples, noise)
    acceleration, gyroscope = smooth[:, :3], smooth[:, 3:]
    signals = np.empty((len(samples), SIGNALS, samples.shape[2]))
    signals[:, 3:6], gravity = _GRAVITY(acceleration, gravity)
    signals[:, 6:], drift = _DRIFT(gyroscope, drift)
    np.subtract(acceleration, signals[:, 3:6], out=signals[:, :3])
    np.subtract(gyroscope, signals[:, 6:], out=signals[:, 6:])
    return signals, np.concatenate([noise, gravity, drift], axis=1)


def condition(raw: Floats, start: Literal["zero", "rest"] = "zero") -> Floats:
    """Return the nine signals of a whole recording.

    Args:
        raw: (6, n) samples at 50 Hz, n >= 1.
        start: "zero" takes the samples before and after the recording as zero, as for the published
            features. "rest" starts the filters at rest on the first sample, as for live signals.

    Returns:
        (9, n)
    """
    _check(raw, (CHANNELS, None))
    if raw.shape[1] == 0:
        raise ShapeError("a recording needs at least one sample to be filtered, this one has none")
    padding: Literal["constant", "edge"] = "constant" if start == "zero" else "edge"
    samples = median3(np.pad(raw, ((0, 0), (1, 1)), mode=padding))[None]
    state = state_at_zero(1) if start == "zero" else state_at_rest(samples[:, :, 0])
    signals, _ = advance(state, samples)
    whole: Floats = signals[0]
    return whole


def _check(array: Floats, shape: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != np.float64:
        wanted_shape = ", ".join("n" if size is None else str(size) for size in shape)
        raise ShapeError(
            f"expected a float64 array of shape ({wanted_shape}), "
            f"got {array.dtype} of shape {array.shape}"
        )
