"""A monotonic clock that a test moves."""

from dataclasses import dataclass


@dataclass
class Clock:
    """Returns ``now_s`` when it is called."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        """Return the time of the test in seconds."""
        return self.now_s
