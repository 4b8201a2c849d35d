"""Two chains of filters a device, so that nothing depends on a past older than two epochs.

An IIR filter remembers for ever, so the filters start anew, at rest, at every epoch of a device's
grid. A window whose nominal end lies in epoch e takes its signals from the chain that started with
epoch e - 1, which is therefore warm::

    epoch    |    e-2    |    e-1    |     e     |
    chain 0  |===========*===========|           |    * starts anew, at rest
    chain 1              |===========*===========|
    windows ending here  | chain 1   | chain 0   |

The chain of epoch e lives in half ``e % 2`` of its device's rows; both start where a device starts.
"""

from typing import NamedTuple, Self

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.features.filters import SIGNALS, STATE_SIZE, advance, state_at_rest

CHAINS = 2


class Chains(NamedTuple):
    """Filter states and the newest signals, one row a device.

    Attributes:
        state: (rows, 2, STATE_SIZE).
        history: (rows, 2, 9, length + 1) signals of the newest slots filtered.
    """

    state: Floats
    history: Floats

    @classmethod
    def empty(cls, length: int) -> Self:
        """No rows yet; a window has ``length`` samples and needs one more for the jerk."""
        return cls(np.zeros((0, CHAINS, STATE_SIZE)), np.zeros((0, CHAINS, SIGNALS, length + 1)))

    def restart(self, rows: Ints, chain: Ints | np.int64, samples: Floats) -> None:
        """Start one chain of each row at rest.

        Args:
            rows: (m,) device rows.
            chain: (m,) 0 or 1, or one for all.
            samples: (m, 6) the first sample of the chain, median-filtered.
        """
        self.state[rows, chain] = state_at_rest(samples)

    def advance(self, rows: Ints, samples: Floats) -> None:
        """Filter the next n slots of each row with both chains.

        Args:
            rows: (m,) distinct device rows.
            samples: (m, 6, n) median-filtered.
        """
        state = self.state[rows].reshape(-1, STATE_SIZE)
        signals, state = advance(state, np.repeat(samples, CHAINS, axis=0))
        self.state[rows] = state.reshape(-1, CHAINS, STATE_SIZE)
        signals = signals.reshape(len(rows), CHAINS, SIGNALS, -1)
        keep = self.history.shape[-1]
        new = min(keep, signals.shape[-1])
        if new < keep:
            self.history[rows, ..., : keep - new] = self.history[rows, ..., new:]
        self.history[rows, ..., keep - new :] = signals[..., -new:]
