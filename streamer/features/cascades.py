"""Both chains of many devices advanced in place, compiled: to the bit what `filters.advance` gives.

The channels of several devices and chains stand side by side as columns and time runs down. Every
column goes through SciPy's very operations in SciPy's order.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from streamer.compiled import compiled

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_AT_ONCE: Final = 4
"""Devices whose columns are filtered at once."""


@compiled
def advance(
    state: Floats,
    history: Floats,
    rows: Ints,
    samples: Floats,
    noise: Floats,
    gravity: Floats,
    drift: Floats,
) -> None:
    """Filter the next n samples of m devices with all their chains.

    Args:
        state: (rows, chains, `filters.STATE_SIZE`), changed in place.
        history: (rows, chains, 9, length) the newest signals, changed in place.
        rows: (m,) distinct rows of devices.
        samples: (m, 6, n) median-filtered.
        noise: (5, 6) sections of the filters.
        gravity: (2, 6).
        drift: (1, 6).
    """
    chains, n = state.shape[1], samples.shape[2]
    width = _AT_ONCE * chains * 3
    smooth, slow = np.zeros((2, n, width)), np.zeros((2, n, width))
    memory = np.zeros((2, len(noise), width))
    begin = 2 * 3 * 2 * len(noise)
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        for kind in range(2):
            for i in range(len(some)):
                for column in range(chains * 3):
                    for t in range(n):
                        value = samples[first + i, kind * 3 + column % 3, t]
                        smooth[kind, t, i * chains * 3 + column] = value
            _through(smooth[kind], noise, memory, state, some, kind * 3 * 2 * len(noise))
            for t in range(n):
                for j in range(width):
                    slow[kind, t, j] = smooth[kind, t, j]
        _through(slow[0], gravity, memory, state, some, begin)
        _through(slow[1], drift, memory, state, some, begin + 3 * 2 * len(gravity))
        for i in range(len(some)):
            for column in range(chains * 3):
                signals = history[some[i], column // 3]
                _remember(signals, smooth, slow, i * chains * 3 + column, column % 3)


@compiled
def _through(
    columns: Floats, sections: Floats, memory: Floats, state: Floats, rows: Ints, begin: int
) -> None:
    """Send columns through a filter, whose state of three channels a chain begins there."""
    count, chains = len(sections), state.shape[1]
    for i in range(len(rows)):
        for column in range(chains * 3):
            for section in range(count):
                at = begin + (column % 3 * count + section) * 2
                for k in range(2):
                    kept = state[rows[i], column // 3, at + k]
                    memory[k, section, i * chains * 3 + column] = kept
    for section in range(count):
        _section(columns, sections[section], memory[0, section], memory[1, section])
    for i in range(len(rows)):
        for column in range(chains * 3):
            for section in range(count):
                at = begin + (column % 3 * count + section) * 2
                for k in range(2):
                    kept = memory[k, section, i * chains * 3 + column]
                    state[rows[i], column // 3, at + k] = kept


@compiled
def _section(columns: Floats, section: Floats, newer: Floats, older: Floats) -> None:
    """One second-order section, transposed direct form II, in place."""
    b0, b1, b2, a1, a2 = section[0], section[1], section[2], section[4], section[5]
    for t in range(len(columns)):
        for j in range(len(newer)):
            x = columns[t, j]
            y = b0 * x + newer[j]
            newer[j] = b1 * x - a1 * y + older[j]
            older[j] = b2 * x - a2 * y
            columns[t, j] = y


@compiled
def _remember(signals: Floats, smooth: Floats, slow: Floats, column: int, axis: int) -> None:
    """Append an axis of body, gravity and gyroscope to its history (9, length)."""
    length, n = signals.shape[1], smooth.shape[1]
    new = min(length, n)
    for kind in range(3):
        signal = signals[kind * 3 + axis]
        for t in range(length - new):
            signal[t] = signal[t + new]
    for t in range(n - new, n):
        at = length - n + t
        body, gyro = smooth[0, t, column], smooth[1, t, column]
        signals[axis, at] = body - slow[0, t, column]
        signals[3 + axis, at] = slow[0, t, column]
        signals[6 + axis, at] = gyro - slow[1, t, column]
