"""Which windows a recovery has closed again: their events were published before."""

from streamer.features.window_shape import WINDOW
from streamer.stream.device_table import OPEN
from streamer.stream.partition import PushResult

_SPARE = 10_000


class Rebuilt:
    """Windows that a recovery has closed again, and whose events were published before."""

    def __init__(self) -> None:
        self.last_ms: dict[str, int] = {}
        """Start of each live device's last window: its event says what is believed of it."""
        self._windows = 0
        self._gone = 0

    def add(self, outcome: PushResult) -> None:
        """Take in what a fetch led to."""
        for part in outcome.windows:
            self._windows += len(part)
            self.last_ms.update((window.device_id, window.start_ms) for window in part)
        self._gone += len(outcome.forgotten)
        for device_id in outcome.forgotten:
            self.last_ms.pop(device_id, None)

    def most_events(self, lateness_us: int) -> int:
        """How far back the events of these windows are, counted in events, generously.

        When the first of these records came, devices had windows open, and samples waiting for
        their watermark, that a replay does not see again; and events may have been published twice.
        """
        held = OPEN + lateness_us // WINDOW.hop_us
        return 2 * (self._windows + held * (len(self.last_ms) + self._gone)) + _SPARE
