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
        familiarity: whether events say how familiar the movement of their device is.
        label_unfamiliar: whether the windows of an unfamiliar device have an activity; otherwise it
            is `unknown`.
    """

    smoothing: bool = True
    min_confidence: float = 0.0
    context: bool = False
    familiarity: bool = True
    label_unfamiliar: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read the policy from the settings."""
        return cls(
            settings.smoothing,
            settings.min_confidence,
            settings.when_unsure == "context",
            label_unfamiliar=settings.when_unfamiliar == "label",
        )

    @property
    def needs_beliefs(self) -> bool:
        """Whether the activity of a window depends on the belief about the device before it."""
        return self.smoothing or self.context
