"""The segments of a partition's windows, as workers publish them that crash and recover."""

import msgspec

from streamer.contracts.events import ActivityEvent
from streamer.contracts.segments import (
    SEGMENT_HEADER,
    OpenSegment,
    PublishedEvent,
    encode_current,
    encode_segment,
)
from streamer.labels.labelling import find_last_events
from streamer.labels.segments import Segments
from streamer.stream.partition import PushResult
from streamer.stream.rebuilt import Rebuilt
from streamer.stream.windows import Window
from tests.support.events import WALK


class SegmentLog:
    """What is published by device, and the workers' memory of open segments."""

    def __init__(self) -> None:
        self.published: dict[str, list[bytes | None]] = {}
        self._events: list[PublishedEvent] = []
        self.crash()

    def crash(self) -> None:
        """Forget what was not committed."""
        self._segments = Segments()
        self._pending: list[tuple[str, bytes | None]] = []
        self._read_back: list[PublishedEvent] = []

    def add(self, outcome: PushResult) -> None:
        """Publish what a fetch changes, with the next commit."""
        windows = [window for part in outcome.windows for window in part]
        events = [label(window) for window in windows]
        changes = self._segments.update(windows, (), events, outcome.ended + outcome.forgotten)
        self._pending += [(each.device_id, encode_segment(each)) for each in changes.closed]
        self._pending += [(f"{key}: now", encode_current(now)) for key, now in changes.current]
        self._read_back += [
            PublishedEvent(event, OpenSegment.from_headers([(SEGMENT_HEADER, header)]))
            for event, header in zip(events, changes.headers, strict=True)
        ]

    def commit(self) -> None:
        """Publish everything."""
        for key, value in self._pending:
            self.published.setdefault(key, []).append(value)
        self._events += self._read_back
        self._pending, self._read_back = [], []

    def recover(self, rebuilt: Rebuilt) -> None:
        """Read back the last event of each device."""
        last = find_last_events(self._events, rebuilt.last_ms)
        self._segments.restore({k: v for k, v in last.items() if k not in rebuilt.ended})


def label(window: Window) -> ActivityEvent:
    """An activity that changes now and then, as a function of the window."""
    number = window.start_ms // 1280
    return msgspec.structs.replace(
        WALK,
        window_id=f"{window.device_id}/{window.start_ms}",
        device_id=window.device_id,
        window_start=window.start_ms,
        activity="walking" if number % 7 < 5 else "sitting",
        confidence=round(number % 1000 / 1000, 6),
    )
