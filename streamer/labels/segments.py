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
    make_segment,
)
from streamer.labels.beliefs import continues
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
    """The open segment of a device; `last_ms` is the nominal start of its newest window."""

    start_ms: int
    last_ms: int
    activity: str
    reason: Reason | None
    confidence: int | None

    def summary(self) -> OpenSegment:
        return OpenSegment(self.start_ms, self.confidence)


class Segments:
    """The open segments of the devices of one partition."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def restore(self, last: Mapping[str, PublishedEvent]) -> None:
        """Continue from the last event of each device that may have an open segment."""
        self._open = {
            device_id: _Open(
                segment.start_ms,
                event.window_start,
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
                self._add(window, next(following), changes)
        for device_id in ended:
            self._end(device_id, changes)
        return changes

    def _add(self, window: Window, event: ActivityEvent, changes: SegmentChanges) -> None:
        device_id = window.device_id
        confidence = None if event.confidence is None else round(event.confidence * UNITS)
        segment = self._open.get(device_id)
        if segment is not None and not continues(window, segment.last_ms):
            self._end(device_id, changes)
            segment = None
        if (
            segment is None
            or segment.activity != event.activity
            or segment.reason is not event.reason
        ):
            if segment is not None:
                changes.closed.append(_close(device_id, segment))
            segment = self._open[device_id] = _Open(
                window.start_ms, window.start_ms, event.activity, event.reason, confidence
            )
            changes.current.append((device_id, _current(event)))
        else:
            segment.last_ms = window.start_ms
            if segment.confidence is not None and confidence is not None:
                segment.confidence += confidence
        changes.headers.append(segment.summary().as_header())

    def _end(self, device_id: str, changes: SegmentChanges) -> None:
        """End the open segment of a device, if there is one; no other one follows at once."""
        segment = self._open.pop(device_id, None)
        if segment is not None:
            changes.closed.append(_close(device_id, segment))
            changes.current.append((device_id, None))


def _close(device_id: str, segment: _Open) -> ActivitySegment:
    end_ms = segment.last_ms + HOP_MS
    return make_segment(device_id, segment.summary(), end_ms, segment.activity, segment.reason)


def _current(event: ActivityEvent) -> CurrentActivity:
    return CurrentActivity(
        device_id=event.device_id,
        activity=event.activity,
        reason=event.reason,
        since=event.window_start,
        confidence=event.confidence,
    )
