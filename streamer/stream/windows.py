"""Windows that have all they need."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from streamer.arrays import Bools, Floats, Ints

ENOUGH_WINDOWS = 64
"""Windows that are handed on, and whose features are computed, at once where there are so many."""

RATE_TOLERANCE = 16
"""A window whose slots are off by more than one part in this many gets no prediction: its device
changed its rate. Somewhat more than what `sampling` takes as it comes, for jitter."""


class Window(NamedTuple):
    """What is known of a window besides its signals.

    Attributes:
        device_id: whose it is.
        start_ms: nominal start h on the device's grid.
        coverage: share of the samples that were really there.
        settled: whether the filters had run long enough.
        follows: whether the window before it on the grid was predicted too, and nothing between
            them made the device start anew.
    """

    device_id: str
    start_ms: int
    coverage: float
    settled: bool
    follows: bool


@dataclass(frozen=True, slots=True)
class ClosedWindows:
    """Windows that have all they need.

    Attributes:
        device_ids: one name a window.
        start_us: (n,) nominal start h on the device's grid.
        coverage: (n,) share of the samples that were really there.
        settled: (n,) whether the filters had run long enough.
        follows: (n,) whether the window before was predicted too, see `Window`.
        gyroscope: (n,) whether the device has one; its signals are zero otherwise.
        signals: (n, 9, length + 1) body acceleration, gravity, gyroscope.
    """

    device_ids: list[str]
    start_us: Ints
    coverage: Floats
    settled: Bools
    follows: Bools
    gyroscope: Bools
    signals: Floats

    def __len__(self) -> int:
        return len(self.device_ids)

    def of(self, some: Bools) -> "ClosedWindows":
        """Return some of them."""
        return ClosedWindows(
            [device_id for device_id, one in zip(self.device_ids, some, strict=True) if one],
            self.start_us[some],
            self.coverage[some],
            self.settled[some],
            self.follows[some],
            self.gyroscope[some],
            self.signals[some],
        )

    def __iter__(self) -> Iterator[Window]:
        """One by one, without their signals."""
        return map(
            Window,
            self.device_ids,
            (self.start_us // 1000).tolist(),
            self.coverage.tolist(),
            self.settled.tolist(),
            self.follows.tolist(),
        )
