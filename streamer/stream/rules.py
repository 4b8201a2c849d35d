"""What the windows of a stream depend on, besides its records."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """Policies of time and completeness; times in us."""

    max_gap_us: int = 200_000
    """Longest step between two samples that is filled; after a longer one a device starts anew."""
    lateness_us: int = 0
    """How long the watermark trails the newest sample."""
    idle_us: int = 60_000_000
    """Silence, by the partition clock, after which a device is forgotten."""
    patience_us: int = 5_000_000
    """A device that for longer than this sends nothing but late samples begins a new life."""
    min_coverage: float = 0.6
    """Least share of a window's samples that must really be there."""
    max_devices: int = 100_000
    """Devices of a partition; when there are more, the least recently seen ones are forgotten."""

    @property
    def watermark_lag_us(self) -> int:
        """Samples up to the newest time less this are settled.

        Without lateness that includes the newest sample itself. With it, a sample exactly
        ``lateness`` behind is still welcome, so only those before it are settled.
        """
        return self.lateness_us + 1 if self.lateness_us else 0
