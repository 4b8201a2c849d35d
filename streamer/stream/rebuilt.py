"""Remembers the windows that a recovery has closed again. Their events are already published."""

from streamer.features.window_shape import WINDOW
from streamer.stream.device_columns import OPEN
from streamer.stream.partition import PushResult

_SPARE = 10_000


class Rebuilt:
    """The windows that a recovery has closed again."""

    def __init__(self) -> None:
        self.last_ms: dict[str, int] = {}
        """Start (ms) of the last window of each live device. Its event holds the belief about the
        device."""
        self.ended: set[str] = set()
        """Those of these devices whose next window does not follow their last one."""
        self._windows = 0
        self._gone = 0

    def add(self, outcome: PushResult) -> None:
        """Add the result of a fetch."""
        for part in outcome.windows:
            self._windows += len(part)
            self.last_ms.update((window.device_id, window.start_ms) for window in part)
            self.ended.difference_update(part.device_ids)
        self.ended.update(outcome.ended)
        self._gone += len(outcome.forgotten)
        for device_id in outcome.forgotten:
            self.last_ms.pop(device_id, None)

    def most_events(self, lateness_us: int) -> int:
        """Return an upper bound of how many events back the events of these windows are.

        Before the first of these records, devices had open windows, and samples that waited for
        their watermark. A replay does not see them again. Events may also be published twice.
        """
        held = OPEN + lateness_us // WINDOW.hop_us
        return 2 * (self._windows + held * (len(self.last_ms) + self._gone)) + _SPARE
