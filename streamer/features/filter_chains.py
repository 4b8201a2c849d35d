"""Filters the samples of each device with two chains of filters, in place and compiled.

A chain returns the same bits as the filters of `streamer.features.filters`.

**Why two.** A recursive filter depends on its whole past. The filters therefore start anew, at
rest, at every epoch of the grid of a device, so that no signal depends on samples older than two
epochs. A window whose nominal end is in epoch e uses the chain that started with epoch e - 1. That
chain has run for at least one epoch and has settled::

    epoch    |    e-2    |    e-1    |     e     |
    chain 0  |===========*===========|           |    * starts anew, at rest
    chain 1              |===========*===========|
    windows ending here  | chain 1   | chain 0   |

The chain that starts with epoch e is chain ``e % 2`` in the row of its device. Both chains start at
the first sample of a device.

**How they are advanced.** Each column is a channel of one chain, and each row is a time. Every
column is computed with SciPy's operations in SciPy's order.
"""

from typing import Final, NamedTuple, Self

import numpy as np

from streamer.arrays import Floats, map_zeros
from streamer.compiled import compiled_together
from streamer.features.coefficients import AT_REST, CHANNELS, SECTIONS, SIGNALS, STATE_SIZE

CHAINS: Final = 2
_AXES: Final = 3
_HALF: Final = _AXES * CHAINS
"""Number of columns of acceleration. The columns of the gyroscope follow them."""


class Chains(NamedTuple):
    """Filter states and the newest signals: one row for each device.

    Attributes:
        state: (rows, 2, STATE_SIZE).
        history: (rows, 2, 9, length + 1) signals of the newest filtered slots.
    """

    state: Floats
    history: Floats

    @classmethod
    def room(cls, rows: int, length: int) -> Self:
        """Make rows for devices, for windows of ``length`` samples and one more for the jerk."""
        return cls(
            map_zeros((rows, CHAINS, STATE_SIZE), np.float64),
            map_zeros((rows, CHAINS, SIGNALS, length + 1), np.float64),
        )


class Filters(NamedTuple):
    """Sections (s, 6) of each filter, and its state (s, 2) after a long input of ones.

    They are arguments and not globals, because compiled code is faster with arguments.
    """

    noise: Floats
    gravity: Floats
    drift: Floats
    noise_at_rest: Floats
    gravity_at_rest: Floats
    drift_at_rest: Floats

    @classmethod
    def all(cls) -> Self:
        """Return the filters of `streamer.features.coefficients`."""
        return cls(*SECTIONS, *AT_REST)


class Bench(NamedTuple):
    """Work space in which the samples of one device are filtered.

    Attributes:
        samples: (longest, 12) median-filtered samples: acceleration x y z of chain 0 and of chain
            1, then the same of the gyroscope. Filtering replaces them by samples without noise.
        slow: (longest, 12) gravity and drift of these samples.
        newer: (sections, 12) first number of the state of each section.
        older: (sections, 12) second number of the state of each section.
    """

    samples: Floats
    slow: Floats
    newer: Floats
    older: Floats

    @classmethod
    def empty(cls, longest: int) -> Self:
        """Make a work space for up to ``longest`` samples at once."""
        columns, sections = CHAINS * CHANNELS, max(map(len, SECTIONS))
        return cls(
            np.zeros((longest, columns)),
            np.zeros((longest, columns)),
            np.zeros((sections, columns)),
            np.zeros((sections, columns)),
        )


@compiled_together
def put_sample(bench: Bench, t: int, channel: int, value: float) -> None:
    """Write a sample of one channel into the columns of both chains."""
    column = channel // _AXES * _HALF + channel % _AXES
    for chain in range(CHAINS):
        bench.samples[t, column + chain * _AXES] = value


