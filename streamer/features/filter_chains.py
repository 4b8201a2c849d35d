"""Two chains of filters a device, advanced in place by compiled code as samples come.

Each chain is the filters of `streamer.features.filters`, to the bit.

**Why two.** A recursive filter never forgets, so the filters start anew, at rest, at every epoch of
a device's grid: nothing depends on a past older than two epochs. A window whose nominal end lies in
epoch e takes its signals from the chain that started with epoch e - 1, which is therefore warm::

    epoch    |    e-2    |    e-1    |     e     |
    chain 0  |===========*===========|           |    * starts anew, at rest
    chain 1              |===========*===========|
    windows ending here  | chain 1   | chain 0   |

The chain of epoch e lives in half ``e % 2`` of its device's rows; both start where a device starts.

**How they are advanced.** The channels of both chains stand side by side as columns and time runs
down. Every column goes through SciPy's operations in SciPy's order.
"""

from typing import Final, NamedTuple, Self

import numpy as np

from streamer.arrays import Floats
from streamer.compiled import compiled_together
from streamer.features.coefficients import AT_REST, CHANNELS, SECTIONS, SIGNALS, STATE_SIZE

CHAINS: Final = 2
_AXES: Final = 3
_HALF: Final = _AXES * CHAINS
"""Columns of the acceleration, which stand before those of the gyroscope."""


class Chains(NamedTuple):
    """Filter states and the newest signals, one row a device.

    Attributes:
        state: (rows, 2, STATE_SIZE).
        history: (rows, 2, 9, length + 1) signals of the newest slots filtered.
    """

    state: Floats
    history: Floats

    @classmethod
    def room(cls, rows: int, length: int) -> Self:
        """Return rows; a window has ``length`` samples and needs one more for the jerk."""
        return cls(
            np.zeros((rows, CHAINS, STATE_SIZE)), np.zeros((rows, CHAINS, SIGNALS, length + 1))
        )


class Filters(NamedTuple):
    """Sections (s, 6) of each filter, and the state (s, 2) of one that has seen nothing but ones.

    They are handed over at each call: compiled code handles arrays that are arguments faster.
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
        samples: (longest, 12) median-filtered; acceleration x y z of chain 0 and of chain 1, then
            the gyroscope's. Smooth after filtering.
        slow: (longest, 12) their gravity and drift.
        newer: (sections, 12) state of a filter.
        older: (sections, 12).
    """

    samples: Floats
    slow: Floats
    newer: Floats
    older: Floats

    @classmethod
    def empty(cls, longest: int) -> Self:
        """Room for this many samples at once."""
        columns, sections = CHAINS * CHANNELS, max(map(len, SECTIONS))
        return cls(
            np.zeros((longest, columns)),
            np.zeros((longest, columns)),
            np.zeros((sections, columns)),
            np.zeros((sections, columns)),
        )


@compiled_together
def put_sample(bench: Bench, t: int, channel: int, value: float) -> None:
    """Put a sample on the bench, for each chain."""
    column = channel // _AXES * _HALF + channel % _AXES
    for chain in range(CHAINS):
        bench.samples[t, column + chain * _AXES] = value


@compiled_together
def restart_chain(chains: Chains, row: int, chain: int, bench: Bench, filters: Filters) -> None:
    """Start one chain of a device at rest, as if the bench's first sample had always been there."""
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
    for section in range(len(at_rest)):
        for k in range(2):
            state[row, chain, at] = level * at_rest[section, k]
            at += 1
    return at


@compiled_together
def advance_chains(chains: Chains, row: int, n: int, bench: Bench, filters: Filters) -> None:
    """Filter a device's next n samples, which lie on the bench, with both chains."""
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
    """Send some columns through a filter, whose state begins there in that of each chain."""
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
