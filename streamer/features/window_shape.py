"""Defines the length, hop and rate of windows, which are the same for every feature set."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class WindowShape:
    """Lengths of a window and of its filters, in samples unless another unit is given.

    Attributes:
        rate_hz: sampling rate that features are defined for.
        length: samples of a window.
        hop: samples from the start of a window to the start of the next one.
        lookahead: samples needed after the window: one for the jerk, one for the median.
        epoch_hops: hops after which the filters start anew, so that no feature depends on samples
            older than two such epochs.
        settled_us: time after which the start of the filters no longer affects the features.
    """

    rate_hz: int
    length: int
    hop: int
    lookahead: int
    epoch_hops: int
    settled_us: int

    @property
    def step_us(self) -> int:
        """Time from one sample to the next."""
        return 1_000_000 // self.rate_hz

    @property
    def hop_us(self) -> int:
        """Time from one window's start to the next one's."""
        return self.hop * self.step_us

    @property
    def length_us(self) -> int:
        """Time that a window covers."""
        return self.length * self.step_us


WINDOW: Final = WindowShape(
    rate_hz=50, length=128, hop=64, lookahead=2, epoch_hops=32, settled_us=38_000_000
)
"""The shape of all windows: that of the public data set."""
