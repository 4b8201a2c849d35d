"""When an activity is published, and when `unknown`."""

from dataclasses import dataclass
from typing import Self

from streamer.settings import Settings


@dataclass(frozen=True, slots=True)
class LabelPolicy:
    """What becomes of windows that are in doubt.

    Attributes:
        smoothing: whether what a device did before counts.
        min_confidence: below it a window's activity is in doubt.
        context: let what the device did before decide then, rather than say `unknown`.
    """

    smoothing: bool = True
    min_confidence: float = 0.0
    context: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read the policy from the settings."""
        return cls(settings.smoothing, settings.min_confidence, settings.when_unsure == "context")

    @property
    def needs_memory(self) -> bool:
        """Whether a window's label rests on the one before."""
        return self.smoothing or self.context
