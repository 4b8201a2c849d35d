"""From raw samples to the nine signals of the features, stated with SciPy on whole arrays.

Six channels come in (acceleration x y z in g, gravity included; gyroscope x y z in rad/s), nine
signals go out (body acceleration x y z, gravity x y z, gyroscope x y z):

1. a median of three samples takes out spikes,
2. a Butterworth low-pass of order 10 at 20 Hz takes out noise,
3. gravity is what a Butterworth low-pass of order 3 at 0.3 Hz leaves of the acceleration, and
   body acceleration is the rest,
4. the gyroscope loses its drift: what a Butterworth low-pass of order 2 at 0.1 Hz leaves of it.

Training uses this module for whole recordings. Workers use `filter_chains`, which gives the same
bits for the samples of one device as they come; tests compare the two.

Many chains of filters run side by side. All that a chain remembers is one row of `STATE_SIZE`
numbers. Every sample is computed by the same operations in the same order whatever its neighbours
in the arrays, so results are the same to the last bit however samples are cut into blocks and
chains into batches.
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
        """Filter x (m, channels, n) from a state (m, state_size); also gives the state after."""
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
    # Of two zeros it is the processor that chooses; none has a sign after this.
    median: Floats = np.maximum(low, np.minimum(high, after)) + 0.0
    return median


def state_at_zero(m: int) -> Floats:
    """Return the state (m, `STATE_SIZE`) of m chains that have seen nothing but zeros."""
    return np.zeros((m, STATE_SIZE))


def state_at_rest(first: Floats) -> Floats:
    """Return the state of chains that have seen nothing but one constant sample.

    Acceleration is then all gravity, and the gyroscope's constant is all drift: a stream that
    starts here has no step to settle from.

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
        start: "zero" is how the published features were made: everything before and after the
            recording is zero. "rest" is how live signals start: as if the first sample had always
            been there, so nothing has to settle.

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
