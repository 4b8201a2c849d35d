"""The policy that decides whether an activity or `unknown` is published."""

from dataclasses import dataclass
from typing import Self

from streamer.settings import Settings


@dataclass(frozen=True, slots=True)
class LabelPolicy:
    """How doubtful windows are labelled.

    Attributes:
        smoothing: whether the previous windows of a device count.
        min_confidence: confidence below which a window is doubtful.
        context: whether the previous windows decide about a doubtful window; otherwise its activity
            is `unknown`.
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
        """Whether the label of a window depends on the previous window."""
        return self.smoothing or self.context