@compiled_together
def restart_chain(chains: Chains, row: int, chain: int, bench: Bench, filters: Filters) -> None:
    """Start one chain of a device at rest on the first sample of the work space."""
    at = 0
    for kind in range(2):
        for axis in range(_AXES):
            level = bench.samples[0, kind * _HALF + axis]
            at = _rest(chains.state, row, chain, at, level, filters.noise_at_rest)
    for axis in range(_AXES):
        at = _rest(chains.state, row, chain, at, bench.samples[0, axis], filters.gravity_at_rest)
    for axis in range(_AXES):
        level = bench.samples[0, _HALF + axis]
        at = _rest(chains.state, row, chain, at, level, filters.drift_at_rest)


@compiled_together
def _rest(state: Floats, row: int, chain: int, at: int, level: float, at_rest: Floats) -> int:
    """Write the state of one filter and channel from index ``at`` on; return the index after it."""
    for section in range(len(at_rest)):
        for k in range(2):
            state[row, chain, at] = level * at_rest[section, k]
            at += 1
    return at


@compiled_together
def advance_chains(chains: Chains, row: int, n: int, bench: Bench, filters: Filters) -> None:
    """Filter the next n samples of a device, which are in the work space, with both chains."""
    _through(bench.samples, n, 0, 2 * _HALF, filters.noise, chains.state, row, 0, bench)
    for t in range(n):
        for j in range(2 * _HALF):
            bench.slow[t, j] = bench.samples[t, j]
    at = 2 * CHANNELS * len(filters.noise)
    _through(bench.slow, n, 0, _HALF, filters.gravity, chains.state, row, at, bench)
    at += 2 * _AXES * len(filters.gravity)
    _through(bench.slow, n, _HALF, _HALF, filters.drift, chains.state, row, at, bench)
    for chain in range(CHAINS):
        _remember(chains.history, row, chain, n, bench.samples, bench.slow)


@compiled_together
def _through(
    columns: Floats,
    n: int,
    first: int,
    width: int,
    sections: Floats,
    state: Floats,
    row: int,
    at: int,
    bench: Bench,
) -> None:
    """Filter ``width`` columns from ``first`` on; the state of the filter begins at ``at``."""
    newer, older, count = bench.newer, bench.older, len(sections)
    for j in range(width):
        chain, channel = j % _HALF // _AXES, j // _HALF * _AXES + j % _AXES
        for section in range(count):
            kept = at + (channel * count + section) * 2
            newer[section, j] = state[row, chain, kept]
            older[section, j] = state[row, chain, kept + 1]
    for t in range(n):
        for section in range(count):
            b0, b1, b2 = sections[section, 0], sections[section, 1], sections[section, 2]
            a1, a2 = sections[section, 4], sections[section, 5]
            for j in range(width):
                x = columns[t, first + j]
                y = b0 * x + newer[section, j]
                newer[section, j] = b1 * x - a1 * y + older[section, j]
                older[section, j] = b2 * x - a2 * y
                columns[t, first + j] = y
    for j in range(width):
        chain, channel = j % _HALF // _AXES, j // _HALF * _AXES + j % _AXES
        for section in range(count):
            kept = at + (channel * count + section) * 2
            state[row, chain, kept] = newer[section, j]
            state[row, chain, kept + 1] = older[section, j]


@compiled_together
def _remember(history: Floats, row: int, chain: int, n: int, smooth: Floats, slow: Floats) -> None:
    """Append body acceleration, gravity and gyroscope to the newest signals of a chain."""
    length = history.shape[3]
    new = min(length, n)
    for signal in range(3 * _AXES):
        for t in range(length - new):
            history[row, chain, signal, t] = history[row, chain, signal, t + new]
    for axis in range(_AXES):
        acceleration = chain * _AXES + axis
        gyroscope = _HALF + acceleration
        for t in range(n - new, n):
            at = length - n + t
            gravity = slow[t, acceleration]
            history[row, chain, axis, at] = smooth[t, acceleration] - gravity
            history[row, chain, _AXES + axis, at] = gravity
            history[row, chain, 2 * _AXES + axis, at] = smooth[t, gyroscope] - slow[t, gyroscope]
