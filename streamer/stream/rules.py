"""The settings on which the windows of a stream depend."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings of time and completeness; times in microseconds."""

    max_gap_us: int = 200_000
    """Longest step between two samples that is interpolated. After a longer one the device starts
    anew."""
    lateness_us: int = 0
    """By how much the watermark is behind the newest sample."""
    idle_us: int = 60_000_000
    """Silence, by the partition clock, after which a device is forgotten."""
    patience_us: int = 5_000_000
    """A device that sends nothing but late samples for longer than this begins a new life."""
    min_coverage: float = 0.6
    """Smallest share of a window's slots that must be samples, not interpolated."""
    max_devices: int = 100_000
    """Devices of a partition; when there are more, the least recently seen ones are forgotten."""

    @property
    def watermark_lag_us(self) -> int:
        """Samples up to the newest time minus this are settled: nothing comes before them.

        Without lateness the newest sample itself is settled. With it, a sample that is exactly
        ``lateness`` behind is still accepted, so only samples before that are settled.
        """
        return self.lateness_us + 1 if self.lateness_us else 0
