"""Joins the windows of a device with the same published activity to segments.

A segment ends with the first window of another activity, or when the next window cannot follow: a
window was skipped, refused or withheld, the device starts anew or is forgotten, or the log ends::

    events          sit  sit  sit  walk walk   --gap--   walk
    segments        |-----------|  |------|              |--> open
    current         sit            walk        null      walk

What is known of an open segment is a header of its newest event, so a recovery finds it there.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from streamer.contracts.events import ActivityEvent, Reason
from streamer.contracts.segments import (
    HOP_MS,
    UNITS,
    ActivitySegment,
    CurrentActivity,
    OpenSegment,
    PublishedEvent,
    as_header,
    make_segment,
)
from streamer.stream.windows import Window


@dataclass(slots=True)
class SegmentChanges:
    """What events change, and the headers of the events.

    Attributes:
        headers: for each event, the value of its `SEGMENT_HEADER`.
        closed: the segments that have ended; those of a device are in their order.
        current: devices and what they do from then on; None if no segment of the device is open.
    """

    headers: list[bytes] = field(default_factory=list)
    closed: list[ActivitySegment] = field(default_factory=list)
    current: list[tuple[str, CurrentActivity | None]] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    """The open segment of a device, with what `ActivitySegment` says of it so far."""

    start_ms: int
    end_ms: int
    activity: str
    reason: Reason | None
    confidence: int | None
    """Sum of the confidences in millionths."""


class Segments:
    """The open segments of the devices of one partition."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def restore(self, last: Mapping[str, PublishedEvent]) -> None:
        """Continue from the last event of each device that may have an open segment."""
        self._open = {
            device_id: _Open(
                segment.start_ms,
                event.window_start + HOP_MS,
                event.activity,
                event.reason,
                segment.confidence,
            )
            for device_id, (event, segment) in last.items()
            if segment is not None
        }

    def update(
        self,
        windows: Sequence[Window],
        refused: Container[int],
        events: Iterable[ActivityEvent],
        ended: Iterable[str],
    ) -> SegmentChanges:
        """Add windows in their order.

        Args:
            windows: those of a device are in order.
            refused: places of the windows that have no event.
            events: of the other windows, in their order.
            ended: devices whose segments end after these windows.
        """
        changes = SegmentChanges()
        following = iter(events)
        for place, window in enumerate(windows):
            if place in refused:
                self._end(window.device_id, changes)
            else:
                event = next(following)
                segment = self._add(window, event, changes)
                changes.headers.append(as_header(segment.start_ms, segment.confidence))
        for device_id in ended:
            self._end(device_id, changes)
        return changes

    def _add(self, window: Window, event: ActivityEvent, changes: SegmentChanges) -> _Open:
        """Add a window to the open segment of its device, or begin one; return the segment."""
        device_id, start_ms, told = window.device_id, window.start_ms, event.confidence
        confidence = None if told is None else round(told * UNITS)
        segment = self._open.get(device_id)
        if segment is not None:
            if not (window.follows and start_ms == segment.end_ms):
                self._end(device_id, changes)
            elif segment.activity != event.activity or segment.reason is not event.reason:
                changes.closed.append(_close(device_id, segment))
            else:
                segment.end_ms += HOP_MS
                if segment.confidence is not None and confidence is not None:
                    segment.confidence += confidence
                return segment
        changes.current.append((device_id, _current(event)))
        segment = _Open(start_ms, start_ms + HOP_MS, event.activity, event.reason, confidence)
        self._open[device_id] = segment
        return segment

    def _end(self, device_id: str, changes: SegmentChanges) -> None:
        """End the open segment of a device, if there is one; no other one follows at once."""
        segment = self._open.pop(device_id, None)
        if segment is not None:
            changes.closed.append(_close(device_id, segment))
            changes.current.append((device_id, None))


def _close(device_id: str, segment: _Open) -> ActivitySegment:
    opened = OpenSegment(segment.start_ms, segment.confidence)
    return make_segment(device_id, opened, segment.end_ms, segment.activity, segment.reason)


def _current(event: ActivityEvent) -> CurrentActivity:
    return CurrentActivity(
        device_id=event.device_id,
        activity=event.activity,
        reason=event.reason,
        since=event.window_start,
        confidence=event.confidence,
    )
