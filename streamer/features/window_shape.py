"""The shape of windows in time: the same for every feature set."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class WindowShape:
    """Lengths are in samples unless they say otherwise.

    Attributes:
        rate_hz: sampling rate that features are defined for.
        length: samples of a window.
        hop: samples from one window's start to the next one's.
        lookahead: samples needed after the window: one for the jerk, one for the median.
        epoch_hops: the filters start anew after this many hops, so that nothing depends on
            samples older than two such epochs.
        settled_us: how long the filters have to run before their start is forgotten.
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
