"""Keeps the current activity of every device, from its events. Pure: time is a parameter."""

from collections import deque
from dataclasses import dataclass

from streamer.contracts.events import ActivityEvent, Reliability

_RATE_SPAN_S = 5.0


@dataclass(slots=True)
class DeviceRow:
    """The latest window of a device, and the start of its current activity."""

    activity: str
    confidence: float | None
    since_ms: int
    """Start of the first window of the uninterrupted stretch of this activity."""
    window_start_ms: int
    window_end_ms: int
    windows: int
    """Number of windows seen."""
    unfamiliar: bool
    """Whether the device moves in a way that the model has not learned."""

    @property
    def duration_ms(self) -> int:
        """Duration of the current activity by the time of the device."""
        return self.window_end_ms - self.since_ms


class Board:
    """The devices by name, and the rate of events."""

    def __init__(self) -> None:
        self.devices: dict[str, DeviceRow] = {}
        self._arrivals: deque[tuple[float, int]] = deque()

    def add(self, events: list[ActivityEvent], now_s: float) -> list[ActivityEvent]:
        """Add events that arrived at ``now_s`` (monotonic), and return those to report.

        These are the first event of each device, and every event that changes the activity of a
        device or whether it is unfamiliar.
        """
        self._arrivals.append((now_s, len(events)))
        return [event for event in events if self._changes_device(event)]

    def rate(self, now_s: float) -> float:
        """Return the events a second over the last five seconds."""
        while self._arrivals and self._arrivals[0][0] <= now_s - _RATE_SPAN_S:
            self._arrivals.popleft()
        return sum(count for _, count in self._arrivals) / _RATE_SPAN_S

    def _changes_device(self, event: ActivityEvent) -> bool:
        before = self.devices.get(event.device_id)
        # Half overlapping windows still touch when one between them is missing.
        goes_on = (
            before is not None
            and before.activity == event.activity
            and before.window_start_ms <= event.window_start <= before.window_end_ms
        )
        self.devices[event.device_id] = DeviceRow(
            activity=event.activity,
            confidence=event.confidence,
            since_ms=before.since_ms if before and goes_on else event.window_start,
            window_start_ms=event.window_start,
            window_end_ms=event.window_end,
            windows=before.windows + 1 if before else 1,
            unfamiliar=event.reliability is Reliability.UNFAMILIAR,
        )
        now = self.devices[event.device_id]
        return (
            before is None or before.activity != now.activity or before.unfamiliar != now.unfamiliar
        )
