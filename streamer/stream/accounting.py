"""Where every sample and every window went."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Skip(StrEnum):
    """Why a window that was opened got no prediction."""

    GAP = "gap"
    """The device paused for longer than ``max_gap`` inside it."""
    IDLE = "idle"
    """The device fell silent for good inside it."""
    CROWDED = "crowded"
    """The device was forgotten inside it, because the partition had too many."""
    CLOCK = "clock"
    """The device's clock went back inside it, or had been ahead."""
    COVERAGE = "coverage"
    """Too few of its samples were really there."""
    SAMPLING_RATE = "sampling_rate"
    """The device changed its sampling rate inside it."""
    IMPLAUSIBLE = "implausible"
    """Its acceleration cannot be in g with gravity, or its rotation not in rad/s."""
    NO_GYROSCOPE = "no_gyroscope"
    """The device sent no rotation, and the model cannot do without."""


@dataclass(slots=True)
class Tally:
    """What became of samples and windows of one partition.

    At any time ``samples pushed = used + late + duplicate + waiting`` (for the watermark) and
    ``opened = closed + sum(skipped) + open``.
    """

    used: int = 0
    late: int = 0
    duplicate: int = 0
    opened: int = 0
    closed: int = 0
    restarts: int = 0
    """New lives of devices that had sent nothing but late samples for too long."""
    pushed_out: int = 0
    """Times that a device was forgotten because the partition had too many."""
    unsettled: int = 0
    """Closed ones whose filters were still warming up."""
    skipped: Counter[Skip] = field(default_factory=Counter)

    def skip(self, reason: Skip, windows: int) -> None:
        """Count windows that get no prediction."""
        if windows:
            self.skipped[reason] += windows

    def withhold(self, reason: Skip, settled: bool) -> None:
        """Count a closed window as one that gets no prediction after all."""
        self.closed -= 1
        self.unsettled -= not settled
        self.skip(reason, 1)
