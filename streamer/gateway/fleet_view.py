"""What each device does and has done in the last hour, from its events. Pure: time is a parameter.

It remembers a bounded number of devices and stretches; the devices that were silent for longest are
forgotten first.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import msgspec

from streamer.contracts.events import Reliability

MOST_DEVICES: Final = 10_000
MOST_STRETCHES: Final = 240
HISTORY_MS: Final = 3_600_000
_DELAYS: Final = 200
ACTIVE_MS: Final = 60_000
"""A device without an event for so long is not counted as active."""


class EventGlance(msgspec.Struct, frozen=True, gc=False):
    """The fields of an activity event that are shown."""

    device_id: str
    window_start: int
    window_end: int
    activity: str
    confidence: float | None = None
    reliability: Reliability | None = None
    familiarity: float | None = None


@dataclass(slots=True)
class Stretch:
    """Touching windows with the same activity."""

    activity: str
    start_ms: int
    end_ms: int
    windows: int = 1
    confidence: float = 0.0
    """Sum over the windows."""

    def as_json(self) -> dict[str, object]:
        """Return the stretch as the page reads it."""
        return {
            "activity": self.activity,
            "start": self.start_ms,
            "end": self.end_ms,
            "confidence": round(self.confidence / self.windows, 3),
        }


@dataclass(slots=True)
class DeviceView:
    """The latest event of a device, and its stretches."""

    latest: EventGlance
    seen_ms: int
    """When Kafka received the latest event."""
    partition: int
    stretches: deque[Stretch] = field(default_factory=lambda: deque(maxlen=MOST_STRETCHES))

    def as_json(self, now_ms: int) -> dict[str, object]:
        """Return the device as a row of the page."""
        event = self.latest
        return {
            "device_id": event.device_id,
            "activity": event.activity,
            "confidence": event.confidence,
            "familiarity": event.familiarity,
            "unfamiliar": event.reliability is Reliability.UNFAMILIAR,
            "since": self.stretches[-1].start_ms,
            "until": event.window_end,
            "active": now_ms - self.seen_ms < ACTIVE_MS,
        }


class FleetView:
    """The devices of which events were seen, the latest one last."""

    def __init__(self) -> None:
        self._devices: OrderedDict[str, DeviceView] = OrderedDict()
        self._delays_ms: deque[int] = deque(maxlen=_DELAYS)

    def see(self, event: EventGlance, seen_ms: int, partition: int) -> None:
        """Take in an event that Kafka received at ``seen_ms``, since the epoch."""
        device = self._devices.pop(event.device_id, None)
        if device is None:
            device = DeviceView(event, seen_ms, partition)
            if len(self._devices) >= MOST_DEVICES:
                self._devices.popitem(last=False)
        self._devices[event.device_id] = device
        device.latest, device.seen_ms, device.partition = event, seen_ms, partition
        self._delays_ms.append(seen_ms - event.window_end)
        last = device.stretches[-1] if device.stretches else None
        # Half overlapping windows still touch when one between them is missing.
        if (
            last is not None
            and last.activity == event.activity
            and last.start_ms <= event.window_start <= last.end_ms
        ):
            last.end_ms = event.window_end
            last.windows += 1
        else:
            last = Stretch(event.activity, event.window_start, event.window_end)
            device.stretches.append(last)
        last.confidence += event.confidence or 0.0

    def partition(self, device_id: str) -> int | None:
        """Return the partition of the latest event of a device; None if it is not known."""
        device = self._devices.get(device_id)
        return device.partition if device else None

    def delay_ms(self) -> float | None:
        """Return the time from the end of a window to its event, the median of the latest ones.

        The end is by the clock of the device. None if there are no events.
        """
        return median(self._delays_ms) if self._delays_ms else None

    def history(self, device_id: str) -> list[Stretch]:
        """Return the stretches of a device in the hour before its latest window, oldest first."""
        device = self._devices.get(device_id)
        if device is None:
            return []
        begin_ms = device.latest.window_end - HISTORY_MS
        return [each for each in device.stretches if each.end_ms > begin_ms]

    def summarize(
        self, allows: Callable[[str], bool], now_ms: int, query: str, most: int
    ) -> dict[str, object]:
        """Return the active devices by activity, and some of the devices.

        Args:
            allows: returns whether a device may be shown.
            now_ms: the time, since the epoch.
            query: part of the names of the devices to list, in any case.
            most: number of devices to list at most; those with the latest events.
        """
        counts = Counter[str]()
        rows: list[DeviceView] = []
        found = 0
        query = query.casefold()
        for device_id, device in reversed(self._devices.items()):
            if not allows(device_id):
                continue
            if now_ms - device.seen_ms < ACTIVE_MS:
                counts[device.latest.activity] += 1
            if query in device_id.casefold():
                found += 1
                if len(rows) < most:
                    rows.append(device)
        return {
            "active": counts.total(),
            "activities": dict(counts.most_common()),
            "found": found,
            "devices": [row.as_json(now_ms) for row in rows],
        }
