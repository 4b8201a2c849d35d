"""Which windows a recovery has closed again: their events were published before."""

from streamer.stream.devices import OPEN
from streamer.stream.partition import Outcome


class Replayed:
    """Windows that a recovery has closed again, and whose events were published before."""

    def __init__(self) -> None:
        self.last_ms: dict[str, int] = {}
        """Start of each live device's last window: its event says what is believed of it."""
        self._windows = 0
        self._gone = 0

    def add(self, outcome: Outcome) -> None:
        """Take in what a fetch led to."""
        for part in outcome.windows:
            self._windows += len(part)
            self.last_ms.update((window.device_id, window.start_ms) for window in part)
        self._gone += len(outcome.forgotten)
        for device_id in outcome.forgotten:
            self.last_ms.pop(device_id, None)

    @property
    def most_events(self) -> int:
        """How many events have been published since the first of these windows, at most.

        Devices that are gone may have had windows open when the first of these records came; a
        replay does not close them again.
        """
        return self._windows + OPEN * self._gone
