"""A stopwatch: adds up the seconds of several intervals."""

from collections.abc import Callable


class Stopwatch:
    """Measures the time between starts and stops."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Make a stopwatch that has not started yet, on a clock that shows seconds."""
        self._clock = clock
        self._stopped_s = 0.0
        self._started_at: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Sum of all intervals so far, in seconds."""
        running_s = 0.0 if self._started_at is None else self._clock() - self._started_at
        return self._stopped_s + running_s

    def start(self) -> None:
        """Begin an interval; without effect while one runs."""
        if self._started_at is None:
            self._started_at = self._clock()

    def stop(self) -> None:
        """End the interval, if one runs."""
        self._stopped_s, self._started_at = self.elapsed_s, None
